"""Zip files, read in memory and never extracted; whatever is not plain is refused at the door.

A name in a zip is only looked up among the zip's own entries, so it leads to no other file.
"""

import stat
import struct
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from seewhy.data.images.decode import is_picture
from seewhy.data.sources.folders import Scan, named_as_picture
from seewhy.data.sources.source import SPLITS
from seewhy.errors import ArchiveError
from seewhy.text import visible

Entries = dict[str, zipfile.ZipInfo]


@dataclass(frozen=True)
class ZipLimits:
    """What a zip may cost: its entries, and the bytes of their list, of one and of all unpacked.

    `max_ratio` is of all bytes unpacked to those of the file, so that entries laid over one another
    count as often as they unpack.
    """

    max_entries: int
    max_directory: int
    max_entry: int
    max_total: int
    max_ratio: int


# The user's own: Kaggle's CIFAR-10 has 350,001 entries. Pictures are unpacked one at a time, so memory
# bounds the list (about 1 KB an entry) and the single entry, while the sum only takes time.
LOCAL_ZIP = ZipLimits(500_000, 64 << 20, 2 << 30, 256 << 30, 100)
UPLOADED_ZIP = ZipLimits(10_000, 4 << 20, 10 << 20, 1 << 30, 100)

SMALL = 1 << 20  # bytes unpacked in all; below, no ratio makes a bomb

_PLAIN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others unpack without a bound on memory
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_ENCRYPTED, _UTF8 = 0x1 | 0x40, 0x800  # flag bits of an entry
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)


def open_zip(file: Path | BinaryIO, name: str, limits: ZipLimits = LOCAL_ZIP) -> zipfile.ZipFile:
    """Opens a zip within its limits, called `name` in messages; raises `ArchiveError`."""

    def refuse(code: str, detail: str) -> ArchiveError:
        return ArchiveError(visible(name), code, detail)

    try:
        if isinstance(file, Path):
            with open(file, "rb") as opened:
                size, directory = _sizes(opened)
        else:
            size, directory = _sizes(file)
        if directory > limits.max_directory:
            raise refuse("zip_directory", f"{directory:,}; at most {limits.max_directory:,}")
        archive = zipfile.ZipFile(file)
    except DAMAGE as error:
        raise refuse("zip_damaged", f"{error}; make or get it again") from None
    entries = archive.infolist()
    if len(entries) > limits.max_entries:
        raise refuse("zip_entries", f"{len(entries):,}; at most {limits.max_entries:,}")
    for entry in entries:
        code = _fault(entry, limits)
        if code:
            raise refuse(code, visible(entry.filename))
    total = sum(entry.file_size for entry in entries)
    if total > limits.max_total:
        raise refuse("zip_total", f"{total:,}; at most {limits.max_total:,}")
    if total > max(SMALL, limits.max_ratio * size):
        raise refuse("zip_ratio", f"{total / size:,.1f}; at most {limits.max_ratio}")
    return archive


def _sizes(file: BinaryIO) -> tuple[int, int]:
    """Returns the bytes of a zip and of its list of entries, before any room is made for them."""
    size = file.seek(0, 2)
    file.seek(-min(size, 22 + 20 + 56 + (1 << 16)), 2)  # its end, with a comment of up to 64 KB
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or len(tail) < end + 22:
        raise zipfile.BadZipFile("its end is missing")
    directory: int = struct.unpack_from("<L", tail, end + 12)[0]
    if end >= 76 and tail[end - 20 : end - 16] == b"PK\6\7":  # zip64 says it in a record of its own
        directory = max(directory, struct.unpack_from("<Q", tail, end - 76 + 40)[0])
    return size, directory


def _fault(entry: zipfile.ZipInfo, limits: ZipLimits) -> str | None:
    if entry.flag_bits & _ENCRYPTED:
        return "zip_encrypted"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "zip_link"
    if entry.compress_type not in _PLAIN:
        return "zip_compression"
    if entry.filename.lower().endswith(_ARCHIVES):
        return "zip_nested"
    return "zip_entry" if entry.file_size > limits.max_entry else None


def scan_zip(archive: zipfile.ZipFile, name: str) -> tuple[Scan, Entries]:
    """Looks through a zip as through a folder, below the one folder that all lies in, if there is one.

    Names with `..` and the like are skipped as `not_a_file`. Raises `ArchiveError` for a name used twice.
    """
    found, entries = Scan(), dict[str, zipfile.ZipInfo]()
    for entry in archive.infolist():
        path = _name(entry)
        parts = path.split("/")
        if entry.is_dir():
            continue
        if (
            any(part.startswith(".") and part.strip(".") for part in parts)
            or parts[0] == "__MACOSX"
        ):
            found.hidden += 1
        elif any(part.strip(".") == "" for part in parts):
            found.skip(path, "not_a_file")
        elif path in entries:
            raise ArchiveError(visible(name), "zip_twice", visible(path))
        else:
            entries[path] = entry
    entries = _below_the_one_folder(entries)
    for path, entry in entries.items():
        picture = named_as_picture(path) or _starts_as_picture(archive, entry)
        (found.pictures if picture else found.others).append(path)
    found.sort()
    return found, entries


def _name(entry: zipfile.ZipInfo) -> str:
    """Returns an entry's path; some tools write UTF-8 without saying so, some the other slash."""
    name = entry.filename
    if not entry.flag_bits & _UTF8:
        with suppress(UnicodeError):  # else it is what it says, in the letters of DOS
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _below_the_one_folder(entries: Entries) -> Entries:
    tops = {path.partition("/")[0] for path in entries}
    top = tops.pop() if len(tops) == 1 else ""
    if not top or top in SPLITS or top in entries:
        return entries
    return {path.removeprefix(top + "/"): entry for path, entry in entries.items()}


def _starts_as_picture(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(entry) as file:
            return is_picture(file.read(16))
    except DAMAGE:
        return False
