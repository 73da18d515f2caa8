"""Checksums of a directory whose files never change; only what looks changed is read again."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from seewhy.data.images.at_once import workers
from seewhy.files import write_atomic

_SUMS, _STAMPS = "checksums.json", "stamps.json"
_BLOCK = 4 << 20


def write_checksums(directory: Path) -> None:
    """Writes the sha256 of each 4 MiB of each file into the directory, and how the files look."""
    write_atomic(directory / _SUMS, json.dumps(_checksums(directory), allow_nan=False).encode())
    _write_stamps(directory)


def intact(directory: Path, *, every_byte: bool = False) -> bool:
    """Whether the files are as they were written.

    Files with the size, times and inode that they had at the last full check are not read; a disk that
    changes bytes behind these is found with `every_byte`.
    """
    try:
        checksums = json.loads((directory / _SUMS).read_bytes())
        if not every_byte and _read_stamps(directory) == _look(directory):
            return True
        if checksums != _checksums(directory):
            return False
    except (OSError, ValueError):
        return False
    with suppress(OSError):  # a cache that may only be read is checked in full each time
        _write_stamps(directory)
    return True


def _files(directory: Path) -> list[Path]:
    files = (
        file for file in directory.iterdir() if not file.name.startswith(".")
    )  # one half written
    return sorted(file for file in files if file.name not in (_SUMS, _STAMPS))


def _checksums(directory: Path) -> dict[str, list[str]]:
    files = _files(directory)
    blocks = [(file, start) for file in files for start in range(0, file.stat().st_size, _BLOCK)]

    def digest(block: tuple[Path, int]) -> str:
        with open(block[0], "rb") as file:
            file.seek(block[1])
            return hashlib.sha256(file.read(_BLOCK)).hexdigest()

    checksums: dict[str, list[str]] = {file.name: [] for file in files}
    with ThreadPoolExecutor(workers()) as pool:
        for (file, _), value in zip(blocks, pool.map(digest, blocks), strict=True):
            checksums[file.name].append(value)
    return checksums


def _look(directory: Path) -> dict[str, list[int]]:
    """Size, times and inode of each file, of the checksums too."""
    seen = {file.name: file.stat() for file in [*_files(directory), directory / _SUMS]}
    return {
        name: [one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino]
        for name, one in seen.items()
    }


def _read_stamps(directory: Path) -> dict[str, list[int]] | None:
    try:
        stamps: dict[str, list[int]] = json.loads((directory / _STAMPS).read_bytes())
        return stamps
    except (OSError, ValueError):
        return None


def _write_stamps(directory: Path) -> None:
    write_atomic(directory / _STAMPS, json.dumps(_look(directory), allow_nan=False).encode())
