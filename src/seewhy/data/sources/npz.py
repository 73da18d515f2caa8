"""NumPy's `.npz` with images and labels, as Keras (`x_train`) and MedMNIST (`train_images`) name them.

Objects, which would be pickles, are never loaded. The size in the header of an array is compared with
the zip before anything is read, and images are read in chunks, never all at once.
"""

import math
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from tokenize import TokenError
from typing import IO, Any, NamedTuple

import numpy as np

from seewhy.data.class_names import one_label_each
from seewhy.data.images.arrays import CHANNELS, Scale, image_of_array
from seewhy.data.images.decode import LOCAL, ImageLike
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.source import SPLITS, Reading, Record, Source
from seewhy.data.sources.tree import Tree
from seewhy.data.sources.zips import DAMAGE, open_zip
from seewhy.errors import DataError, ImageError
from seewhy.text import visible

_SPLITS = "|".join(sorted(SPLITS, key=len, reverse=True))
_ARRAY = re.compile(
    rf"(?:({_SPLITS})_)?(?:(x|images?)|(y|labels?|targets?))(?:_({_SPLITS}))?", re.IGNORECASE
)
_CHANNELS = tuple((count,) for count in CHANNELS)
_UNLABELLED = -1  # as in arrays in memory; the text of a table may name a class so
_CLASSES = ("classes", "class_names", "label_names", "names")
_MAX_HEADER, _MAX_LABELS, _CHUNK = 10_000, 1 << 30, 4 << 20  # bytes
_EXPECTED = "x_train, y_train, x_test, y_test; train_images, train_labels, ...; or images, labels"

_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}

Open = Callable[[], AbstractContextManager[zipfile.ZipFile]]


class Array(NamedTuple):
    """One array of a file, of which only the header, `start` bytes, has been read."""

    name: str
    entry: zipfile.ZipInfo
    start: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class Part(NamedTuple):
    """The images and the labels of one split."""

    split: str
    images: Array
    labels: Array


def fits_npz(tree: Tree) -> bool:
    """Says whether there is an `.npz`."""
    return bool(tree.top(".npz"))


def find_npz(tree: Tree, columns: Columns) -> Source:
    """Reads one `.npz` with images and labels, or with both for each split."""
    files = tree.top(".npz")
    if len(files) != 1:
        raise DataError(
            f"{len(files)} .npz files in {visible(str(tree.path))}: give the path of one as --data"
        )
    opened = partial(_opened, tree, files[0])
    with opened() as archive:
        parts, classes = _arrays(files[0], archive)
    blank = np.uint16(0) if parts[0].images.dtype.type is np.uint16 else np.uint8(0)
    sample = [image_of_array(np.broadcast_to(blank, parts[0].images.shape[1:]), Scale())]
    read = partial(_read, files[0], parts, classes, opened)
    return Source("npz", *tree.watched(files), read, lambda: sample)


@contextmanager
def _opened(tree: Tree, file: str) -> Iterator[zipfile.ZipFile]:
    try:
        with tree.open(file) as raw, open_zip(raw, file) as archive:
            yield archive
    except DAMAGE as error:
        raise DataError(
            f"{visible(file)} is damaged: {error}. Create or download it again"
        ) from None


# ------------------------------------------------------------------ finding the arrays


def _arrays(file: str, archive: zipfile.ZipFile) -> tuple[list[Part], Array | None]:
    """Finds images, labels and class names (if any) by their names, and checks their headers."""
    entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    images: dict[str, Array] = {}
    labels: dict[str, Array] = {}
    for name, entry in entries.items():
        match = _ARRAY.fullmatch(name)
        if not match:
            continue
        split = SPLITS.get((match[1] or match[4] or "").lower(), "")
        arrays = images if match[2] else labels
        if split in arrays:
            raise DataError(
                f"{visible(file)} has the arrays {arrays[split].name} and {visible(name)}, and either "
                "may be the right one: remove one"
            )
        arrays[split] = (_image_array if match[2] else _label_array)(_array(archive, entry, name))
    alone = sorted(images.keys() ^ labels.keys())
    if alone or not images:
        lacks = " and ".join(
            f"{(images | labels)[split].name} without {'labels' if split in images else 'images'}"
            for split in alone
        )
        raise DataError(
            f"{visible(file)} has {lacks or 'no images'}, among the arrays "
            f"{visible(', '.join(entries))}; expected are {_EXPECTED}"
        )
    for split, array in labels.items():
        if len(array.shape) not in (1, 2) or array.shape[0] != images[split].shape[0]:
            raise DataError(
                f"{array.name} is {array.shape} and {images[split].name} {images[split].shape}: "
                "expected one label per image, (N,) or (N, 1), or one-hot rows (N, K)"
            )
    named = next((entries[name] for name in _CLASSES if name in entries), None)
    classes = None if named is None else _label_array(_array(archive, named, named.filename))
    unnamed = "" if len(images) == 1 else "train"  # the split of arrays that do not name one
    return [Part(split or unnamed, images[split], labels[split]) for split in images], classes


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> Array:
    name = visible(name)
    with archive.open(entry) as file:
        shape, fortran, dtype = _header(name, file)
        start = file.tell()
    if dtype.hasobject or dtype.names:
        raise DataError(
            f"the array {name} holds Python objects, which need a pickle: save numbers, or names as "
            "np.array(names, dtype=str)"
        )
    if fortran:
        raise DataError(f"the array {name} is in Fortran order: save np.ascontiguousarray(array)")
    declared = start + math.prod(shape) * dtype.itemsize
    if declared != entry.file_size:
        raise DataError(
            f"the array {name} declares {declared:,} bytes and has {entry.file_size:,}: the file is damaged"
        )
    return Array(name, entry, start, dtype, shape)


def _header(name: str, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Reads the header of an array: its shape, whether it is in Fortran order, and its type."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise DataError(f"the array {name} has the unknown format {version}")
    try:
        return _HEADERS[version](file, max_header_size=_MAX_HEADER)
    except (SyntaxError, TokenError) as error:
        raise DataError(f"the array {name} is damaged: {error}. Save the file again") from None


def _image_array(array: Array) -> Array:
    shape = array.shape
    channels = shape[3:] if shape[3:] in _CHANNELS else shape[1:2]
    if len(shape) not in (3, 4) or 0 in shape or (len(shape) == 4 and channels not in _CHANNELS):
        raise DataError(
            f"{array.name} is {shape}: expected (N, H, W, 3) or (N, 3, H, W) for RGB, (N, H, W) or "
            "(N, H, W, 1) for grey"
        )
    if array.dtype.kind not in "uif":
        advice = ": save x.astype(np.uint8) * 255" if array.dtype.kind == "b" else ""
        raise DataError(
            f"{array.name} is of type {array.dtype}: expected uint8, or floats from 0 to 1{advice}"
        )
    pixels = math.prod(shape[1:]) // (channels[0] if len(shape) == 4 else 1)
    if pixels > LOCAL.max_pixels:
        raise DataError(
            f"{array.name} has images of {pixels:,} pixels: expected at most {LOCAL.max_pixels:,}"
        )
    return array


def _label_array(array: Array) -> Array:
    size = math.prod(array.shape) * array.dtype.itemsize
    if array.dtype.kind not in "buifUS":
        raise DataError(f"{array.name} is of type {array.dtype}: expected integers or text")
    if size > _MAX_LABELS:
        raise DataError(f"{array.name} has {size:,} bytes: expected at most {_MAX_LABELS:,}")
    return array


# ------------------------------------------------------------------ reading


def _read(file: str, parts: list[Part], classes: Array | None, opened: Open) -> Reading:
    with opened() as archive:
        names = None if classes is None else _words(_values(archive, classes))
        values = [_numbers(part.labels.name, _values(archive, part.labels)) for part in parts]
    order = tuple(names) if names else None
    if order is None and all(value.dtype.kind in "ui" for value in values):
        order = tuple(str(one) for one in np.unique(np.concatenate(values)) if one != _UNLABELLED)

    def records() -> Iterator[Record]:
        with opened() as archive:
            for part, value in zip(parts, values, strict=True):
                labels = _words(value) if names is None else _named(part.labels.name, value, names)
                with archive.open(part.images.entry) as stream:
                    images = _images(stream, part.images)
                    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
                        yield Record(f"{file}/{part.images.name}/{row}", label, part.split, image)

    return Reading(sum(map(len, values)), order, records())


def _values(archive: zipfile.ZipFile, array: Array) -> np.ndarray:
    with archive.open(array.entry) as stream:
        stream.read(array.start)
        return np.frombuffer(stream.read(), array.dtype).reshape(array.shape)


def _numbers(name: str, labels: np.ndarray) -> np.ndarray:
    """Returns one label per image; of floats the integers that they are."""
    try:
        labels = one_label_each(labels)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    if labels.dtype.kind != "f":
        return labels
    if not np.array_equal(labels, np.rint(labels)):
        raise DataError(
            f"{name} has {labels.dtype} labels such as {labels[labels != np.rint(labels)][0]:g}: expected "
            "whole numbers; remove the images without a label"
        )
    return labels.astype(np.int64)


def _words(values: np.ndarray) -> list[str]:
    if values.dtype.kind == "S":
        return [value.decode("utf-8", "backslashreplace") for value in values.tolist()]
    return ["" if value == _UNLABELLED else str(value) for value in values.tolist()]


def _named(array: str, values: np.ndarray, names: list[str]) -> list[str]:
    if values.dtype.kind not in "ui" or values.min() < _UNLABELLED or values.max() >= len(names):
        raise DataError(
            f"{array} has labels other than the numbers 0 to {len(names) - 1} of the named classes"
        )
    return ["" if value == _UNLABELLED else names[value] for value in values.tolist()]


def _images(stream: IO[bytes], array: Array) -> Iterator[ImageLike]:
    """Yields images from the entry's stream."""
    stream.read(array.start)
    count, *shape = array.shape
    size = math.prod(shape) * array.dtype.itemsize
    step = max(1, _CHUNK // size)
    scale = Scale()
    for first in range(0, count, step):
        rows = min(step, count - first)
        images = np.frombuffer(stream.read(rows * size), array.dtype).reshape(rows, *shape)
        try:
            levels = scale.levels(images)
        except ImageError as error:
            raise DataError(f"{array.name} has {error}") from None
        for image in levels:
            yield image_of_array(image, scale)
