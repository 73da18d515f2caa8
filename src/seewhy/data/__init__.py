"""Labelled pictures in, once and for all at one size: `load_data`."""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from seewhy.config.data import DataConfig
from seewhy.config.input_rule import InputRule
from seewhy.data import sources
from seewhy.data.bad_files import BadFile, check_bad, write_bad_files
from seewhy.data.cache import Stored, shorter_side, stored
from seewhy.data.imageset import ImageSet, Rows
from seewhy.data.sources import Data, Source
from seewhy.data.split import (
    SealedSet,
    Splits,
    assign,
    check_classes_trained,
    check_names,
    write_splits,
)
from seewhy.data.stamps import cache_root, content_id, writable
from seewhy.errors import DataError, UsageError
from seewhy.events import OnEvent, ignore
from seewhy.text import visible

__all__ = [
    "BadFile",
    "Data",
    "ImageSet",
    "InputRule",
    "Rows",
    "SealedSet",
    "Splits",
    "load_data",
    "write_bad_files",
    "write_splits",
]


def load_data(
    source: Data,
    config: DataConfig = DataConfig(),  # noqa: B008 (frozen)
    *,
    rule: InputRule | None = None,
    classes: tuple[str, ...] | None = None,
    trainable: bool = True,
    on_event: OnEvent = ignore,
) -> Splits:
    """Reads a source, at once from the cache where it was read before, and splits it.

    source: a path in one of `sources.LAYOUTS`, a name in `sources.NAMED`, or in memory: (images, labels), a
    dict of such by split, a table of paths and labels, a PyTorch or a Hugging Face `Dataset`.
    rule, classes: those of a model that the pictures are for. Labels are then aligned by name: a
    class that the model lacks is refused, one that the data lack is a note, and train may be empty.
    trainable: refuses what no classifier can be trained on, such as a class without pictures.
    on_event: hears `Progress`: bytes of a download, then images read.

    Raises `DataError` for anything in the data that stands in the way, `UsageError` for the config.
    """
    found = sources.find(source, config.layout, config.group_from, on_event)
    with writable(cache_root()):
        content = content_id(found)
        if rule is None:
            rule = InputRule.resolve(config.size, shorter_side(found, content) or config.size)
        pictures = stored(found, rule, content, on_event)
    if found.names and pictures.classes == tuple(map(str, range(len(found.names)))):
        pictures = replace(pictures, classes=found.names)
    total = len(pictures.labels) + len(pictures.bad)
    check_bad(pictures.bad, total, config.on_bad, config.max_bad)
    if trainable:
        check_names(pictures.classes)
    images, notes = _image_set(pictures, classes)
    if config.group_from and not found.grouped:
        images = _grouped(images, config.group_from)
    split, drawn = assign(
        images,
        pictures.splits,
        config.val,
        config.split_seed,
        config.limit,
        config.held_out,
        config.test,
    )
    images, gone = _corrected(images, split, found.corrections)
    split = np.where(images.labels < 0, "left_out", split)
    if classes is None and trainable:
        check_classes_trained(images, split)
    test = images.take(split == "test")
    return Splits(
        train=images.take(split == "train"),
        val=images.take(split == "val"),
        test=SealedSet(test) if len(test) else None,
        left_out=images.take(split == "left_out"),
        rule=rule,
        layout=found.layout,
        bad=pictures.bad + found.skipped,
        merged=pictures.merged,
        drawn="" in pictures.splits,
        notes=(_summary(found, pictures), *found.notes, *_notes(pictures), *notes, *drawn, *gone),
    )


def _image_set(pictures: Stored, classes: tuple[str, ...] | None) -> tuple[ImageSet, list[str]]:
    """Makes the set of all pictures, its labels as positions in a model's `classes` where given."""
    labels, names, notes = pictures.labels, pictures.classes, []
    if classes is not None:
        present = [names[number] for number in np.unique(labels)]
        extra = [visible(name) for name in present if name not in classes]
        if extra:
            raise DataError(
                f"the data have classes that the model lacks: {', '.join(extra[:10])}; it knows "
                f"{', '.join(visible(name) for name in classes[:20])}. Remove or rename them"
            )
        missing = [visible(name) for name in classes if name not in present]
        if missing:
            notes.append(f"no pictures of {', '.join(missing)}")
        place = {name: number for number, name in enumerate(classes)}
        labels = np.array([place.get(name, -1) for name in names], np.int64)[labels]
        names = classes
    images = ImageSet(
        pictures.images,
        labels,
        names,
        pictures.ids,
        pictures.hashes,
        pictures.groups,
        pictures.sizes,
    )
    return images, notes


def _corrected(
    images: ImageSet, split: np.ndarray, right: Mapping[bytes, str | None]
) -> tuple[ImageSet, list[str]]:
    """Sets the labels of contents whose label is known to be wrong, -1 for no class; those of test stay.

    Splits are drawn before, so that they are the source's own.
    """
    place: dict[str | None, int] = {name: number for number, name in enumerate(images.classes)}
    place[None] = -1
    unknown = sorted({name for name in right.values() if name is not None} - set(images.classes))
    if unknown:
        raise DataError(
            f"labels are corrected to {', '.join(map(visible, unknown[:10]))}, which is no class here: "
            f"there are {', '.join(visible(name) for name in images.classes[:20])}"
        )
    labels, met = images.labels.copy(), set()
    for row in np.flatnonzero(np.isin(images.hashes, list(right)) & (split != "test")):
        digest = bytes(images.hashes[row])
        labels[row] = place[right[digest]]
        met.add(digest)
    gone = len(right) - len(met)
    notes = [f"{gone:,} corrections are of pictures that are not there any more"] if gone else []
    return replace(images, labels=labels), notes


def _grouped(images: ImageSet, pattern: str) -> ImageSet:
    """Groups pictures by what the pattern finds in their path; "" is none."""
    try:
        finder = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--group-from {visible(pattern)} is no pattern: {error}") from None
    if finder.groups != 1:
        raise UsageError(
            f"--group-from {visible(pattern)} needs exactly one (group) in brackets, or the name of "
            "a column of a table or of parquet"
        )
    found = [finder.search(key) for key in images.ids]
    if not any(found):
        raise DataError(
            f"--group-from {visible(pattern)} matches no path, such as {visible(images.ids[0])}"
        )
    groups = np.empty(len(images), object)
    groups[:] = [(match[1] or "") if match else "" for match in found]
    return replace(images, groups=groups)


def _summary(source: Source, pictures: Stored) -> str:
    """Says in one line what was recognised: "train: 50,000 images, 10 classes, 32x32, from parquet"."""
    names, counts = np.unique(pictures.splits, return_counts=True)
    count = {str(name) or "all": int(n) for name, n in zip(names, counts, strict=True)}
    first, *others = [name for name in ("all", "train", "val", "test") if name in count]
    line = (
        f"{first}: {count[first]:,} images, {len(pictures.classes)} classes, {pictures.pixels}, "
        f"from {source.layout}"
    )
    return line + "".join(f"; {name}: {count[name]:,} images" for name in others)


def _notes(pictures: Stored) -> list[str]:
    notes = [
        f"{visible(name)} is spelled in several forms of Unicode: one class"
        for name in pictures.merged
    ]
    if pictures.bad:
        notes.append(f"{len(pictures.bad):,} pictures cannot be used and were left out")
    return notes
