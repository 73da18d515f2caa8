"""Where the images of a pack in several files are: beside its index, or at an address.

From an address a file comes when one of its images is needed, into a folder of the cache whose size is
limited: the files used longest ago make room.

    shards/<sha256 of the index>/index.pack  00000.shard ...
"""

import hashlib
import os
import threading
import urllib.request
from abc import ABC, abstractmethod
from collections import OrderedDict
from pathlib import Path

from seewhy.data.cache_root import cache_root, writable
from seewhy.data.cache_sets import SHARDS, fetched_files, limit
from seewhy.data.download import TIMEOUT, Download, download
from seewhy.data.pack import INDEX, Handle, Pack, shard_name
from seewhy.errors import DataError
from seewhy.files import write_atomic
from seewhy.text import visible

SCHEMES = ("http://", "https://", "file://")
MOST_OPEN = 64  # files
MAX_INDEX = 4 << 30  # bytes


def open_pack(source: str | Path) -> Pack:
    """Opens a pack: a file, a folder, or the address of a folder. Raises `ArchiveError`, `DataError`."""
    if isinstance(source, str) and source.startswith(SCHEMES):
        address = source.rstrip("/")
        index = _index_at(address)
        name = address.rsplit("/", 1)[-1]
        return Pack(index, name, lambda pack: _Fetched(pack, address, index.parent))
    path = Path(source)
    if path.is_dir():
        return Pack(path / INDEX, path.name, lambda pack: _Beside(pack, path))
    return Pack(path, path.name, lambda pack: _Beside(pack, path.parent))


class _Files(ABC):
    """Open files of images, the last used of them."""

    def __init__(self) -> None:
        self._files: OrderedDict[int, Handle] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, number: int) -> Handle:
        with self._lock:
            handle = self._files.pop(number, None) or Handle(self._path(number))
            self._files[number] = handle
            if len(self._files) > MOST_OPEN:
                self._files.popitem(last=False)
            return handle

    @abstractmethod
    def _path(self, number: int) -> Path:
        """Where a file is, once it is there whole. Raises `ArchiveError` or `DataError`."""


class _Beside(_Files):
    def __init__(self, pack: Pack, folder: Path) -> None:
        super().__init__()
        self._pack, self._folder = pack, folder

    def _path(self, number: int) -> Path:
        path, expected = self._folder / shard_name(number), self._pack.about.shards[number].bytes
        size = path.stat().st_size if path.is_file() else None
        if size != expected:
            has = "is missing" if size is None else f"has {size:,} bytes, not {expected:,}"
            raise self._pack.damaged(f"{path.name} {has}: copy or pack it again")
        return path


class _Fetched(_Files):
    def __init__(self, pack: Pack, address: str, home: Path) -> None:
        super().__init__()
        self._pack, self._address, self._home = pack, address, home

    def _path(self, number: int) -> Path:
        shard, name = self._pack.about.shards[number], shard_name(number)
        path = self._home / name
        with writable(cache_root()):
            if not path.exists():
                make_room(shard.bytes)
                self._files.clear()  # a file that is removed takes space while it is open
            fetched = download(
                Download(f"{self._address}/{name}", *vars(shard).values()), self._home
            )
            os.utime(fetched)  # the time of its last use
        return fetched


def make_room(needed: int) -> None:
    """Removes the files used longest ago until `needed` bytes more are within the limit of the cache."""
    stored = sorted(fetched_files(), key=lambda file: file.stat().st_mtime)
    total = sum(file.stat().st_size for file in stored)
    while stored and total + needed > limit():
        oldest = stored.pop(0)
        total -= oldest.stat().st_size
        oldest.unlink(missing_ok=True)


def _index_at(address: str) -> Path:
    """Returns the index at an address, which is asked for each time: it is small, and tells the rest."""
    try:
        with urllib.request.urlopen(f"{address}/{INDEX}", timeout=TIMEOUT) as reply:
            data = reply.read(MAX_INDEX)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise DataError(
            f"no pack at {visible(address)} ({reason}): expected the address of a folder that "
            "`seewhy data pack --shard-bytes` has written; download any other images, and name their files"
        ) from None
    path = cache_root() / SHARDS / hashlib.sha256(data).hexdigest() / INDEX
    with writable(cache_root()):
        write_atomic(path, data)
    return path
