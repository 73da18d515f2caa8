"""The files at a path: below a folder, in a zip or a tar, or a single one. Layouts open no other files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from seewhy.data.images.decode import ImageLike, ListedPath
from seewhy.data.images.formats import OPTIONAL
from seewhy.data.sources import tars
from seewhy.data.sources.archives import TARS
from seewhy.data.sources.folders import LINKED, Scan, open_listed, scan
from seewhy.data.sources.source import Reading, Record, Source, evenly
from seewhy.data.sources.splits import lone
from seewhy.data.sources.spreadsheet import SUFFIXES as TABLES
from seewhy.data.sources.zips import DAMAGE, open_zip, scan_zip
from seewhy.errors import ArchiveError, ImageError
from seewhy.text import counted, shortened, visible


@dataclass(frozen=True)
class Tree:
    """Files by their paths below `path`, a folder or a zip; or the one file at `path`.

    Layouts open only what the scan has listed, so that no name in a table leads anywhere else.
    `image` returns what the decoder reads (a path in a folder, bytes from a zip), or an error. `below` are
    the folders that were looked through; `archives` are the zips in a folder that the images are in.
    """

    path: Path
    scan: Scan
    image: Callable[[str], ImageLike]
    open: Callable[[str], BinaryIO]
    below: str = ""
    archives: tuple[str, ...] = ()

    def top(self, suffix: str) -> list[str]:
        """Returns the files with this suffix that are not in a folder."""
        files = self.scan.others
        return [name for name in files if "/" not in name and name.lower().endswith(suffix)]

    def watched(self, files: list[str]) -> tuple[Path, tuple[str, ...]]:
        """Returns the root and the names on disk of these files, for the cache."""
        if self.archives:
            files = [*(set(files) & set(self.scan.others)), *self.archives]
            return self.path, tuple(sorted(files))
        if self.path.is_dir():
            return self.path, tuple(files)
        return self.path.parent, (self.path.name,)

    def inside(self) -> "Tree | None":
        """Returns the tree below the one folder that holds all images, or without any images all folders."""
        folder = lone(self.scan.images or [path for path in self.scan.others if "/" in path])
        if folder is None:
            return None

        def path(name: str) -> str:
            return f"{folder}/{name}"

        return Tree(
            self.path / folder if self.path.is_dir() else self.path,
            self.scan.inside(folder),
            lambda name: self.image(path(name)),
            lambda name: self.open(path(name)),
            f"{self.below}/{folder}".lstrip("/"),
        )

    def notes(self, unused: int) -> tuple[str, ...]:
        """Returns lines on what is ignored: `unused` files, those beside, and what is not a file."""
        others = unused + self.scan.beside
        skipped = sum(file.error != LINKED for file in self.scan.skipped)
        notes = [f"{counted(others, 'other file')} ignored"] if others else []
        if self.scan.outputs:
            notes.append(f"output of SeeWhy, ignored: {shortened(self.scan.outputs)}")
        notes += filter(None, [self.scan.left_links()])
        if skipped:
            notes.append(f"skipped links, pipes and unreadable folders: {skipped:,}")
        return tuple(notes)


def tree_at(path: Path, follow_links: bool = False) -> Tree:
    """Lists the files at a path; a table stands for its folder, without the other files there.

    Raises `ArchiveError` for a zip or tar that must not be opened.
    """
    if path.is_dir():
        return _folder(path, follow_links)
    if path.suffix.lower() in TABLES:
        beside = tree_at(path.parent, follow_links)
        return replace(beside, scan=replace(beside.scan, others=[path.name]))
    if path.suffix.lower() == ".zip":
        return _zip(path)
    if path.name.lower().endswith(TARS):
        return _tar(path)
    alone = Scan(others=[path.name])
    return Tree(path, alone, path.parent.joinpath, lambda name: open(path, "rb"))


class Labelled(NamedTuple):
    """An image of a tree and its label; `split` and `group` as in `Record`."""

    path: str
    label: str
    split: str
    group: str | None = None


def labelled_source(
    layout: str,
    tree: Tree,
    images: Sequence[Labelled],
    notes: tuple[str, ...],
    *,
    tables: Sequence[str] = (),
    missing: Sequence[tuple[Labelled, ImageError]] = (),
    key: str = "",
    grouped: bool = False,
) -> Source:
    """Returns the source of these images, and of those in `tables` that are `missing`."""

    def records() -> Iterator[Record]:
        for path, label, split, group in images:
            yield Record(path, label, split, tree.image(path), group)
        for (path, label, split, group), error in missing:
            yield Record(path, label, split, error, group)

    def sample() -> Iterable[ImageLike]:
        seen = [image.path for image in images if image.split != "test"]
        return (tree.image(seen[place]) for place in evenly(len(seen)))

    files = [image.path for image in images]
    return Source(
        layout,
        *tree.watched([*tables, *files]),
        lambda: Reading(len(images) + len(missing), None, records()),
        sample,
        key=f"{key} {' '.join(OPTIONAL)}",  # an image in a format that is read since then is read again
        grouped=grouped,
        skipped=tuple(tree.scan.skipped),
        notes=notes,
    )


def _folder(path: Path, follow_links: bool) -> Tree:
    files, root = scan(path, follow_links), ListedPath(path)

    def real(name: str) -> ListedPath:
        return files.links.get(name) or root / name

    return Tree(path, files, real, lambda name: open_listed(real(name)))


def _zip(path: Path) -> Tree:
    archive = open_zip(path, path.name)
    files, entries = scan_zip(archive, path.name)

    def image(name: str) -> ImageLike:
        try:
            return archive.read(entries[name])
        except DAMAGE:
            return ImageError("undecodable", "it is damaged in the zip")

    def opened(name: str) -> BinaryIO:
        try:
            return BytesIO(archive.read(entries[name]))
        except DAMAGE as error:
            detail = f"{visible(name)}: {error}"
            raise ArchiveError(visible(path.name), "zip_damaged", detail) from None

    return Tree(path, files, image, opened)


def _tar(path: Path) -> Tree:
    tar = tars.tar_at(path)
    return Tree(path, tar.scan, tar.read, lambda name: BytesIO(tar.read(name)))
