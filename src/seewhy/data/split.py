"""Train, validation and sealed test: drawn by content, so that names and order do not matter.

Images that are identical, or of one group, form one *unit* and stay together. Units are drawn within
their class in the order of a keyed hash, `sha256(seed, group or content)`: the same seed draws the
same images whatever their names, and adding images moves few of the others.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.config.data import DataConfig
from seewhy.config.input_rule import InputRule
from seewhy.data.bad_files import BadFile, write_csv
from seewhy.data.class_names import NO_LABEL
from seewhy.data.images import near_duplicates
from seewhy.data.imageset import ImageSet, numbered
from seewhy.errors import DataError, UntrainableError, UsageError
from seewhy.text import counted, visible

# Of the class names in a model file, whose header has 1 MiB; the rest is for its other facts.
MAX_CLASSES, MAX_NAME_BYTES = 100_000, 1 << 19
WITHOUT_SPLIT = 0.2, 0.1  # shares of val and test in a source that has no split at all


class SealedSet:
    """Test images that training, tuning, thresholds, advice and compression never open.

    Their number, names, classes and hashes are open, perceptual hashes too: a search for leaks is not an
    evaluation. The images themselves are behind `unseal`; no attribute gives them.
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
        return np.concatenate(list(map(near_duplicates.describe, self.__images.chunks())))

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
        """Returns the images; only `evaluate` calls this, and it numbers each reading."""
        return self.__images


@dataclass(frozen=True, eq=False)
class Splits:
    """The data that training and evaluation start from.

    `left_out` are training or validation images that leak into another split, exceed the limit,
    or are none of the classes (label -1); `bad` are the files that are no usable image, and `skip_flags` are
    those with which a training leaves them out, where it refuses them; `merged` are classes that the source
    spells in several ways; `drawn` is true if the source has no split of its own; `notes` are for the user;
    `config` is what it was read by.
    """

    train: ImageSet
    val: ImageSet
    test: SealedSet | None
    left_out: ImageSet
    rule: InputRule
    layout: str
    bad: tuple[BadFile, ...] = ()
    skip_flags: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    drawn: bool = False
    notes: tuple[str, ...] = ()
    config: DataConfig = DataConfig()  # noqa: RUF009 (frozen)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    @property
    def sizes(self) -> dict[str, int]:
        """The number of images of each split."""
        test = 0 if self.test is None else len(self.test)
        return {"train": len(self.train), "val": len(self.val), "test": test}

    @property
    def hashes(self) -> np.ndarray:
        """The content hashes of the images of all splits."""
        test = [] if self.test is None else [self.test.hashes]
        return np.concatenate([self.train.hashes, self.val.hashes, *test])

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits over train and val; test is not used."""
        both = f"{self.train.fingerprint} {self.val.fingerprint}"
        return hashlib.sha256(both.encode()).hexdigest()


def units(hashes: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Returns the unit of each image, int64 `(N,)`: identical images, and those of one group, share one."""
    same_content = np.unique(hashes, return_inverse=True)[1]
    if groups is None:
        return same_content
    same_group, unit = numbered(groups), same_content
    while True:  # spread the lowest number through both relations until nothing changes
        spread = _lowest(same_content, _lowest(same_group, unit))
        if np.array_equal(spread, unit):
            return unit
        unit = spread


def ranks(keys: Iterable[bytes], seed: int) -> np.ndarray:
    """Returns the rank of each key in the draw of this seed, uint64: the first bytes of its keyed hash."""
    digests = (hashlib.sha256(f"{seed}\n".encode() + key).digest() for key in keys)
    return np.fromiter((int.from_bytes(digest[:8], "big") for digest in digests), np.uint64)


def draw(labels: np.ndarray, unit: np.ndarray, rank: np.ndarray, share: float) -> np.ndarray:
    """Returns which images are drawn, bool `(N,)`: in each class the first units, about `share`.

    In a class of two or more units, at least one is drawn and at least one is not; a single unit is
    never drawn. A unit counts for the lowest of its labels.
    """
    index, size = np.unique(unit, return_inverse=True, return_counts=True)[1:]
    drawn = np.zeros(len(size), bool)
    for _, members in _by_class(labels, index, rank):
        taken = np.concatenate([[0], np.cumsum(size[members])])
        nearest = int(np.argmin(np.abs(taken - share * taken[-1])))
        drawn[members[: min(max(nearest, 1), len(members) - 1)]] = True
    return drawn[index]


def folds(labels: np.ndarray, unit: np.ndarray, rank: np.ndarray, count: int) -> np.ndarray:
    """Returns the fold of each image, int64 `(N,)` from 0 to `count` - 1, stratified by class.

    The units of a class are laid end to end and cut into `count` equal sections; a unit belongs to the
    section of its middle. Each class starts with another fold, so that small classes do not fill the same
    ones. No fold holds all of a class that has two or more units.
    """
    index, size = np.unique(unit, return_inverse=True, return_counts=True)[1:]
    fold = np.zeros(len(size), np.int64)
    for label, members in _by_class(labels, index, rank):
        end = np.cumsum(size[members])
        middle = end - size[members] / 2
        fold[members] = ((middle * count / end[-1]).astype(np.int64) + label) % count
    return fold[index]


def part(images: ImageSet, limit: int, rank: np.ndarray) -> np.ndarray:
    """Returns which `limit` images are kept, bool `(N,)`: the same share of each class, at least 1.

    Raises `DataError` if there are more classes than `limit`.
    """
    counts = images.counts
    if limit < np.count_nonzero(counts):
        raise DataError(
            f"{counted(limit, 'training image', 'are')} fewer than the "
            f"{counted(np.count_nonzero(counts), 'class')}: raise --data.limit"
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


def shares(config: DataConfig) -> tuple[float, float]:
    """The shares of val and test that are drawn from a source without any split. Raises `UsageError`."""
    if config.test is None and not config.names_val_alone:
        return WITHOUT_SPLIT
    val, test = config.val, config.test or WITHOUT_SPLIT[1]
    if val + test >= 1:
        raise UsageError(f"val {val:g} and test {test:g} leave nothing to train on: lower data.val")
    return val, test


def assign(
    images: ImageSet, original: np.ndarray, config: DataConfig
) -> tuple[np.ndarray, list[str]]:
    """Returns the split of each image ("train", "val", "test", "left_out") and notes about it.

    `original` is the split in the source: "train", "val", "test", "added" for what belongs to train whatever
    is drawn, or "" for none. With folds, val is one of k parts of all others that are not test. Raises
    `UsageError` for a share of test if the source has splits.
    """
    fold, seed = config.held_out, config.split_seed
    if fold is not None:
        original = np.where(original == "val", "train", original)
    unit, rank = units(images.hashes, images.groups), ranks(_keys(images), seed)
    split = original.astype("U8")
    notes = _leave_out_leaks(split, unit)

    def move(name: str, source: str, share: float) -> None:
        rows = np.flatnonzero(split == source)
        split[rows[draw(images.labels[rows], unit[rows], rank[rows], share)]] = name

    if config.names_val_alone and "val" in original and fold is None:
        notes.append(f"data.val {config.val:g} has no effect: the source has its own val")
    elif config.names_val_alone and "" not in original and config.fold == 0:  # it says it for all
        notes.append(f"data.val {config.val:g} has no effect: each fold is val once")
    if "" in original:
        val, test = shares(config)
        move("val", "", val)
        move("test", "", test / (1 - val))
        split[split == ""] = "train"
        parts = "/".join(f"{100 * part:g}" for part in (1 - (val + test), val, test))
        notes.append(f"no split given: drawn {parts} by content, seed {seed}")
    elif config.test is not None:
        raise UsageError("data.test has no effect if the source has its own splits: leave it out")
    elif fold is None and "val" not in original and "train" in original:
        move("val", "train", config.val)
        drawn = np.count_nonzero(split == "val")
        notes.append(f"val: {counted(drawn, 'image')} drawn from train by content, seed {seed}")
    if fold is not None:
        held_out, count = fold
        rows = np.flatnonzero((split == "train") | (split == "val"))
        place = folds(images.labels[rows], unit[rows], rank[rows], count)
        split[rows] = np.where(place == held_out, "val", "train")
        sizes, of = np.bincount(place, minlength=count), f"of {counted(len(rows), 'image')}"
        if not sizes.all():
            raise UsageError(f"{count} folds {of}: some would be empty, take fewer folds")
        notes.append(f"val: {sizes[held_out]:,} {of}, fold {held_out} (0 to {count - 1})")
    split[split == "added"] = "train"
    notes += _leave_out_leaks(split, unit)  # of images that were added
    rows = np.flatnonzero(split == "train")
    if config.limit is not None and config.limit < len(rows):
        split[rows[~part(images.take(rows), config.limit, rank[rows])]] = "left_out"
        notes.append(f"train: limited to {config.limit:,} of {counted(len(rows), 'image')}")
    return split, notes


def check_names(names: tuple[str, ...]) -> None:
    """Refuses class names that a model file cannot hold, before anything is trained."""
    for name in names:
        controls = [one for one in name if unicodedata.category(one) in ("Cc", "Cs")]
        if not name:
            raise UntrainableError("a class name is empty", "rename it")
        if controls or len(name) > 256:
            cannot = f"has {visible(controls[0])}, which cannot be shown" if controls else ""
            fault = cannot or f"has {len(name):,} characters, more than 256"
            raise UntrainableError(f"the class name {visible(name[:80])} {fault}", "rename it")
    # The header is JSON that holds the metadata as JSON.
    listed = json.dumps(names, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    size = len(json.dumps(listed, ensure_ascii=False, allow_nan=False).encode())
    if len(names) > MAX_CLASSES or size > MAX_NAME_BYTES:
        raise UntrainableError(
            f"{counted(len(names), 'class name')} of {size:,} bytes do not fit into a model file, "
            f"which has space for "
            f"{MAX_CLASSES:,} names and {MAX_NAME_BYTES:,} bytes",
            "shorten the names",
        )


def check_classes_trained(images: ImageSet, split: np.ndarray, unlabelled: int = 0) -> None:
    """Raises `UntrainableError` if there is one class, one without training images, or no val.

    `unlabelled` is the number of images that were left out, as they have no label.
    """
    if len(images.classes) < 2:
        one = f"there is one class, {visible(images.classes[0])}"
        if unlabelled:
            raise UntrainableError(
                f"{one}, and {counted(unlabelled, 'image')} without a label ({NO_LABEL}) left out",
                "a classifier needs two. Label these, as a class of their own if they are one",
            )
        raise UntrainableError(
            one, "a classifier needs two. Is this the folder above the class folders?"
        )
    if empty := _named(images, images.take(split == "train").counts == 0):
        leaked = images.take(split == "train").counts + images.take(split == "left_out").counts
        if not _named(images, leaked == 0):
            raise UntrainableError(
                f"all training images of {empty} were left out: they are identical to (or in one group "
                "with) val or test images",
                "give val and test images of their own, or no val: a part of train is then drawn for it",
            )
        raise UntrainableError(
            f"no training images of {empty}", "add some, or remove the class with all its images"
        )
    if not np.any(split == "val"):
        raise UntrainableError(
            "nothing to validate on", "a class needs two different images (or groups) at least"
        )


def notes_on_classes(images: ImageSet, split: np.ndarray) -> list[str]:
    """Returns a note for each held-out split that lacks images of some classes."""
    notes = []
    for name in ("val", "test"):
        counts = images.take(split == name).counts
        if counts.any() and (empty := _named(images, counts == 0)):
            notes.append(f"{name} has no images of {empty}: its metrics say nothing of them")
    return notes


def _named(images: ImageSet, chosen: np.ndarray) -> str:
    """Returns the names of the chosen classes, bool `(K,)`, for a sentence; the first ten of many."""
    names = [visible(images.classes[number]) for number in np.flatnonzero(chosen)]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")


def write_splits(splits: Splits, path: Path) -> None:
    """Writes `splits.csv`: id, split (train, val, test, left_out), label, content hash, group."""
    rows = [*_manifest("train", splits.train), *_manifest("val", splits.val)]
    rows += () if splits.test is None else splits.test.manifest()
    rows += _manifest("left_out", splits.left_out)
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
    """Yields each class and its units in the order of the draw; `index` (N,) numbers the units from 0."""
    label = np.full(int(index.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(label, index, labels)
    first = np.full(len(label), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(first, index, rank)
    for number in np.unique(label):
        members = np.flatnonzero(label == number)
        yield int(number), members[np.argsort(first[members], kind="stable")]


def _lowest(relation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Returns for each image the lowest value among those it is related to."""
    lowest = np.full(int(relation.max(initial=-1)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(lowest, relation, value)
    return lowest[relation]


def _leave_out_leaks(split: np.ndarray, unit: np.ndarray) -> list[str]:
    """Leaves out train and val images whose unit is also in test, and train images also in val."""
    notes = []
    for source, target in (("train", "test"), ("val", "test"), ("train", "val")):
        leak = (split == source) & np.isin(unit, unit[split == target])
        split[leak] = "left_out"
        if leak.any():
            notes.append(
                f"{source}: {counted(np.count_nonzero(leak), 'image')} left out: identical to (or in one "
                f"group with) {target} images"
            )
    return notes
