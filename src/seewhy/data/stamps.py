"""One hash over the files of a source; files that have not changed are not read again."""

import hashlib
import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from seewhy.data.cache_root import cache_root
from seewhy.data.images.at_once import workers
from seewhy.data.sources.source import Source
from seewhy.files import READ, write_atomic

FORMAT = 5  # of a cache entry; part of the hash
_SETTLED = 2_000_000_000  # ns; a younger file may change again within one tick of its clock


@dataclass(frozen=True, eq=False)
class Content:
    """What a source's files hold: `id`, 40 hex digits over their names and bytes, and 32 for each file."""

    id: str
    digests: np.ndarray


def content_of(source: Source) -> Content:
    """Hashes the files of a source; those with the same size, times and inode as before are not read."""
    digests = _digests(source.root, source.files)
    digest = hashlib.sha256(f"{FORMAT} {source.layout} {source.key}\n".encode())
    digest.update(_joined(source.files) + b"\0\0" + digests.tobytes())
    return Content(digest.hexdigest()[:40], digests)


def _joined(names: tuple[str, ...]) -> bytes:
    return os.fsencode("\0".join(names))


class _Stamps(NamedTuple):
    """Files as they were last seen: their names, what `_look` returned, and their digests."""

    names: bytes
    looks: np.ndarray
    digests: np.ndarray

    def of(self, files: tuple[str, ...]) -> "_Stamps":
        """Returns the stamps of these files, in this order; a file that is not known looks like none."""
        names = _joined(files)
        if names == self.names:
            return self
        row = {name: place for place, name in enumerate(self.names.split(b"\0"))}
        rows = np.array([row.get(name, -1) for name in names.split(b"\0")], int)
        looks = np.append(self.looks, [_UNKNOWN], axis=0)
        return _Stamps(names, looks[rows], np.append(self.digests, b"")[rows])


_UNKNOWN = (-1, -1, -1, -1)  # what no file looks like


def _digests(root: Path, files: tuple[str, ...]) -> np.ndarray:
    """Returns 32 hex digits of the sha256 of each file, bytes `(N,)`."""
    if not files:
        return np.empty(0, "S32")
    index = cache_root() / "stamps" / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:32]}.npz"
    names, seen, digests = _load(index).of(files)
    settled = time.time_ns() - _SETTLED
    looks = np.array([_look(f"{root}/{name}", settled) for name in files], np.int64)
    changed = np.flatnonzero((looks != seen).any(axis=1) | (looks == _UNKNOWN).all(axis=1))
    if not len(changed):
        return digests
    digests = digests.copy()
    blocks = [changed[start : start + 256] for start in range(0, len(changed), 256)]
    with ThreadPoolExecutor(workers()) as pool:
        hashed = pool.map(lambda block: [_hash(root / files[row]) for row in block], blocks)
        for block, values in zip(blocks, hashed, strict=True):
            digests[block] = values
    file = io.BytesIO()
    np.savez(file, names=np.frombuffer(names, np.uint8), looks=looks, digests=digests)
    write_atomic(index, file.getvalue())
    return digests


def _look(path: str, settled: int) -> tuple[int, int, int, int]:
    """Returns a file's size, times and inode; `_UNKNOWN` if these cannot be trusted yet."""
    try:
        seen = os.stat(path)
    except OSError:
        return _UNKNOWN
    if seen.st_ctime_ns > settled:
        return _UNKNOWN
    return seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino & (1 << 63) - 1


def _hash(path: Path) -> bytes:
    try:
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | READ)) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32].encode()
    except OSError:
        return b"unreadable"


def _load(index: Path) -> _Stamps:
    """Returns the stamps in a file; none if it is missing or damaged."""
    nothing = _Stamps(b"", np.empty((0, 4), np.int64), np.empty(0, "S32"))
    try:
        with np.load(index, allow_pickle=False) as file:
            stamps = _Stamps(file["names"].tobytes(), file["looks"], file["digests"])
    except (OSError, ValueError, EOFError, KeyError, BadZipFile):
        return nothing
    count = stamps.names.count(b"\0") + 1
    right = stamps.looks.shape == (count, 4) and stamps.digests.shape == (count,)
    return stamps if right and stamps.digests.dtype == "S32" else nothing
