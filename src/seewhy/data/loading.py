"""Reads labelled images, stores them at one size and splits them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from seewhy.config.data import DataConfig
from seewhy.config.input_rule import InputRule
from seewhy.data import sources
from seewhy.data.bad_files import check_bad, skip_flags
from seewhy.data.cache import Stored, stored
from seewhy.data.cache_root import cache_root, writable
from seewhy.data.class_names import NO_LABEL, class_names, differ_by_case
from seewhy.data.imageset import ImageSet
from seewhy.data.packed import packed
from seewhy.data.shape import shape_notes
from seewhy.data.sources import Data, Source
from seewhy.data.split import (
    SealedSet,
    Splits,
    assign,
    check_classes_trained,
    check_names,
    notes_on_classes,
)
from seewhy.data.stamps import Content, content_of
from seewhy.data.survey import depth_of, survey_of
from seewhy.errors import DataError, UsageError
from seewhy.events import OnEvent, ignore
from seewhy.text import counted, visible

COPIES = 0.01  # share of copies in a split that is said
LISTED_BY = ("layout", "label_column", "group_from", "follow_links")  # what `sources.find` asks for


@dataclass(frozen=True, eq=False)
class Listed:
    """A source whose files are listed and hashed, but not decoded; `load_data` takes it for the source."""

    source: Data
    config: DataConfig
    origin: Source
    content: Content

    @property
    def shorter_side(self) -> int | None:
        """The median shorter side in pixels of images outside test; None if there are none."""
        with writable(cache_root()):
            return survey_of(self.origin, self.content).side

    @property
    def total(self) -> int:
        """About how many images there are, those of test among them."""
        return self.origin.read().total


def list_data(source: Data | Listed, config: DataConfig, on_event: OnEvent = ignore) -> Listed:
    """Lists a source; one that is listed, and by the same settings, stays as it is."""
    if isinstance(source, Listed):
        if all(getattr(source.config, name) == getattr(config, name) for name in LISTED_BY):
            return source
        source = source.source
    origin = sources.find(source, config, on_event)
    with writable(cache_root()):
        return Listed(source, config, origin, content_of(origin))


def load_data(
    source: Data | Listed,
    config: DataConfig = DataConfig(),  # noqa: B008 (frozen)
    *,
    rule: InputRule | None = None,
    classes: tuple[str, ...] | None = None,
    trainable: bool = True,
    on_event: OnEvent = ignore,
) -> Splits:
    """Reads a source, from the cache if it was read before, and splits it.

    source: a path in one of `sources.LAYOUTS`, a name in `sources.NAMED`, or data in memory: (images,
    labels), a dict of these by split, a table of paths and labels, a PyTorch or a Hugging Face `Dataset`.
    rule, classes: those of the model that will read the images. Labels are then aligned by name: a
    class that the model lacks is refused, a class without images is a note, and train may be empty.
    trainable: refuses data that no classifier can be trained on, such as a class without images.
    on_event: receives `Progress`: bytes of a download, then images read.

    Raises `DataError` for data that cannot be used, `UsageError` for a wrong config.
    """
    listed = list_data(source, config, on_event)
    origin, content = listed.origin, listed.content
    with writable(cache_root()):
        given, resolved = rule, list[str]()
        if rule is None:
            rule, resolved = _resolved(origin, content, config, classes, on_event)
        read = _stored(origin, rule, content, on_event)
    part = _divided(origin, read, config, classes, trainable)
    images, split = part.images, part.split
    test = images.take(split == "test")
    train = images.take(split == "train")
    shapes: list[str] = []
    if given is None and not config.fold:  # of folds, the first says it
        shapes = shape_notes(train.sizes, rule.fit, training=True)
    elif given is not None and rule.fit == "crop":  # the others leave out nothing
        shapes = shape_notes(images.take(split != "test").sizes, rule.fit)
    return Splits(
        train=train,
        val=images.take(split == "val"),
        test=SealedSet(test) if len(test) else None,
        left_out=images.take(split == "left_out"),
        rule=rule,
        layout=origin.layout,
        bad=read.bad + origin.skipped,
        skip_flags=skip_flags(len(read.bad), len(read.labels) + len(read.bad)),
        merged=read.merged,
        drawn="" in read.splits,
        notes=(*_notes(origin, read), *part.notes, *resolved, *shapes),
        config=config,
    )


def _stored(origin: Source, rule: InputRule, content: Content, on_event: OnEvent) -> Stored:
    if origin.pack is not None:
        return packed(origin.pack, rule)
    return stored(origin, rule, content, on_event)


def input_rule(listed: Listed, on_event: OnEvent = ignore) -> tuple[InputRule, list[str]]:
    """Returns the rule by which a training would read this source, and notes on it."""
    with writable(cache_root()):
        return _resolved(listed.origin, listed.content, listed.config, None, on_event)


def _resolved(
    origin: Source,
    content: Content,
    config: DataConfig,
    classes: tuple[str, ...] | None,
    on_event: OnEvent,
) -> tuple[InputRule, list[str]]:
    """Returns the rule for new data, and a note on its depth, which the training images decide.

    Images that are square anyway keep the rule of old models, so that an ensemble can combine old and new.
    """
    if origin.pack is not None:
        own = origin.pack.about.rule
        rule = InputRule.resolve(
            config.size, own.store, config.fit or own.fit, config.interpolation or own.interpolation
        )
        return rule.model_copy(update={"depth": own.depth}), []
    facts = survey_of(origin, content)
    fit = config.fit or ("crop" if facts.square else "squash")
    shown = config.interpolation or "bicubic"
    rule = InputRule.resolve(config.size, facts.side or config.size, fit, shown)
    if not facts.deep or config.depth != "range":
        return rule, []
    # Which images are trained on can depend on their hashes, and these take a pass of their own.
    every_bit = InputRule(size=1, store=1, depth=(0, 65_535))
    read = stored(origin, every_bit, content, on_event)
    part = _divided(origin, read, config, classes, trainable=False)
    # Each fold is trained on by the others; with one depth, an ensemble can combine their models.
    deciding = ("train",) if config.folds is None else ("train", "val")
    train = part.images.ids[np.isin(part.split, deciding)]
    depth = depth_of(origin, content, set(train.tolist()))
    if depth is None:
        return rule, []
    low, high = depth
    note = f"more than 8 bits: {low:g} becomes black and {high:g} white, the range of train"
    return rule.model_copy(update={"depth": depth}), [note]


class _Divided(NamedTuple):
    """All images of a source, the split of each, and lines for the user."""

    images: ImageSet
    split: np.ndarray
    notes: tuple[str, ...]


def _divided(
    origin: Source,
    read: Stored,
    config: DataConfig,
    classes: tuple[str, ...] | None,
    trainable: bool,
) -> _Divided:
    if origin.names and read.classes == tuple(map(str, range(len(origin.names)))):
        read = replace(read, classes=origin.names)
    check_bad(read.bad, len(read.labels) + len(read.bad), config.on_bad, config.max_bad)
    if trainable:
        check_names(read.classes)
    labels, aligned = (read.labels, []) if classes is None else _aligned(read, classes)
    images = ImageSet(
        read.images, labels, classes or read.classes, read.ids, read.hashes, read.groups, read.sizes
    )
    if config.group_from and not origin.grouped:
        images = _grouped(images, config.group_from)
    split, drawn = assign(images, read.splits, config)
    images, gone = _corrected(images, split, origin.corrections)
    split = np.where(images.labels < 0, "left_out", split)
    if classes is None and trainable:
        check_classes_trained(images, split, read.unlabelled)
    empty = notes_on_classes(images, split) if classes is None else []
    copies = (
        _notes_on_copies(images.hashes, split) if classes is None and config.fold is None else []
    )
    return _Divided(images, split, (*aligned, *drawn, *gone, *empty, *copies))


def _notes_on_copies(hashes: np.ndarray, split: np.ndarray) -> list[str]:
    """Notes on splits that judge a model by the same images several times."""
    notes = []
    for name in ("val", "test"):
        own = hashes[split == name]
        copies = len(own) - len(np.unique(own))
        if copies and copies >= COPIES * len(own):
            notes.append(
                f"{name}: {counted(copies, 'exact copy')} among {counted(len(own), 'image')}, and results "
                "count each as another image: `seewhy data check` lists them, to be removed"
            )
    return notes


def _aligned(read: Stored, classes: tuple[str, ...]) -> tuple[np.ndarray, list[str]]:
    """Returns the labels as positions in `classes`, and a note on classes without images."""
    name = class_names([*classes, *read.classes])
    position = {name[known]: number for number, known in enumerate(classes)}
    if len(position) < len(classes):  # an older model tells 1 from 01
        name = {label: label for label in name}
        position = {known: number for number, known in enumerate(classes)}
    present = [read.classes[number] for number in np.unique(read.labels)]
    if extra := [visible(label) for label in present if name[label] not in position]:
        raise DataError(
            f"the data has classes that the model lacks: {', '.join(extra[:10])}; the model has "
            f"{', '.join(map(visible, classes[:20]))}. Remove or rename them"
        )
    places = np.array([position.get(name[label], -1) for label in read.classes], np.int64)
    labels = places[read.labels]
    seen = set(labels.tolist())
    missing = [visible(known) for number, known in enumerate(classes) if number not in seen]
    return labels, [f"no images of {', '.join(missing)}"] if missing else []


def _corrected(
    images: ImageSet, split: np.ndarray, right: Mapping[bytes, str | None]
) -> tuple[ImageSet, list[str]]:
    """Replaces labels that are known to be wrong, by content hash; -1 is no class. Test is not changed.

    This happens after splitting, so that the splits are those of the source.
    """
    position: dict[str | None, int] = {name: number for number, name in enumerate(images.classes)}
    position[None] = -1
    named = {name for name in right.values() if name is not None}
    if unknown := sorted(named - set(images.classes)):
        raise DataError(
            f"labels are corrected to {', '.join(map(visible, unknown[:10]))}, which is no class here; "
            f"the classes are {', '.join(map(visible, images.classes[:20]))}"
        )
    labels, used = images.labels.copy(), set()
    for row in np.flatnonzero(np.isin(images.hashes, list(right)) & (split != "test")):
        digest = bytes(images.hashes[row])
        labels[row] = position[right[digest]]
        used.add(digest)
    gone = len(right) - len(used)
    notes = (
        [f"{counted(gone, 'correction', 'are')} for images that no longer exist"] if gone else []
    )
    return replace(images, labels=labels), notes


def _grouped(images: ImageSet, pattern: str) -> ImageSet:
    """Groups images by the part of their path that the pattern matches; "" is no group."""
    groups = np.empty(len(images), object)
    groups[:] = groups_of(images.ids, pattern)
    return replace(images, groups=groups)


def groups_of(ids: Sequence[str] | np.ndarray, pattern: str) -> list[str]:
    """Returns the group that a pattern of `--group-from` finds in each path, "" for none."""
    try:
        finder = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--group-from {visible(pattern)} is no pattern: {error}") from None
    if finder.groups != 1:
        raise UsageError(
            f"--group-from {visible(pattern)} needs exactly one (group) in brackets, or the name of "
            "a column of a table or of parquet"
        )
    matches = [finder.search(key) for key in ids]
    if not any(matches):
        raise DataError(
            f"--group-from {visible(pattern)} matches no path, such as {visible(ids[0])}"
        )
    return [(match[1] or "") if match else "" for match in matches]


def _notes(source: Source, read: Stored) -> list[str]:
    """Returns lines on the layout, such as "train: 50,000 images, 10 classes, 32x32, from parquet"."""
    names, counts = np.unique(read.splits, return_counts=True)
    count = {str(name) or "all": counted(n, "image") for name, n in zip(names, counts, strict=True)}
    first, *others = [f"{n}: {count[n]}" for n in ("all", "train", "val", "test") if n in count]
    first += f", {counted(len(read.classes), 'class')}, {read.pixels}, from {source.layout}"
    notes = ["; ".join([first, *others]), *source.notes]
    for name in read.merged:
        notes.append(f"{visible(name)} is spelled in several ways: read as one class")
    for alike in differ_by_case(read.classes):
        notes.append(
            f"the classes {visible(', '.join(alike))} differ only by case: rename one if they are one"
        )
    if read.unlabelled:
        notes.append(f"left out, without a label ({NO_LABEL}): {counted(read.unlabelled, 'image')}")
    if read.bad:
        notes.append(f"left out, as they cannot be used: {counted(len(read.bad), 'image')}")
    return notes
