"""NumPy's `.npz` with pictures and labels, as Keras (`x_train`) and MedMNIST (`train_images`) name them.

Objects, which would be pickles, are never loaded. What the header of an array declares is held against
the zip before anything is read, and pictures come one after the other, never all at once.
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

from seewhy.data.images.decode import LOCAL
from seewhy.data.sources.source import SPLITS, Reading, Record, Source
from seewhy.data.sources.tree import Tree
from seewhy.data.sources.zips import DAMAGE, open_zip
from seewhy.errors import DataError
from seewhy.text import visible

_SPLITS = "|".join(sorted(SPLITS, key=len, reverse=True))
_ARRAY = re.compile(
    rf"(?:({_SPLITS})_)?(?:(x|images?)|(y|labels?|targets?))(?:_({_SPLITS}))?", re.IGNORECASE
)
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
    """The pictures and the labels of one split."""

    split: str
    pictures: Array
    labels: Array


class Arrays(NamedTuple):
    """All of a file that is read; `classes` are the names, where it has them."""

    parts: tuple[Part, ...]
    classes: Array | None


def fits_npz(tree: Tree) -> bool:
    """Says whether there is an `.npz`."""
    return bool(tree.top(".npz"))


def find_npz(tree: Tree, group_from: str | None) -> Source:
    """Reads one `.npz` with pictures and labels, or with such for each split."""
    files = tree.top(".npz")
    if len(files) != 1:
        raise DataError(
            f"{len(files)} .npz files in {visible(str(tree.path))}: give the path of one as --data"
        )
    opened = partial(_opened, tree, files[0])
    with opened() as archive:
        arrays = _arrays(files[0], archive)
    height, width = arrays.parts[0].pictures.shape[1:3]
    root, watched = tree.watched(files)
    return Source(
        "npz",
        root,
        watched,
        lambda: _read(files[0], arrays, opened),
        lambda: [np.zeros((height, width), np.uint8)],
    )


@contextmanager
def _opened(tree: Tree, file: str) -> Iterator[zipfile.ZipFile]:
    try:
        with tree.open(file) as raw, open_zip(raw, file) as archive:
            yield archive
    except DAMAGE as error:
        raise DataError(f"{visible(file)} is damaged: {error}. Make or get it again") from None


# ------------------------------------------------------------------ what is there


def _arrays(file: str, archive: zipfile.ZipFile) -> Arrays:
    """Finds pictures, labels and class names by their names, and checks what their headers declare."""
    entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    pictures: dict[str, Array] = {}
    labels: dict[str, Array] = {}
    for name, entry in entries.items():
        match = _ARRAY.fullmatch(name)
        if not match:
            continue
        split = SPLITS.get((match[1] or match[4] or "").lower(), "")
        found = pictures if match[2] else labels
        if split in found:
            raise DataError(
                f"{visible(file)} has the arrays {found[split].name} and {visible(name)}, which may "
                "both be meant: remove one"
            )
        found[split] = (_picture_array if match[2] else _label_array)(_array(archive, entry, name))
    alone = sorted(pictures.keys() ^ labels.keys())
    if alone or not pictures:
        lacks = " and ".join(
            f"{(pictures | labels)[split].name} without its "
            f"{'labels' if split in pictures else 'pictures'}"
            for split in alone
        )
        raise DataError(
            f"{visible(file)} has {lacks or 'no pictures'}, among the arrays "
            f"{visible(', '.join(entries))}; expected are {_EXPECTED}"
        )
    for split, array in labels.items():
        if len(array.shape) > 2 or math.prod(array.shape) != pictures[split].shape[0]:
            raise DataError(
                f"{array.name} is {array.shape} and {pictures[split].name} {pictures[split].shape}: "
                "expected one label a picture, (N,) or (N, 1); of one-hot rows, save argmax(1)"
            )
    named = next((entries[name] for name in _CLASSES if name in entries), None)
    classes = None if named is None else _label_array(_array(archive, named, named.filename))
    parts = (Part(split, pictures[split], labels[split]) for split in pictures)
    whole = len(pictures) == 1
    return Arrays(
        tuple(part if whole or part.split else part._replace(split="train") for part in parts),
        classes,
    )


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> Array:
    name = visible(name)
    with archive.open(entry) as file:
        shape, fortran, dtype = _header(name, file)
        start = file.tell()
    if dtype.hasobject or dtype.names:
        raise DataError(
            f"the array {name} holds Python objects, which would be a pickle: save numbers, or names "
            "as np.array(names, dtype=str)"
        )
    if fortran:
        raise DataError(f"the array {name} is in Fortran order: save np.ascontiguousarray of it")
    declared = start + math.prod(shape) * dtype.itemsize
    if declared != entry.file_size:
        raise DataError(
            f"the array {name} declares {declared:,} bytes and has {entry.file_size:,}: the file is damaged"
        )
    return Array(name, entry, start, dtype, shape)


def _header(name: str, file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Reads the header of an array: its shape, whether it is in Fortran order, and its type."""
    version = np.lib.format.read_magic(file)
    read = _HEADERS.get(version)
    if read is None:
        raise DataError(f"the array {name} has the format {version}, which is not known here")
    try:
        return read(file, max_header_size=_MAX_HEADER)
    except (SyntaxError, TokenError) as error:
        raise DataError(f"the array {name} is damaged: {error}. Make or get it again") from None


def _picture_array(array: Array) -> Array:
    shape = array.shape
    if len(shape) not in (3, 4) or shape[3:] not in ((), (1,), (3,)) or 0 in shape:
        raise DataError(
            f"{array.name} is {shape}: expected (N, H, W, 3) for RGB, (N, H, W) or (N, H, W, 1) for grey. "
            "With channels first, save x.transpose(0, 2, 3, 1)"
        )
    if array.dtype.kind not in "uif" or shape[1] * shape[2] > LOCAL.max_pixels:
        raise DataError(
            f"{array.name} has pictures of {shape[1]:,} x {shape[2]:,} {array.dtype}: expected uint8, "
            f"and at most {LOCAL.max_pixels:,} pixels each"
        )
    return array


def _label_array(array: Array) -> Array:
    size = math.prod(array.shape) * array.dtype.itemsize
    if array.dtype.kind not in "uiUS" or size > _MAX_LABELS:
        raise DataError(
            f"{array.name} has {size:,} bytes of {array.dtype}: expected integers or text, at most "
            f"{_MAX_LABELS:,} bytes"
        )
    return array


# ------------------------------------------------------------------ reading


def _read(file: str, arrays: Arrays, opened: Open) -> Reading:
    with opened() as archive:
        names = None if arrays.classes is None else _words(_values(archive, arrays.classes))
        values = [_values(archive, part.labels) for part in arrays.parts]
    classes = tuple(names) if names else None
    if classes is None and all(value.dtype.kind in "ui" for value in values):
        classes = tuple(str(value) for value in np.unique(np.concatenate(values)))

    def records() -> Iterator[Record]:
        with opened() as archive:
            for part, value in zip(arrays.parts, values, strict=True):
                labels = _words(value) if names is None else _named(part.labels.name, value, names)
                with archive.open(part.pictures.entry) as stream:
                    pictures = _pictures(stream, part.pictures)
                    for row, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
                        yield Record(
                            f"{file}/{part.pictures.name}/{row}", label, part.split, picture
                        )

    return Reading(sum(len(value) for value in values), classes, records())


def _values(archive: zipfile.ZipFile, array: Array) -> np.ndarray:
    with archive.open(array.entry) as stream:
        stream.read(array.start)
        return np.frombuffer(stream.read(), array.dtype)


def _words(values: np.ndarray) -> list[str]:
    if values.dtype.kind == "S":
        return [value.decode("utf-8", "backslashreplace") for value in values.tolist()]
    return [str(value) for value in values.tolist()]


def _named(array: str, values: np.ndarray, names: list[str]) -> list[str]:
    if values.dtype.kind not in "ui" or values.min() < 0 or values.max() >= len(names):
        raise DataError(
            f"{array} has labels that are no numbers from 0 to {len(names) - 1}, for which the file "
            "has names"
        )
    return [names[value] for value in values.tolist()]


def _pictures(stream: IO[bytes], array: Array) -> Iterator[np.ndarray]:
    """Yields pictures, uint8 `(H, W, 3)` or `(H, W)`, from the entry's stream."""
    stream.read(array.start)
    count, *shape = array.shape
    size = math.prod(shape) * array.dtype.itemsize
    step = max(1, _CHUNK // size)
    for first in range(0, count, step):
        rows = min(step, count - first)
        pictures = np.frombuffer(stream.read(rows * size), array.dtype).reshape(rows, *shape)
        yield from as_uint8(pictures.squeeze(3) if shape[2:] == [1] else pictures, array.name)


def as_uint8(pictures: np.ndarray, name: str) -> np.ndarray:
    """Returns the grey levels that the values stand for; refuses values that stand for none exactly."""
    if pictures.dtype == np.uint8:
        return pictures
    levels, slack = pictures, 0.0
    if pictures.dtype.kind == "f":
        slack = 255 * 2 * float(np.finfo(pictures.dtype).eps)
        levels = pictures.astype(np.float64) * 255
    nearest = np.rint(levels)
    with np.errstate(invalid="ignore"):  # what is no number is not near one either
        exact = np.all(np.abs(levels - nearest) <= slack)
    if not exact or nearest.min() < 0 or nearest.max() > 255:
        raise DataError(
            f"{name} has {pictures.dtype} values from {pictures.min():g} to {pictures.max():g} that are "
            "no grey levels: expected integers from 0 to 255, or multiples of 1/255 from 0 to 1. Save "
            "uint8, such as np.rint(255 * (x - x.min()) / np.ptp(x)).astype(np.uint8)"
        )
    return nearest.astype(np.uint8)
