"""Zip files, read in memory and never extracted; unusual ones are refused when opened.

A name in a zip is only looked up among its own entries, so it never leads to another file.
"""

import stat
import struct
import zipfile
import zlib
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import BinaryIO

from seewhy.data.images.decode import is_image
from seewhy.data.sources.archives import (
    ARCHIVES,
    LOCAL_ARCHIVE,
    ArchiveLimits,
    check_sums,
    list_archive,
    refusal,
)
from seewhy.data.sources.folders import Scan
from seewhy.text import visible

Entries = dict[str, zipfile.ZipInfo]

_PLAIN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # others unpack with unlimited memory
_ENCRYPTED, _UTF8 = 0x1 | 0x40, 0x800  # flag bits of an entry
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)


def open_zip(
    file: Path | BinaryIO, name: str, limits: ArchiveLimits = LOCAL_ARCHIVE
) -> zipfile.ZipFile:
    """Opens a zip within limits; `name` is for messages. Raises `ArchiveError`."""
    try:
        with open(file, "rb") if isinstance(file, Path) else nullcontext(file) as opened:
            size, directory = _sizes(opened)
        if directory > limits.max_directory:
            detail = f"{directory:,}; at most {limits.max_directory:,}"
            raise refusal(name, "zip_directory", detail)
        archive = zipfile.ZipFile(file)
    except DAMAGE as error:
        raise refusal(name, "zip_damaged", f"{error}; create or download it again") from None
    entries = archive.infolist()
    check_sums(name, len(entries), 0, size, limits)
    for entry in entries:
        if code := _fault(entry, limits):
            raise refusal(name, code, visible(entry.filename))
    check_sums(name, len(entries), sum(entry.file_size for entry in entries), size, limits)
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


def _fault(entry: zipfile.ZipInfo, limits: ArchiveLimits) -> str | None:
    if entry.flag_bits & _ENCRYPTED:
        return "zip_encrypted"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "zip_link"
    if entry.compress_type not in _PLAIN:
        return "zip_compression"
    if entry.filename.lower().endswith(ARCHIVES):
        return "zip_nested"
    return "zip_entry" if entry.file_size > limits.max_entry else None


def scan_zip(archive: zipfile.ZipFile, name: str) -> tuple[Scan, Entries]:
    """Lists a zip by `listed`. Raises `ArchiveError` for a name used twice."""
    entries = archive.infolist()
    files = ((_name(entry), entry) for entry in entries if not entry.is_dir())
    folders = (_name(entry).rstrip("/") for entry in entries if entry.is_dir())

    def starts_as_image(entry: zipfile.ZipInfo) -> bool:
        try:
            with archive.open(entry) as file:
                return is_image(file.read(16))
        except DAMAGE:
            return False

    return list_archive(name, files, folders, starts_as_image)


def _name(entry: zipfile.ZipInfo) -> str:
    """Returns an entry's path; some tools write UTF-8 without its flag, some backslashes."""
    name = entry.filename
    if not entry.flag_bits & _UTF8:
        with suppress(UnicodeError):  # otherwise the name is in the DOS encoding
            name = name.encode("cp437").decode("utf-8")
    return name.replace("\\", "/")
