"""Copies of labelled images, sorted into a folder for each class."""

import filecmp
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from seewhy.data.images.decode import regular_file
from seewhy.errors import ImageError, UsageError
from seewhy.evaluation.decision.answers import NOT_SURE
from seewhy.files import (
    BINARY,
    NO_LINKS,
    clear_temporaries,
    full_disk_named,
    make_directory,
    refusal_named,
)
from seewhy.text import folder_names


class ClassFolders:
    """Copies images below `folder`, into one folder a class, or "not sure"; nothing is overwritten.

    An image keeps its path from the folder that all images share, and its time. A copy that is there already
    is left alone; where another file has its name, it gets a number. `copied` counts images with a copy.
    """

    def __init__(self, folder: Path, classes: Sequence[str], images: Sequence[str]) -> None:
        self._unsure, *names = folder_names([NOT_SURE, *classes])
        self._names = dict(zip(classes, names, strict=True))
        self.folder = folder
        self.copied = 0
        self._root = os.path.commonpath({os.path.dirname(os.path.abspath(i)) for i in images})
        self._made = set[Path]()
        clear_temporaries(folder, ".seewhy.*.tmp")  # of a run that was killed

    def add(self, image: str, label: str, unsure: bool) -> None:
        """Copies one image; one that cannot be read any more is passed over."""
        name = self._unsure if unsure else self._names[label]
        place = self.folder / name / os.path.relpath(os.path.abspath(image), self._root)
        self._make(place.parent)
        with suppress(ImageError, FileNotFoundError):
            for number in count(1):
                numbered = f"{place.stem}-{number}{place.suffix}"
                target = place if number == 1 else place.with_name(numbered)
                if not os.path.lexists(target):
                    _copy(image, target)
                    break
                if not target.is_symlink() and filecmp.cmp(image, target, shallow=False):
                    break
            self.copied += 1

    def _make(self, folder: Path) -> None:
        """Makes a folder below `self.folder`. Raises `UsageError` if a link leads out of it."""
        if folder in self._made:
            return
        if not folder.resolve().is_relative_to(self.folder.resolve()):
            raise UsageError(
                f"{folder} is behind a link that leads out of {self.folder}: remove it"
            )
        make_directory(folder)
        self._made.add(folder)


def require_outside(folder: Path, paths: Sequence[str | Path]) -> None:
    """Raises `UsageError` if copies would be among the images that are labelled."""
    for path in paths:
        if os.path.isdir(path) and folder.resolve().is_relative_to(Path(path).resolve()):
            raise UsageError(
                f"--copy-to {folder} is inside {path}, whose images are labelled: choose a folder outside"
            )


def _copy(image: str, target: Path) -> None:
    """Copies a file, whole or not at all."""
    temporary = target.with_name(f".seewhy.{os.getpid()}.tmp")
    with regular_file(image) as source, full_disk_named(target, os.fstat(source.fileno()).st_size):
        try:
            with refusal_named(target):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | BINARY | NO_LINKS
                handle = os.open(temporary, flags, 0o666)
            with open(handle, "wb") as copy:
                shutil.copyfileobj(source, copy)
            times = os.fstat(source.fileno())
            os.utime(temporary, ns=(times.st_atime_ns, times.st_mtime_ns))
            with refusal_named(target):
                os.rename(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
