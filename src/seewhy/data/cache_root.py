"""Where the cache is, and what a refusal to write there says."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seewhy.errors import DataError, UnwritableError

_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}


def cache_root() -> Path:
    """Returns the directory of the cache, created if it is missing."""
    root = Path(os.environ.get("SEEWHY_CACHE") or "~/.cache/seewhy").expanduser()
    with writable(root):
        root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def writable(root: Path) -> Iterator[None]:
    """Turns a refused write into a `DataError` that names the variable to set."""
    try:
        yield
    except UnwritableError as error:  # of `files`, whose advice is about --out
        reason = error.reason
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        reason = str(error.strerror)
    else:
        return
    raise DataError(
        f"cannot write to the cache {root} ({reason}): set SEEWHY_CACHE to another directory"
    )
