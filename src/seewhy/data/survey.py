"""What the images of a source decide about the input rule of a training; kept in the cache."""

import hashlib
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from seewhy.data.cache import read_all
from seewhy.data.cache_root import cache_root
from seewhy.data.images.colour import Depth
from seewhy.data.images.decode import ImageLike, measure
from seewhy.data.images.depth import common_depth, value_range
from seewhy.data.sources.source import Source
from seewhy.data.stamps import Content
from seewhy.errors import ImageError
from seewhy.files import write_atomic


@dataclass(frozen=True)
class Survey:
    """The median shorter side of images outside test, in pixels (None: there are none).

    `square` tells whether all of them are, `deep` whether some have more than 8 bits a channel.
    """

    side: int | None
    square: bool
    deep: bool


def survey_of(source: Source, content: Content) -> Survey:
    """Returns facts from the headers of some images outside test; of a pack from its index."""
    if source.pack is not None:
        return Survey(source.pack.about.rule.store, square=True, deep=False)
    file = cache_root() / "sets" / content.id / "survey.txt"
    if (words := _remembered(file)) is not None:
        return Survey(int(words[0]), words[1] == "square", words[2] == "deep")
    sizes, deep = [], False
    for image in source.sample():
        with suppress(ImageError):
            size, is_deep = measure(image)
            sizes.append(size)
            deep = deep or is_deep
    if not sizes:
        return Survey(None, square=True, deep=False)
    side = sorted(map(min, sizes))[len(sizes) // 2]
    square = all(width == height for width, height in sizes)
    _remember(file, f"{side} {'square' if square else 'any'} {'deep' if deep else 'flat'}")
    return Survey(side, square, deep)


def depth_of(source: Source, content: Content, train: Collection[str]) -> Depth | None:
    """Returns the depth by which the deep images among `train` (ids) are read, None if none is deep."""
    digest = hashlib.sha256("\n".join(sorted(train)).encode("utf-8", "surrogateescape")).hexdigest()
    file = cache_root() / "sets" / content.id / f"depth-{digest[:16]}.txt"
    if (words := _remembered(file)) is not None:
        return (float(words[0]), float(words[1])) if words != ["none"] else None
    records = (record for record in source.read().records if record.id in train)
    ranges = [
        one for _, results in read_all(records, 1, _range_of) for one in results if one is not None
    ]
    depth = common_depth(ranges)
    _remember(file, "none" if depth is None else f"{depth[0]!r} {depth[1]!r}")
    return depth


def _range_of(image: ImageLike) -> Depth | None:
    with suppress(ImageError):  # it will be a bad file
        return value_range(image)
    return None


def _remember(file: Path, text: str) -> None:
    write_atomic(file, f"{text} {hashlib.sha256(text.encode()).hexdigest()}\n".encode())


def _remembered(file: Path) -> list[str] | None:
    """Returns the words of a file that `_remember` wrote, None if it is missing or damaged."""
    with suppress(OSError, ValueError):
        text, _, digest = file.read_text("ascii").rstrip("\n").rpartition(" ")
        if digest == hashlib.sha256(text.encode()).hexdigest():
            return text.split(" ")
    return None
