"""The files below a folder.

Links are followed only to regular files below the same root, or with `follow_links` anywhere; pipes, devices
and other links are listed as `not_a_file` and never opened. Passed over are hidden files, what file managers
and archives leave behind, and what SeeWhy itself has written. Files that are not images are listed apart.
"""

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from seewhy.data.bad_files import BadFile
from seewhy.data.images.decode import ListedPath, is_image
from seewhy.errors import IMAGE_ERROR_CODES
from seewhy.files import NO_LINKS, READ
from seewhy.text import shortened

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".heic", ".heif"),
    # These cannot be read: an error names them, so that no image is missing silently.
    *(".jxl", ".jp2", ".dng"),
}
LITTER = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *("__macosx", "icon\r", "lost+found"),
    *(
        "@eadir",
        "#recycle",
        "#snapshot",
        "@recycle",
        "@recently-snapshot",
        "@__thumb",
    ),  # of NAS boxes
}
# Files that tell a folder which SeeWhy has written; that of `data check` has findings.csv and plots alone.
_OUTPUTS = (
    {"run.lock", "config.yaml"},
    {"experiment.lock"},
    {"explanations.json"},
    {"classes.png", "overview.png"},  # data stats
    {"input.png", "augmentation.png"},  # data preview
    {"compare.json"},
)
LINKED = "a link that leads out of the folder (follow it with --follow-links)"


@dataclass
class Scan:
    """The files below a root, as sorted paths relative to it with "/".

    `images` are named as images or start like one, `skipped` are not files, `others` are all other files
    but hidden ones and litter; `beside` is the number of those in other places. `folders` are all folders,
    `outputs` those that SeeWhy has written, which are not listed further. `links` are the real paths of files
    behind links.
    """

    images: list[str] = field(default_factory=list)
    skipped: list[BadFile] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    links: dict[str, ListedPath] = field(default_factory=dict)
    beside: int = 0

    def skip(self, path: str, code: str, detail: str = "") -> None:
        self.skipped.append(BadFile(path, code, detail or IMAGE_ERROR_CODES[code]))

    def sort(self) -> None:
        for paths in (self.images, self.others, self.folders, self.outputs):
            paths.sort()
        self.skipped.sort(key=lambda file: file.path)

    def left_links(self) -> str:
        """Returns a line on the links that were not followed; "" if there are none."""
        links = [file.path for file in self.skipped if file.error == LINKED]
        if not links:
            return ""
        return (
            f"links that lead out of the folder were not followed ({len(links):,}): {shortened(links)}. "
            "Read them with --follow-links"
        )

    def inside(self, folder: str) -> "Scan":
        """Returns the part below a folder, with paths relative to it; the other files are only counted."""
        start = folder + "/"

        def part(paths: list[str]) -> list[str]:
            return [path.removeprefix(start) for path in paths if path.startswith(start)]

        others = part(self.others)
        return Scan(
            images=part(self.images),
            skipped=self.skipped,
            others=others,
            folders=part(self.folders),
            outputs=part(self.outputs),
            links={path.removeprefix(start): real for path, real in self.links.items()},
            beside=self.beside + len(self.others) - len(others),
        )


def is_litter(name: str) -> bool:
    """Says whether a file or folder is hidden, or left behind by a file manager, an archive or a NAS."""
    return name.startswith(".") or name.lower() in LITTER


def folders_of(paths: Iterable[str]) -> set[str]:
    """Returns all folders that lie in these paths."""
    folders = set[str]()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return folders


def named_as_image(path: str) -> bool:
    """Says whether a name has the suffix of an image."""
    return os.path.splitext(path)[1].lower() in SUFFIXES


def open_listed(path: ListedPath) -> BinaryIO:
    """Opens a regular file that a scan has listed; a link or pipe that has taken its place is refused."""
    handle = os.open(path, READ | NO_LINKS)
    file = open(handle, "rb")  # noqa: SIM115 (the caller closes it)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        file.close()
        raise OSError(f"{path} is no longer a regular file")
    return file


def scan(root: Path, follow_links: bool = False) -> Scan:
    """Lists a folder and all below it; opens only files whose name has no known suffix.

    A folder that several links lead to is listed once, by its own path if that is below the root.
    """
    return _Scanner(root, follow_links).scan()


class _Folder(NamedTuple):
    """A folder to list: its path below the root ("" or with "/" at the end), and its real path."""

    prefix: str
    real: Path
    linked: bool


class _Scanner:
    def __init__(self, root: Path, follow_links: bool) -> None:
        self.root = root.resolve()
        self.follow_links = follow_links
        self.files = Scan()
        self.waiting = [_Folder("", self.root, False)]
        self.linked: list[_Folder] = []
        self.seen: set[tuple[int, int]] = set()

    def scan(self) -> Scan:
        while self.waiting or self.linked:  # not by recursion: folders may be nested very deeply
            if not self.waiting:  # links come last, so that a folder is listed by its own path
                self.linked.sort(reverse=True)
                self.waiting.append(self.linked.pop())
            self._list(self.waiting.pop())
        self.files.sort()
        return self.files

    def _list(self, folder: _Folder) -> None:
        path = folder.prefix.rstrip("/")
        try:
            with os.scandir(folder.real) as listing:
                entries = list(listing)
            known = os.stat(folder.real)
        except OSError:
            self.files.skip(path, "unreadable")
            return
        if (known.st_dev, known.st_ino) in self.seen:
            self.files.skip(path, "not_a_file", "a link to a folder that is read already")
            return
        self.seen.add((known.st_dev, known.st_ino))
        if path:
            if is_output({entry.name for entry in entries}):
                self.files.outputs.append(path)
                return
            self.files.folders.append(path)
        for entry in entries:
            self._add(folder, entry)

    def _add(self, folder: _Folder, entry: os.DirEntry[str]) -> None:
        path = folder.prefix + entry.name
        if is_litter(entry.name):
            return
        if entry.is_symlink():
            self._follow(path, entry)
        elif entry.is_dir(follow_symlinks=False):
            self.waiting.append(_Folder(path + "/", folder.real / entry.name, folder.linked))
        elif entry.is_file(follow_symlinks=False):
            self._file(path, entry.path, folder.linked)
        else:
            self.files.skip(path, "not_a_file")

    def _follow(self, path: str, entry: os.DirEntry[str]) -> None:
        try:
            target = Path(entry.path).resolve(strict=True)
        except (OSError, RuntimeError):  # dangling, or a loop
            self.files.skip(path, "not_a_file", "a link that leads to no file")
            return
        if not (target.is_dir() or target.is_file()):
            self.files.skip(path, "not_a_file")
        elif not (self.follow_links or target.is_relative_to(self.root)):
            self.files.skip(path, "not_a_file", LINKED)
        elif target.is_dir():
            self.linked.append(_Folder(path + "/", target, True))
        else:
            self._file(path, target, True)

    def _file(self, path: str, real: str | Path, linked: bool) -> None:
        if linked:
            self.files.links[path] = ListedPath(real)
        image = named_as_image(path) or _starts_as_image(real)
        (self.files.images if image else self.files.others).append(path)


def is_output(names: set[str]) -> bool:
    """Says whether a folder of these names is one that SeeWhy has written: a run, or `--out` of a verb."""
    if any(output <= names for output in _OUTPUTS):
        return True
    return {name for name in names if not name.endswith(".png")} == {"findings.csv"}


def _starts_as_image(path: str | Path) -> bool:
    try:
        with open_listed(ListedPath(path)) as file:
            return is_image(file.read(16))
    except OSError:
        return False
