"""What every layout is read into: a stream of labelled pictures."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from seewhy.data.bad_files import BadFile
from seewhy.data.images.decode import Picture

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Record(NamedTuple):
    """One labelled picture, not yet decoded; `split` is "train", "val", "test", or "" for none.

    `picture` is an error where the source already knows that there is none. `group` is "" for none,
    or None in a source without groups.
    """

    id: str
    label: str
    split: str
    picture: Picture
    group: str | None = None


class Reading(NamedTuple):
    """A pass over a source: about how many records, the order of classes (None: sorted), records."""

    total: int
    classes: tuple[str, ...] | None
    records: Iterator[Record]


@dataclass(frozen=True)
class Source:
    """A recognised source, nothing of it read yet.

    `files` are the paths below `root` that the records are made of: the cache watches their content.
    `key` names all else that the records depend on; `grouped` says that they carry groups. `sample`
    gives some pictures outside test, from which the usual size is known. `skipped` are links, pipes
    and the like; `names` those of the classes where the source only numbers them; `notes` lines for the user.
    `corrections` are the right classes of pictures whose labels are wrong, by content hash; None: no class.
    """

    layout: str
    root: Path
    files: tuple[str, ...]
    read: Callable[[], Reading]
    sample: Callable[[], Iterable[Picture]]
    key: str = ""
    grouped: bool = False
    names: tuple[str, ...] | None = None
    skipped: tuple[BadFile, ...] = ()
    notes: tuple[str, ...] = ()
    corrections: Mapping[bytes, str | None] = field(default_factory=dict)


SAMPLE = 1_000


def evenly(count: int) -> range:
    """Returns at most `SAMPLE` (or just above) places, evenly over `count`."""
    return range(0, count, max(1, count // SAMPLE))
