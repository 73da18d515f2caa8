"""Images to label, in order: files, and the images inside packs, parquet files, tars and zips.

What is inside a file is read from it one by one, whether it has labels or not. Its rows are named by the path
of the file and the name inside, `photos.tar/cat.jpg`.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seewhy.data.images.decode import ImageLike
from seewhy.data.shards import open_pack
from seewhy.data.sources.archives import TARS
from seewhy.data.sources.packs import SUFFIX as PACK
from seewhy.data.sources.packs import is_address, is_pack_folder
from seewhy.data.sources.parquet import images_in_parquet
from seewhy.data.sources.tree import tree_at
from seewhy.data.sources.webdataset import braced
from seewhy.errors import ArchiveError, ImageError
from seewhy.events import OnEvent, ignore
from seewhy.files import named_path
from seewhy.workflows.named_images import named_images

Named = tuple[str, ImageLike]
_SUFFIXES = (PACK, ".parquet", ".zip", *TARS)


@dataclass(frozen=True)
class Part:
    """Some images: how many, what they are inside of, and a function that yields those from one on."""

    count: int
    digest: bytes
    images: Callable[[int], Iterator[Named]]
    files: Sequence[str] = ()


class Inputs:
    """All images that are to be labelled."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self.files = [name for part in parts for name in part.files]

    def __len__(self) -> int:
        return sum(part.count for part in self._parts)

    @property
    def inside(self) -> bool:
        """Whether some are inside a file, and no files themselves."""
        return len(self.files) < len(self)

    @property
    def digest(self) -> str:
        """64 hex digits over the names, and the content of what the images are inside of."""
        digest = hashlib.sha256()
        for part in self._parts:
            digest.update(part.digest)
            for name in part.files:
                digest.update(name.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()

    def starting(self, first: int) -> Iterator[Named]:
        """Yields the images from the number `first` on, with their names."""
        for part in self._parts:
            if first < part.count:
                yield from part.images(first)
            first = max(first - part.count, 0)


def inputs(
    paths: Iterable[str | Path], *, follow_links: bool = False, on_event: OnEvent = ignore
) -> Inputs:
    """Returns the images of files, folders, globs, lists, packs, parquet files and archives, in order.

    Raises `UsageError` if there are none, `DataError` for a file that cannot be read.
    """
    parts: list[Part] = []
    plain: list[str | Path] = []

    def list_plain() -> None:
        if plain:
            parts.append(_files(named_images(plain, follow_links=follow_links, on_event=on_event)))
            plain.clear()

    for path in paths:
        if is_container(path):
            list_plain()
            parts.extend(_inside(path))
        else:
            plain.append(path)
    list_plain()
    return Inputs(parts)


def is_container(path: str | Path) -> bool:
    """Says whether images are inside of what a path names: a file that holds some, or several tars."""
    if is_address(path):
        return True
    place = named_path(path)
    if place.is_dir():
        return is_pack_folder(place)
    return place.name.lower().endswith(_SUFFIXES) and (place.is_file() or "{" in place.name)


def _files(names: list[str]) -> Part:
    return Part(len(names), b"", lambda first: ((name, name) for name in names[first:]), names)


def _inside(path: str | Path) -> Iterator[Part]:
    place = named_path(path)
    if is_address(path) or place.suffix.lower() == PACK:
        yield _pack(path if is_address(path) else place)
    elif files := braced(place):
        for file in files:
            yield _archive(file)
    elif place.suffix.lower() == ".parquet":
        count, images = images_in_parquet(place)
        yield _part(place, count, b"", images)
    else:
        yield _archive(place)


def _pack(path: str | Path) -> Part:
    pack = open_pack(path)

    def images(first: int) -> Iterator[Named]:
        for row in range(first, len(pack)):
            try:
                yield pack.about.ids[row], pack.image(row)
            except ArchiveError as error:
                yield pack.about.ids[row], ImageError("undecodable", str(error))

    return _part(path, len(pack), pack.digest.encode(), images)


def _archive(path: Path) -> Part:
    tree = tree_at(path)
    names = tree.scan.images

    def images(first: int) -> Iterator[Named]:
        for name in names[first:]:
            try:
                yield name, tree.image(name)
            except ArchiveError as error:
                yield name, ImageError("undecodable", str(error))

    return _part(path, len(names), b"\0".join(map(os.fsencode, names)), images)


def _part(
    path: str | Path, count: int, content: bytes, images: Callable[[int], Iterator[Named]]
) -> Part:
    """The part of a file; its size and time stand for bytes that are not read before their turn."""
    seen = os.stat(path) if isinstance(path, Path) else None
    look = b"" if seen is None else f"{seen.st_size} {seen.st_mtime_ns}".encode()
    digest = b"\0".join([os.fsencode(path), look, hashlib.sha256(content).digest()])

    def named(first: int) -> Iterator[Named]:
        return ((f"{path}/{name}", image) for name, image in images(first))

    return Part(count, digest, named)
