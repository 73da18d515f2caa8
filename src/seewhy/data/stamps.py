"""One hash over the files of a source; files that have not changed are not read again."""

import errno
import hashlib
import io
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from seewhy.data.sources.source import Source
from seewhy.errors import DataError
from seewhy.files import write_atomic

_REFUSALS = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}
FORMAT = 2  # of a cache entry; part of the hash


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
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise DataError(
            f"cannot write to the cache {root} ({error.strerror}): set SEEWHY_CACHE to another directory"
        ) from None


def workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_STAMP = np.dtype([("key", "S16"), ("digest", "S32")])
_SETTLED = 2_000_000_000  # ns; a younger file may change again within one tick of its clock


def content_id(source: Source) -> str:
    """Returns 40 hex digits over the names and bytes of a source's files.

    Files with the same size, times and inode as before are not read again.
    """
    digest = hashlib.sha256(f"{FORMAT} {source.layout} {source.key}\n".encode())
    for name, content in zip(source.files, _digests(source.root, source.files), strict=True):
        digest.update(os.fsencode(name) + b"\0" + content.ljust(32, b"\0"))
    return digest.hexdigest()[:40]


def _digests(root: Path, files: tuple[str, ...]) -> np.ndarray:
    if not files:
        return np.empty(0, "S32")
    index = cache_root() / "stamps" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.npy"
    known = dict(_load_stamps(index).tolist())
    now = time.time_ns()
    keys = np.array([_look(root, name, now - _SETTLED) for name in files], "S16")
    stamps = np.array([(key, known.get(key, b"")) for key in keys.tolist()], _STAMP)
    changed = np.flatnonzero((stamps["digest"] == b"") | (keys == b""))
    blocks = [changed[start : start + 256] for start in range(0, len(changed), 256)]
    with ThreadPoolExecutor(workers()) as pool:
        hashed = pool.map(lambda block: [_hash(root / files[row]) for row in block], blocks)
        for block, digests in zip(blocks, hashed, strict=True):
            stamps["digest"][block] = digests
    if len(changed):
        file = io.BytesIO()
        np.save(file, np.sort(stamps[keys != b""], order="key"), allow_pickle=False)
        write_atomic(index, file.getvalue())
    return stamps["digest"]


def _look(root: Path, name: str, settled: int) -> bytes:
    """Returns 16 bytes over a file's name, size, times and inode; b"" if these cannot be trusted yet."""
    try:
        seen = os.stat(root / name)
    except OSError:
        return b""
    if seen.st_ctime_ns > settled:
        return b""
    look = f"{seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns} {seen.st_ino}\n".encode()
    return hashlib.sha256(look + os.fsencode(name)).digest()[:16]


def _hash(path: Path) -> bytes:
    try:
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return b"unreadable"


def _load_stamps(index: Path) -> np.ndarray:
    try:
        stamps = np.load(index, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return np.empty(0, _STAMP)
    return stamps if stamps.dtype == _STAMP and stamps.ndim == 1 else np.empty(0, _STAMP)
