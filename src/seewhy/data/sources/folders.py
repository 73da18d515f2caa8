"""Folders of pictures: `root/<class>/*` and `root/<split>/<class>/*`.

Links are followed only to regular files below the same root; pipes, devices and other links are
named as `not_a_file` and never opened. Hidden files and files that are no pictures are counted.
"""

import os
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from seewhy.data.bad_files import BadFile
from seewhy.data.decode import Picture, is_picture
from seewhy.data.sources.source import SPLITS, Reading, Record, Source, evenly
from seewhy.errors import IMAGE_ERROR_CODES

READABLE = {
    ".jpg",
    ".jpeg",
    ".jpe",
    ".jfif",
    ".png",
    ".webp",
    ".gif",
    ".bmp",
    ".dib",
    ".tif",
    ".tiff",
}
# Also meant as pictures: a user hears that they cannot be read, instead of missing them.
FOREIGN = {".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng"}


@dataclass
class Scan:
    """What lies below a folder, as paths relative to it, sorted: pictures, what is no file, others."""

    pictures: list[str] = field(default_factory=list)
    skipped: list[BadFile] = field(default_factory=list)
    others: int = 0


def scan(root: Path) -> Scan:
    """Looks through a folder and all below it; opens only files whose name says nothing."""
    found, real_root, waiting = Scan(), root.resolve(), [""]
    while waiting:  # not by recursion: folders may lie deeper than Python can call
        waiting += _scan(root, real_root, waiting.pop(), found)
    found.pictures.sort()
    found.skipped.sort(key=lambda file: file.path)
    return found


def _scan(root: Path, real_root: Path, prefix: str, found: Scan) -> list[str]:
    """Notes what lies in one folder, and returns the folders in it."""

    def skip(path: str, code: str) -> None:
        found.skipped.append(BadFile(path, code, IMAGE_ERROR_CODES[code]))

    folders: list[str] = []
    try:
        with os.scandir(root / prefix) as listing:
            entries = list(listing)
    except OSError:
        skip(prefix.rstrip("/"), "unreadable")
        return folders
    for entry in entries:
        path = prefix + entry.name
        if entry.name.startswith("."):
            found.others += 1
        elif entry.is_dir(follow_symlinks=False):
            folders.append(path + "/")
        elif not (entry.is_file(follow_symlinks=False) or _inside(entry, real_root)):
            skip(path, "not_a_file")
        elif _meant_as_picture(entry):
            found.pictures.append(path)
        else:
            found.others += 1
    return folders


def _inside(entry: os.DirEntry[str], real_root: Path) -> bool:
    """Says whether a link leads to a regular file below the root."""
    try:
        target = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):  # dangling, or a loop
        return False
    return target.is_file() and target.is_relative_to(real_root)


def _meant_as_picture(entry: os.DirEntry[str]) -> bool:
    if os.path.splitext(entry.name)[1].lower() in READABLE | FOREIGN:
        return True
    try:
        with open(entry.path, "rb") as file:
            return is_picture(file.read(16))
    except OSError:
        return False


# ------------------------------------------------------------------ the two layouts


def fits_split_folders(root: Path) -> bool:
    """Says whether a folder named for a split holds class folders with pictures."""
    return any(
        _has_picture(inner)
        for folder in _folders(root)
        if folder.name in SPLITS
        for inner in _folders(folder)
    )


def fits_folders(root: Path) -> bool:
    """Says whether folders below `root` may be classes: not when they all are splits of class folders."""
    holding = [folder for folder in _folders(root) if _has_picture(folder)]
    if not fits_split_folders(root):
        return bool(holding)
    return any(folder.name not in SPLITS or _has_picture_itself(folder) for folder in holding)


def find_folders(root: Path, group_from: str | None) -> Source:
    """Reads `root/<class>/*`; files deeper in a class folder belong to it."""
    return _find("folders", root, 1)


def find_split_folders(root: Path, group_from: str | None) -> Source:
    """Reads `root/<split>/<class>/*`, split one of train, val, valid, validation, test."""
    return _find("split-folders", root, 2)


def _find(layout: str, root: Path, depth: int) -> Source:
    found = scan(root)
    pictures, splits = [], []
    for path in found.pictures:
        parts = path.split("/", depth)
        split = "" if depth == 1 else SPLITS.get(parts[0])
        if len(parts) <= depth or split is None:
            found.others += 1
        else:
            pictures.append(path)
            splits.append(split)
    notes = [f"{found.others:,} other files passed over"] if found.others else []
    if found.skipped:
        notes.append(f"{len(found.skipped):,} links, pipes or unreadable folders skipped")
    return Source(
        layout,
        root,
        tuple(pictures),
        partial(_read, root, pictures, splits, depth),
        partial(_sample, root, pictures, splits),
        skipped=tuple(found.skipped),
        notes=tuple(notes),
    )


def _read(root: Path, pictures: list[str], splits: list[str], depth: int) -> Reading:
    def records() -> Iterator[Record]:
        for path, split in zip(pictures, splits, strict=True):
            name = unicodedata.normalize("NFC", path.split("/", depth)[depth - 1])
            yield Record(path, name, split, root / path)

    return Reading(len(pictures), None, records())


def _sample(root: Path, pictures: list[str], splits: list[str]) -> Iterable[Picture]:
    kept = [path for path, split in zip(pictures, splits, strict=True) if split != "test"]
    return (root / kept[place] for place in evenly(len(kept)))


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return [
                Path(entry.path)
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            ]
    except OSError:
        return []


def _has_picture(folder: Path) -> bool:
    waiting = [folder]
    while waiting:
        folder = waiting.pop()
        if _has_picture_itself(folder):
            return True
        waiting += _folders(folder)
    return False


def _has_picture_itself(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(
                entry.is_file() and not entry.name.startswith(".") and _meant_as_picture(entry)
                for entry in entries
            )
    except OSError:
        return False
