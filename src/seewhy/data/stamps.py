"""What a source holds, as one hash over its files; files that look as they did are not read again."""

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
    """Returns the directory of the cache, made where it is missing."""
    root = Path(os.environ.get("SEEWHY_CACHE") or "~/.cache/seewhy").expanduser()
    with writable(root):
        root.mkdir(parents=True, exist_ok=True)
    return root


@contextmanager
def writable(root: Path) -> Iterator[None]:
    """Turns a refusal to write there into a `DataError` that says what to set."""
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        raise DataError(
            f"the cache {root} cannot be written ({error.strerror}): set SEEWHY_CACHE to a directory "
            "that can"
        ) from None


def workers() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_STAMP = np.dtype([("key", "S16"), ("digest", "S32")])
_SETTLED = 2_000_000_000  # ns; a younger file may change again within one tick of its clock


def content_id(source: Source) -> str:
    """Returns 40 hex digits over the names and bytes of a source's files.

    Files that look as they did (size, times, inode) are not read again.
    """
    digest = hashlib.sha256(f"{FORMAT} {source.layout} {source.key}\n".encode())
    for name, content in zip(source.files, _digests(source.root, source.files), strict=True):
        digest.update(os.fsencode(name) + b"\0" + content.ljust(32, b"\0"))
    return digest.hexdigest()[:40]


def _digests(root: Path, files: tuple[str, ...]) -> np.ndarray:
    if not files:
        return np.empty(0, "S32")
    index = cache_root() / "stamps" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.npy"
    known = _load_stamps(index)
    now = time.time_ns()
    keys = np.array([_look(root, name, now - _SETTLED) for name in files], "S16")
    stamps = np.zeros(len(files), _STAMP)
    stamps["key"] = keys
    place = np.minimum(np.searchsorted(known["key"], keys), len(known) - 1)
    same = (
        (known["key"][place] == keys) & (keys != b"") if len(known) else np.zeros(len(keys), bool)
    )
    stamps["digest"][same] = known["digest"][place[same]]
    changed = np.flatnonzero(~same)
    blocks = [changed[start : start + 256] for start in range(0, len(changed), 256)]
    with ThreadPoolExecutor(workers()) as pool:
        found = pool.map(lambda block: _hash(root, files, block), blocks)
        for block, digests in zip(blocks, found, strict=True):
            stamps["digest"][block] = digests
    if len(changed):
        settled = np.sort(stamps[keys != b""], order="key")
        index.parent.mkdir(exist_ok=True)
        write_atomic(index, _npy(settled))
    return stamps["digest"]


def _look(root: Path, name: str, settled: int) -> bytes:
    """Returns what a file looks like from outside, 16 bytes; nothing where that cannot be trusted."""
    try:
        seen = os.stat(root / name)
    except OSError:
        return b""
    if seen.st_ctime_ns > settled:
        return b""
    look = f"{seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns} {seen.st_ino}\n".encode()
    return hashlib.sha256(look + os.fsencode(name)).digest()[:16]


def _hash(root: Path, files: tuple[str, ...], rows: np.ndarray) -> list[bytes]:
    def one(path: Path) -> bytes:
        try:
            with open(
                path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)
            ) as file:
                return hashlib.file_digest(file, "sha256").digest()
        except OSError:
            return b"unreadable"

    return [one(root / files[row]) for row in rows]


def _load_stamps(index: Path) -> np.ndarray:
    try:
        stamps = np.load(index, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return np.empty(0, _STAMP)
    return stamps if stamps.dtype == _STAMP and stamps.ndim == 1 else np.empty(0, _STAMP)


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()
