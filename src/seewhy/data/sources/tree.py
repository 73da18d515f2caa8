"""The files at a path: below a folder, in a zip, or a single one. Layouts open no other files."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from seewhy.data.images.decode import ImageLike
from seewhy.data.sources.folders import Scan, scan
from seewhy.data.sources.source import Reading, Record, Source, evenly
from seewhy.data.sources.zips import DAMAGE, open_zip, scan_zip
from seewhy.errors import ArchiveError, ImageError
from seewhy.text import visible


@dataclass(frozen=True)
class Tree:
    """Files by their paths below `path`, a folder or a zip; or the one file at `path`.

    Layouts open only what the scan has listed, so that no name in a table leads anywhere else.
    `image` returns what the decoder reads (a path in a folder, bytes from a zip), or an error.
    """

    path: Path
    scan: Scan
    image: Callable[[str], ImageLike]
    open: Callable[[str], BinaryIO]

    def top(self, suffix: str) -> list[str]:
        """Returns the files with this suffix that are not in a folder."""
        files = self.scan.others
        return [name for name in files if "/" not in name and name.lower().endswith(suffix)]

    def watched(self, files: list[str]) -> tuple[Path, tuple[str, ...]]:
        """Returns the root and the names on disk of these files, for the cache."""
        if self.path.is_dir():
            return self.path, tuple(files)
        return self.path.parent, (self.path.name,)

    def notes(self, unused: int) -> tuple[str, ...]:
        """Returns lines on what is ignored: `unused` files, hidden ones, and what is not a file."""
        others, skipped = unused + self.scan.hidden, len(self.scan.skipped)
        notes = [f"{others:,} other files ignored"] if others else []
        if skipped:
            notes.append(f"{skipped:,} links, pipes or unreadable folders skipped")
        return tuple(notes)


def tree_at(path: Path) -> Tree:
    """Lists the files at a path; a CSV stands for its folder, without the other files there.

    Raises `ArchiveError` for a zip that must not be opened.
    """
    if path.is_dir():
        return Tree(path, scan(path), path.joinpath, lambda name: open(path / name, "rb"))
    if path.suffix.lower() == ".csv":
        beside = tree_at(path.parent)
        return replace(beside, scan=replace(beside.scan, others=[path.name]))
    if path.suffix.lower() == ".zip":
        return _zip(path)
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
    table: str | None = None,
    missing: Sequence[tuple[Labelled, ImageError]] = (),
    key: str = "",
    grouped: bool = False,
) -> Source:
    """Returns the source of these images, and of those in a `table` that are `missing`."""

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
        *tree.watched([table, *files] if table else files),
        lambda: Reading(len(images) + len(missing), None, records()),
        sample,
        key=key,
        grouped=grouped,
        skipped=tuple(tree.scan.skipped),
        notes=notes,
    )


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
