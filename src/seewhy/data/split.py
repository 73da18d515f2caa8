"""Train, validation and sealed test: drawn by content, so that names and order do not matter.

Pictures that are identical, or of one group, are one *unit* and never parted. Units are drawn within
their class in the order of a keyed hash, `sha256(seed, group or content)`: the same seed draws the
same pictures whatever their names, and adding pictures moves few of the others.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.config.input_rule import InputRule
from seewhy.data.bad_files import BadFile, write_csv
from seewhy.data.images import near_duplicates
from seewhy.data.imageset import ImageSet
from seewhy.errors import DataError, UntrainableError, UsageError
from seewhy.text import visible

WITHOUT_SPLIT = {"val": 0.2, "test": 0.1}  # of a source that has no split at all


class SealedSet:
    """Test images that training, tuning, thresholds, advice and compression never open.

    Their number, names, classes and hashes may be known, the perceptual ones too: looking for leaks is
    no reading. The images themselves are behind `unseal`; no attribute gives them.
    """

    __slots__ = ("__images",)

    def __init__(self, images: ImageSet) -> None:
        self.__images = images

    def __len__(self) -> int:
        return len(self.__images)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.__images.classes

    @property
    def ids(self) -> np.ndarray:
        return self.__images.ids

    @property
    def counts(self) -> np.ndarray:
        return self.__images.counts

    @property
    def hashes(self) -> np.ndarray:
        return self.__images.hashes

    def describe(self) -> np.ndarray:
        """Returns the descriptors of `near_duplicates`."""
        return np.concatenate(
            [near_duplicates.describe(images) for images in self.__images.chunks()]
        )

    def look(self, rows: np.ndarray) -> np.ndarray:
        """Returns what `near_duplicates` compares, to confirm that an image elsewhere is also here."""
        return near_duplicates.look(self.__images.images[rows])

    @property
    def fingerprint(self) -> str:
        return self.__images.fingerprint

    def manifest(self) -> Iterator[Sequence[object]]:
        """Returns the rows of `splits.csv`: names, labels, hashes and groups, and no pixels."""
        return _manifest("test", self.__images)

    def unseal(self) -> ImageSet:
        """Returns the images; called by `evaluate` alone, which numbers each reading."""
        return self.__images


@dataclass(frozen=True, eq=False)
class Splits:
    """What training and evaluation start from.

    `left_out` are training or validation pictures that leak into another split, are beyond the limit,
    or are none of the classes (label -1); `bad` the files that are no usable picture; `merged` classes
    that the source spells in several forms of Unicode; `drawn` says that the source brought no split;
    `notes` are for the user.
    """

    train: ImageSet
    val: ImageSet
    test: SealedSet | None
    left_out: ImageSet
    rule: InputRule
    layout: str
    bad: tuple[BadFile, ...] = ()
    merged: tuple[str, ...] = ()
    drawn: bool = False
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits over train and val; test is not needed for it."""
        both = f"{self.train.fingerprint} {self.val.fingerprint}"
        return hashlib.sha256(both.encode()).hexdigest()


def units(hashes: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Returns the unit of each picture, int64 `(N,)`: what is identical or of one group is one."""
    same_content = np.unique(hashes, return_inverse=True)[1]
    if groups is None:
        return same_content
    same_group = np.unique(groups, return_inverse=True)[1]
    alone = groups == ""
    same_group[alone] = len(groups) + np.arange(np.count_nonzero(alone))
    unit = same_content
    while True:  # spread the lowest number through both relations until nothing moves
        spread = _lowest(same_content, _lowest(same_group, unit))
        if np.array_equal(spread, unit):
            return unit
        unit = spread


def ranks(keys: Iterable[bytes], seed: int) -> np.ndarray:
    """Returns the place of each key in the draw of this seed, uint64: the head of its keyed hash."""
    start = hashlib.sha256(f"{seed}\n".encode())

    def rank(key: bytes) -> int:
        digest = start.copy()
        digest.update(key)
        return int.from_bytes(digest.digest()[:8], "big")

    return np.fromiter(map(rank, keys), np.uint64)


def draw(labels: np.ndarray, unit: np.ndarray, rank: np.ndarray, share: float) -> np.ndarray:
    """Returns which pictures are drawn, bool `(N,)`: in each class the first units, about `share`.

    A class of two units or more has one drawn and one left at least; one of a single unit none
    drawn. A unit counts for the lowest of its labels.
    """
    index, size = np.unique(unit, return_inverse=True, return_counts=True)[1:]
    drawn = np.zeros(len(size), bool)
    for _, members in _by_class(labels, index, rank):
        taken = np.concatenate([[0], np.cumsum(size[members])])
        nearest = int(np.argmin(np.abs(taken - share * taken[-1])))
        drawn[members[: min(max(nearest, 1), len(members) - 1)]] = True
    return drawn[index]


def folds(labels: np.ndarray, unit: np.ndarray, rank: np.ndarray, count: int) -> np.ndarray:
    """Returns the fold of each picture, int64 `(N,)` from 0 to `count` - 1: units whole, classes even.

    A class's units are laid end to end and cut into `count` equal stretches; a unit belongs where its
    middle lies. Each class starts with another fold, so that small ones do not fill the same. No fold
    holds all of a class that has two units or more.
    """
    index, size = np.unique(unit, return_inverse=True, return_counts=True)[1:]
    fold = np.zeros(len(size), np.int64)
    for label, members in _by_class(labels, index, rank):
        end = np.cumsum(size[members])
        middle = end - size[members] / 2
        fold[members] = ((middle * count / end[-1]).astype(np.int64) + label) % count
    return fold[index]


def part(images: ImageSet, limit: int, rank: np.ndarray) -> np.ndarray:
    """Returns which `limit` pictures are kept, bool `(N,)`: the same share of each class, at least 1.

    Raises `DataError` when there are more classes than that.
    """
    counts = images.counts
    if limit < np.count_nonzero(counts):
        raise DataError(
            f"a limit of {limit:,} training pictures cannot hold the {np.count_nonzero(counts)} "
            "classes: raise --data.limit"
        )
    exact = limit * counts / counts.sum()
    quota = np.where(counts > 0, np.maximum(1, exact.astype(np.int64)), 0)
    while quota.sum() < limit:
        quota[np.argmax(exact - quota)] += 1
    while quota.sum() > limit:
        quota[np.argmax(np.where(quota > 1, quota - exact, -np.inf))] -= 1
    order = np.lexsort((rank, images.labels))
    place = np.empty(len(images), np.int64)
    place[order] = np.arange(len(images)) - (np.cumsum(counts) - counts)[images.labels[order]]
    return place < quota[images.labels]


def assign(
    images: ImageSet,
    given: np.ndarray,
    val: float,
    seed: int,
    limit: int | None,
    fold: tuple[int, int] | None = None,
    test: float | None = None,
) -> tuple[np.ndarray, list[str]]:
    """Returns the split of each picture ("train", "val", "test", "left_out") and notes about it.

    `given` is what the source says: "train", "val", "test", or "" for a source without a split. `fold`
    (i, k) makes val the i-th of k parts of what else would be train and val; test stays as it is.
    `val` and `test` are shares; the latter raises `UsageError` where the source has splits.
    """
    if fold is not None:
        given = np.where(given == "val", "train", given)
    unit = units(images.hashes, images.groups)
    rank = ranks(_keys(images), seed)
    split = given.astype("U8")
    notes = _leave_out_leaks(split, unit)

    def move(name: str, source: str, share: float) -> None:
        rows = np.flatnonzero(split == source)
        split[rows[draw(images.labels[rows], unit[rows], rank[rows], share)]] = name

    if "" in given:
        shares = WITHOUT_SPLIT if test is None else {"val": val, "test": test}
        move("val", "", shares["val"])
        move("test", "", shares["test"] / (1 - shares["val"]))
        split[split == ""] = "train"
        parts = "/".join(f"{100 * part:g}" for part in (1 - sum(shares.values()), *shares.values()))
        notes.append(f"no split given: drawn {parts} by content, seed {seed}")
    elif test is not None:
        raise UsageError(
            "data.test has no effect where the source has splits of its own: leave it out"
        )
    elif fold is None and "val" not in given and "train" in given:
        move("val", "train", val)
        drawn = np.count_nonzero(split == "val")
        notes.append(f"val: {drawn:,} images drawn from train by content, seed {seed}")
    if fold is not None:
        rows = np.flatnonzero((split == "train") | (split == "val"))
        place = folds(images.labels[rows], unit[rows], rank[rows], fold[1])
        split[rows] = np.where(place == fold[0], "val", "train")
        held = np.count_nonzero(place == fold[0])
        notes.append(f"val: {held:,} of {len(rows):,} images, fold {fold[0]} (0 to {fold[1] - 1})")
    rows = np.flatnonzero(split == "train")
    if limit is not None and limit < len(rows):
        split[rows[~part(images.take(rows), limit, rank[rows])]] = "left_out"
        notes.append(f"train: limited to {limit:,} of {len(rows):,} images")
    return split, notes


def check_names(names: tuple[str, ...]) -> None:
    """Refuses class names that a model file cannot hold, before anything is trained."""
    for name in names:
        controls = any(unicodedata.category(character) in ("Cc", "Cs") for character in name)
        if not 1 <= len(name) <= 256 or controls:
            raise UntrainableError(
                f"the class name {visible(name[:80])!r} is empty, longer than 256 characters, or has "
                "characters that cannot be shown",
                "rename it",
            )


def check_classes_trained(images: ImageSet, split: np.ndarray) -> None:
    """Raises `DataError` when a class has no training picture, or nothing is left to validate on."""
    if len(images.classes) < 2:
        raise UntrainableError(
            f"there is one class, {visible(images.classes[0])}",
            "a classifier needs two. Is this the folder above the class folders?",
        )
    counts = images.take(split == "train").counts
    empty = [visible(name) for name, n in zip(images.classes, counts, strict=True) if n == 0]
    if empty:
        shown = ", ".join(empty[:10]) + (f" and {len(empty) - 10} more" if len(empty) > 10 else "")
        raise UntrainableError(
            f"no training pictures of {shown}",
            "add some, or remove the class (its other pictures too)",
        )
    if not np.any(split == "val"):
        raise UntrainableError(
            "nothing to validate on", "a class needs two different pictures (or groups) at least"
        )


def write_splits(splits: Splits, path: Path) -> None:
    """Writes `splits.csv`: id, split (train, val, test, left_out), label, content hash, group."""
    test = () if splits.test is None else splits.test.manifest()
    opened = ("train", splits.train), ("val", splits.val), ("left_out", splits.left_out)
    train, val, left_out = (_manifest(name, images) for name, images in opened)
    rows = [*train, *val, *test, *left_out]
    write_csv(("id", "split", "label", "hash", "group"), rows, path)


def _manifest(name: str, images: ImageSet) -> Iterator[Sequence[object]]:
    classes = [*images.classes, ""]  # the last for label -1
    groups: Iterable[Any] = [""] * len(images) if images.groups is None else images.groups
    columns = zip(images.ids, images.labels, images.hashes.tolist(), groups, strict=True)
    for key, label, digest, group in columns:
        yield key, name, classes[label], digest.decode(), group


def _keys(images: ImageSet) -> Iterable[bytes]:
    if images.groups is None:
        return iter(images.hashes)
    return (
        group.encode("utf-8", "surrogateescape") or digest
        for group, digest in zip(images.groups, images.hashes, strict=True)
    )


def _by_class(
    labels: np.ndarray, index: np.ndarray, rank: np.ndarray
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields each class with its units, in the order of the draw; `index` (N,) numbers them from 0."""
    label = np.full(int(index.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(label, index, labels)
    first = np.full(len(label), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(first, index, rank)
    for number in np.unique(label):
        members = np.flatnonzero(label == number)
        yield int(number), members[np.argsort(first[members], kind="stable")]


def _lowest(relation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Returns for each picture the lowest value among those it is related to."""
    lowest = np.full(int(relation.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, relation, value)
    return lowest[relation]


def _leave_out_leaks(split: np.ndarray, unit: np.ndarray) -> list[str]:
    """Marks pictures whose unit is also in test, or training ones whose unit is also in val."""
    notes = []
    for source, target in (("train", "test"), ("val", "test"), ("train", "val")):
        leak = (split == source) & np.isin(unit, unit[split == target])
        split[leak] = "left_out"
        if leak.any():
            notes.append(
                f"{source}: {np.count_nonzero(leak):,} images left out, identical to "
                f"(or of one group with) {target} images"
            )
    return notes
