"""Tar files, plain or gzip, never extracted, with the limits and refusals of zips.

A name in a tar is only looked up among its own files, so it never leads to another file.
"""

import gzip
import os
import tarfile
import tempfile
import weakref
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, NamedTuple, cast

from seewhy.data.cache_root import cache_root
from seewhy.data.images.decode import is_image
from seewhy.data.sources.archives import (
    ARCHIVES,
    LOCAL_ARCHIVE,
    ArchiveLimits,
    check_sums,
    list_archive,
    refusal,
)
from seewhy.data.sources.folders import Scan, named_as_image
from seewhy.files import READ, require_space
from seewhy.text import visible

MAX_HEADER = 1 << 20  # bytes of one header, such as a long name, which `tarfile` reads as a whole

_DAMAGE = (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, RecursionError)
_BLOCK = 1 << 20


class Entry(NamedTuple):
    """A file in a tar: its place in the unpacked tar, and its first bytes if its name says little."""

    start: int
    size: int
    head: bytes


def tar_at(path: Path) -> "Tar":
    """Opens a tar, or takes it as it is open."""
    state = path.stat()
    return open_tar(path, (state.st_size, state.st_mtime_ns, state.st_ino))


@lru_cache(maxsize=2)
def open_tar(path: Path, state: tuple[int, ...]) -> "Tar":
    """Opens a tar once: it must be read to its end for its list. `state` is its size, time and inode."""
    return Tar(path)


class Tar:
    """An open tar: its files, and their bytes. Raises `ArchiveError` for one past the limits.

    One that is compressed is unpacked at the first read into a temporary file without a name, in the cache's
    folder, since its images are not read in the order in which they are packed.
    """

    def __init__(self, path: Path, limits: ArchiveLimits = LOCAL_ARCHIVE) -> None:
        self.path = path
        self.scan, self.entries, self._size = _scan(path, limits)
        self._handle: int | None = None

    def read(self, name: str) -> bytes:
        """Returns a file's bytes."""
        if self._handle is None:
            self._handle = _random_access(self.path, self._size)
            weakref.finalize(self, os.close, self._handle)
        entry = self.entries[name]
        data = os.pread(self._handle, entry.size, entry.start)
        if len(data) < entry.size:
            raise refusal(self.path.name, "zip_damaged", f"{visible(name)}: its end is missing")
        return data


def _random_access(path: Path, size: int) -> int:
    """Returns the handle of the unpacked tar; it has `size` bytes that matter."""
    if not _is_gzip(path):
        return os.open(path, READ)
    require_space(cache_root(), size, f"unpacking {visible(path.name)}")
    with tempfile.TemporaryFile(dir=cache_root()) as file, _unpacked(path) as unpacked:
        while file.tell() < size and (block := unpacked.read(_BLOCK)):
            file.write(block)
        file.flush()
        return os.dup(file.fileno())


class _Headers:
    """The unpacked bytes of a tar, for `tarfile`, which reads headers from it and skips the rest."""

    def __init__(self, file: IO[bytes], archive: str) -> None:
        self.seek, self.tell = file.seek, file.tell
        self.file, self.archive = file, archive
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            detail = f"a header has {size:,}; at most {MAX_HEADER:,}"
            raise refusal(self.archive, "zip_directory", detail)
        self.last = self.file.read(size)
        return self.last


def _scan(path: Path, limits: ArchiveLimits) -> tuple[Scan, dict[str, Entry], int]:
    """Returns the list of a tar, where each file is, and the bytes of the whole when unpacked."""
    files: list[tuple[str, Entry]] = []
    folders: list[str] = []
    total = 0
    with _unpacked(path) as unpacked:
        headers = _Headers(unpacked, path.name)
        for member in _members(headers):
            if code := _fault(member, limits):
                raise refusal(path.name, code, visible(member.name))
            total += member.size
            count = len(files) + len(folders) + 1
            check_sums(path.name, count, total, path.stat().st_size, limits)
            name = member.name.removeprefix("./")
            if member.isdir():
                folders.append(name)
                continue
            head = b""
            if not named_as_image(name):
                unpacked.seek(member.offset_data)
                head = unpacked.read(min(16, member.size))
            files.append((name, Entry(member.offset_data, member.size, head)))
        end = unpacked.tell()
    scan, entries = list_archive(path.name, files, folders, lambda entry: is_image(entry.head))
    return scan, entries, end


def _members(headers: _Headers) -> Iterator[tarfile.TarInfo]:
    with tarfile.TarFile(fileobj=cast(IO[bytes], headers)) as tar:
        while member := tar.next():
            tar.__dict__["members"] = []  # else each header stays in memory
            yield member
    if any(headers.last):  # the end is a block of zeros
        raise tarfile.ReadError("a header is damaged")


def _fault(member: tarfile.TarInfo, limits: ArchiveLimits) -> str | None:
    if member.issparse() or not (member.isreg() or member.isdir()):
        return "zip_link"
    if member.isreg() and member.name.lower().endswith(ARCHIVES):
        return "zip_nested"
    return "zip_entry" if member.size > limits.max_entry else None


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"\x1f\x8b"


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    try:
        with gzip.open(path) if _is_gzip(path) else open(path, "rb") as file:
            yield cast(IO[bytes], file)
            for _ in range(64):  # to the end, where gzip has its checksum, but not into a bomb
                if not file.read(_BLOCK):
                    break
    except _DAMAGE as error:
        raise refusal(path.name, "zip_damaged", f"{error}; create or download it again") from None
