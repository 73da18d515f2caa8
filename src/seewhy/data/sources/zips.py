"""Zip files, read in memory and never extracted; unusual ones are refused when opened.

A name in a zip is only looked up among its own entries, so it never leads to another file.
"""

import stat
import struct
import zipfile
import zlib
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from seewhy.data.images.decode import is_image
from seewhy.data.sources.folders import Scan, named_as_image
from seewhy.data.sources.source import SPLITS
from seewhy.errors import ArchiveError
from seewhy.text import visible

Entries = dict[str, zipfile.ZipInfo]


@dataclass(frozen=True)
class ZipLimits:
    """Limits of a zip: its entries, the bytes of their list, of one entry unpacked and of all.

    `max_ratio` is the ratio of all bytes unpacked to those of the file, so that overlapping entries
    count as often as they are unpacked.
    """

    max_entries: int
    max_directory: int
    max_entry: int
    max_total: int
    max_ratio: int


# For the user's own files: Kaggle's CIFAR-10 has 350,001 entries. Images are unpacked one at a time, so
# memory limits the list (about 1 KB per entry) and the single entry; the sum only takes time.
LOCAL_ZIP = ZipLimits(500_000, 64 << 20, 2 << 30, 256 << 30, 100)
UPLOADED_ZIP = ZipLimits(10_000, 4 << 20, 10 << 20, 1 << 30, 100)

SMALL = 1 << 20  # bytes unpacked in all; below, the ratio does not matter

_PLAIN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others unpack with unlimited memory
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
_ENCRYPTED, _UTF8 = 0x1 | 0x40, 0x800  # flag bits of an entry
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)


def open_zip(file: Path | BinaryIO, name: str, limits: ZipLimits = LOCAL_ZIP) -> zipfile.ZipFile:
    """Opens a zip within limits; `name` is for messages. Raises `ArchiveError`."""

    def refuse(code: str, detail: str) -> ArchiveError:
        return ArchiveError(visible(name), code, detail)

    try:
        with open(file, "rb") if isinstance(file, Path) else nullcontext(file) as opened:
            size, directory = _sizes(opened)
        if directory > limits.max_directory:
            raise refuse("zip_directory", f"{directory:,}; at most {limits.max_directory:,}")
        archive = zipfile.ZipFile(file)
    except DAMAGE as error:
        raise refuse("zip_damaged", f"{error}; create or download it again") from None
    entries = archive.infolist()
    if len(entries) > limits.max_entries:
        raise refuse("zip_entries", f"{len(entries):,}; at most {limits.max_entries:,}")
    for entry in entries:
        if code := _fault(entry, limits):
            raise refuse(code, visible(entry.filename))
    total = sum(entry.file_size for entry in entries)
    if total > limits.max_total:
        raise refuse("zip_total", f"{total:,}; at most {limits.max_total:,}")
    if total > max(SMALL, limits.max_ratio * size):
        raise refuse("zip_ratio", f"{total / size:,.1f}; at most {limits.max_ratio}")
    return archive


def _sizes(file: BinaryIO) -> tuple[int, int]:
    """Returns the bytes of a zip and of its list of entries, before memory is allocated for them."""
    size = file.seek(0, 2)
    file.seek(-min(size, 22 + 20 + 56 + (1 << 16)), 2)  # its end, with a comment of up to 64 KB
    tail = file.read()
    end = tail.rfind(b"PK\5\6")
    if end < 0 or len(tail) < end + 22:
        raise zipfile.BadZipFile("its end is missing")
    directory: int = struct.unpack_from("<L", tail, end + 12)[0]
    if end >= 76 and tail[end - 20 : end - 16] == b"PK\6\7":  # zip64 has it in another record
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
    """Lists a zip like a folder; if it holds a single folder, paths are relative to that.

    Names with `..` and the like are skipped as `not_a_file`. Raises `ArchiveError` for a name used twice.
    """
    files, entries = Scan(), dict[str, zipfile.ZipInfo]()
    for entry in archive.infolist():
        path = _name(entry)
        parts = path.split("/")
        if entry.is_dir():
            continue
        if parts[0] == "__MACOSX" or any(part[0] == "." for part in parts if part.strip(".")):
            files.hidden += 1
        elif any(part.strip(".") == "" for part in parts):
            files.skip(path, "not_a_file")
        elif path in entries:
            raise ArchiveError(visible(name), "zip_twice", visible(path))
        else:
            entries[path] = entry
    entries = _below_the_one_folder(entries)
    for path, entry in entries.items():
        image = named_as_image(path) or _starts_as_image(archive, entry)
        (files.images if image else files.others).append(path)
    files.sort()
    return files, entries


def _name(entry: zipfile.ZipInfo) -> str:
    """Returns an entry's path; some tools write UTF-8 without its flag, some backslashes."""
    name = entry.filename
    if not entry.flag_bits & _UTF8:
        with suppress(UnicodeError):  # otherwise the name is in the DOS encoding
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")


def _below_the_one_folder(entries: Entries) -> Entries:
    tops = {path.partition("/")[0] for path in entries}
    top = tops.pop() if len(tops) == 1 else ""
    if not top or top in SPLITS or top in entries:
        return entries
    return {path.removeprefix(top + "/"): entry for path, entry in entries.items()}


def _starts_as_image(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(entry) as file:
            return is_image(file.read(16))
    except DAMAGE:
        return False
