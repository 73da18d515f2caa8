"""The form that every layout is read into: a stream of labelled images."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

from seewhy.data.bad_files import BadFile
from seewhy.data.images.decode import ImageLike
from seewhy.data.pack import Pack

T = TypeVar("T")
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class Record(NamedTuple):
    """One labelled image, not yet decoded; `split` is "train", "val", "test", "added", or "" for none.

    What is added belongs to train, and no val is drawn from it. `label` is the name of its class, "" if
    it has none: such an image is left out, and counted. `image` is an error if the source already knows that
    it cannot be read. `group` is "" for none, or None in a source without groups.
    """

    id: str
    label: str
    split: str
    image: ImageLike
    group: str | None = None


class Reading(NamedTuple):
    """A pass over a source: about how many records, the order of classes (None: sorted), records."""

    total: int
    classes: tuple[str, ...] | None
    records: Iterator[Record]


@dataclass(frozen=True)
class Source:
    """A recognised source whose images are not read yet.

    `files` are the paths below `root` that the records are read from: the cache hashes their content.
    `key` names everything else that the records depend on; `grouped` is true if they have groups. `sample`
    returns some images outside test, to measure the usual size. `skipped` are links, pipes and the like;
    `names` are the class names if the source only numbers its classes; `notes` are lines for the user.
    `corrections` are the right classes of images with wrong labels, by content hash; None: no class.
    `pack` is that which the images are read from, one by one and past the cache. `version` is the folder of a
    version of the data that adds images.
    """

    layout: str
    root: Path
    files: tuple[str, ...]
    read: Callable[[], Reading]
    sample: Callable[[], Iterable[ImageLike]]
    key: str = ""
    grouped: bool = False
    names: tuple[str, ...] | None = None
    skipped: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()
    corrections: Mapping[bytes, str | None] = field(default_factory=dict)
    pack: Pack | None = None
    version: Path | None = None


SAMPLE = 1_000


def some_of(parts: Sequence[T]) -> Sequence[T]:
    """Returns at most ten files, or parts of one, spread evenly over all: one may have a single class."""
    return parts[:: -(-len(parts) // 10) or 1]


def evenly(count: int) -> range:
    """Returns at most about `SAMPLE` positions, spread evenly over `count`."""
    return range(0, count, max(1, count // SAMPLE))
