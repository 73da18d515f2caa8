"""The keys of a server, which are in files that nobody else may read."""

import os
import secrets
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from seewhy.data.cache_root import cache_root
from seewhy.errors import UsageError


def admin_token() -> str:
    """The operator's token, from a file in the cache that is made at the first start.

    Raises `UsageError` for a file that others can read or replace.
    """
    path = token_file()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if not path.exists():
        with NamedTemporaryFile("w", dir=path.parent) as file:  # has mode 0600
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):  # of a server that starts at the same moment
                os.link(file.name, path)  # as a whole, or not at all
    return read_secret(path)


def token_file() -> Path:
    """Where the operator's token is."""
    return cache_root() / "serving" / "admin-token"


def read_secret(path: Path) -> str:
    """The key in a file, without blanks at its ends.

    Raises `UsageError` for one that is short, not plain ASCII, or in a file that other users may read.
    A file of root's may be read by its group: so Kubernetes and systemd hand a secret to a service.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as file:
            about = os.fstat(file.fileno())
            text = file.read(4096).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: the key cannot be read ({error})") from None
    foreign = 0o037 if about.st_uid == 0 and os.getuid() else 0o077
    if about.st_mode & foreign or about.st_uid not in (os.getuid(), 0):
        raise UsageError(f"{path}: other users may read this key: `chmod 600` it")
    if len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(f"{path}: expected a key of 16 characters or more, without spaces")
    return text
