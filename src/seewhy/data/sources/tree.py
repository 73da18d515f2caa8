"""The files that lie at a path: below a folder, in a zip, or one alone. Layouts look at nothing else."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from seewhy.data.images.decode import Picture
from seewhy.data.sources.folders import Scan, scan
from seewhy.data.sources.source import Reading, Record, Source, evenly
from seewhy.data.sources.zips import DAMAGE, open_zip, scan_zip
from seewhy.errors import ArchiveError, ImageError
from seewhy.text import visible


@dataclass(frozen=True)
class Tree:
    """Files by their paths below `path`, a folder or a zip; or the one file that `path` is.

    Layouts open only what the scan has found, so that no name in a table leads anywhere else.
    `picture` gives what the decoder reads, or why it cannot: the path in a folder, bytes from a zip.
    """

    path: Path
    scan: Scan
    picture: Callable[[str], Picture]
    open: Callable[[str], BinaryIO]

    def top(self, suffix: str) -> list[str]:
        """Returns the files with this ending that lie in no folder."""
        files = self.scan.others
        return [name for name in files if "/" not in name and name.lower().endswith(suffix)]

    def watched(self, files: list[str]) -> tuple[Path, tuple[str, ...]]:
        """Returns where these files lie on disk and what they are called there, for the cache."""
        if self.path.is_dir():
            return self.path, tuple(files)
        return self.path.parent, (self.path.name,)

    def notes(self, unused: int) -> tuple[str, ...]:
        """Returns lines on what is passed over: `unused` files, hidden ones, and what is no file."""
        others, skipped = unused + self.scan.hidden, len(self.scan.skipped)
        notes = [f"{others:,} other files passed over"] if others else []
        if skipped:
            notes.append(f"{skipped:,} links, pipes or unreadable folders skipped")
        return tuple(notes)


def tree_at(path: Path) -> Tree:
    """Looks through what lies at a path: for a CSV in its folder, where it is the only one then.

    Raises `ArchiveError` for a zip that is not to be opened.
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
    """A picture of a tree and what it shows; `split` and `group` as in `Record`."""

    path: str
    label: str
    split: str
    group: str | None = None


def labelled_source(
    layout: str,
    tree: Tree,
    pictures: Sequence[Labelled],
    notes: tuple[str, ...],
    *,
    table: str | None = None,
    missing: Sequence[tuple[Labelled, ImageError]] = (),
    key: str = "",
    grouped: bool = False,
) -> Source:
    """Returns the source of these pictures, and of those that a `table` names and that are `missing`."""

    def records() -> Iterator[Record]:
        for path, label, split, group in pictures:
            yield Record(path, label, split, tree.picture(path), group)
        for (path, label, split, group), error in missing:
            yield Record(path, label, split, error, group)

    def sample() -> Iterable[Picture]:
        seen = [picture.path for picture in pictures if picture.split != "test"]
        return (tree.picture(seen[place]) for place in evenly(len(seen)))

    files = [picture.path for picture in pictures]
    root, watched = tree.watched([table, *files] if table else files)
    return Source(
        layout,
        root,
        watched,
        lambda: Reading(len(pictures) + len(missing), None, records()),
        sample,
        key=key,
        grouped=grouped,
        skipped=tuple(tree.scan.skipped),
        notes=notes,
    )


def _zip(path: Path) -> Tree:
    archive = open_zip(path, path.name)
    found, entries = scan_zip(archive, path.name)

    def picture(name: str) -> Picture:
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

    return Tree(path, found, picture, opened)
