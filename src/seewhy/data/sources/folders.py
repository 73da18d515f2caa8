"""The files below a folder.

Links are followed only to regular files below the same root; pipes, devices and other links are
listed as `not_a_file` and never opened. Hidden files and files that are not images are listed apart.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from seewhy.data.bad_files import BadFile
from seewhy.data.images.decode import is_image
from seewhy.errors import IMAGE_ERROR_CODES

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    # These cannot be read: an error names them, so that no image is missing silently.
    *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".dng"),
}


@dataclass
class Scan:
    """The files below a root, as sorted paths relative to it with "/".

    `images` are named as images or start like one, `skipped` are not files, `others` are all other
    files except hidden ones, which are only counted.
    """

    images: list[str] = field(default_factory=list)
    skipped: list[BadFile] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    hidden: int = 0

    def skip(self, path: str, code: str) -> None:
        self.skipped.append(BadFile(path, code, IMAGE_ERROR_CODES[code]))

    def sort(self) -> None:
        self.images.sort()
        self.others.sort()
        self.skipped.sort(key=lambda file: file.path)


def scan(root: Path) -> Scan:
    """Lists a folder and all below it; opens only files whose name has no known suffix."""
    files, real_root, waiting = Scan(), root.resolve(), [""]
    while waiting:  # not by recursion: folders may be nested deeper than Python can call
        waiting += _scan(root, real_root, waiting.pop(), files)
    files.sort()
    return files


def named_as_image(path: str) -> bool:
    """Says whether a name has the suffix of an image."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def _scan(root: Path, real_root: Path, prefix: str, files: Scan) -> list[str]:
    """Lists the files of one folder, and returns the folders in it."""
    try:
        with os.scandir(root / prefix) as listing:
            entries = list(listing)
    except OSError:
        files.skip(prefix.rstrip("/"), "unreadable")
        return []
    folders: list[str] = []
    for entry in entries:
        path = prefix + entry.name
        if entry.name.startswith("."):
            files.hidden += 1
        elif entry.is_dir(follow_symlinks=False):
            folders.append(path + "/")
        elif not (entry.is_file(follow_symlinks=False) or _inside(entry, real_root)):
            files.skip(path, "not_a_file")
        elif named_as_image(entry.name) or _starts_as_image(entry):
            files.images.append(path)
        else:
            files.others.append(path)
    return folders


def _inside(entry: os.DirEntry[str], real_root: Path) -> bool:
    """Says whether a link leads to a regular file below the root."""
    try:
        target = Path(entry.path).resolve(strict=True)
    except (OSError, RuntimeError):  # dangling, or a loop
        return False
    return target.is_file() and target.is_relative_to(real_root)


def _starts_as_image(entry: os.DirEntry[str]) -> bool:
    try:
        with open(entry.path, "rb") as file:
            return is_image(file.read(16))
    except OSError:
        return False
