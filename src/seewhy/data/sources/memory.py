"""Data in memory: arrays, a table of paths, a data set of PyTorch or of Hugging Face."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from PIL import Image

from seewhy.data.images.decode import ImageLike, content_hash, values_of
from seewhy.data.sources.npz import as_uint8
from seewhy.data.sources.source import SPLITS, Reading, Record, Source, evenly
from seewhy.errors import DataError, ImageError
from seewhy.text import visible


class Frame(Protocol):
    """A table, such as a pandas DataFrame, with columns `path`, `label` and optionally `split`, `group`."""

    @property
    def columns(self) -> Any: ...
    def __len__(self) -> int: ...
    def __getitem__(self, column: Any, /) -> Any: ...


class Items(Protocol):
    """A `Dataset` of PyTorch with items (image, label), or one of Hugging Face."""

    def __len__(self) -> int: ...
    def __getitem__(self, row: Any, /) -> Any: ...


# A path or a name; (images, labels); one of the others for each split; a table of paths; a data set.
Data = str | Path | tuple[Any, Any] | Mapping[str, Any] | Frame | Items

_EXPECTED = (
    'expected (images, labels), a dict such as {"train": (images, labels), "test": ...}, a table with the '
    "columns path and label, a PyTorch Dataset of (image, label), or a Hugging Face Dataset"
)


class _Row(NamedTuple):
    image: Any
    label: Any
    split: str = ""
    group: Any = None


@dataclass(frozen=True)
class _Part:
    """One part of the data: its class names, if it has any, and a function that reads its rows."""

    name: str
    count: int
    rows: Callable[[], Iterable[_Row]]
    classes: tuple[str, ...] | None = None
    grouped: bool = False


def describe(data: Data) -> str:
    """Describes the data in one line: its path or name, or the number of images in memory."""
    return str(data) if isinstance(data, str | Path) else f"in memory: {_count(data):,} images"


def _count(data: Any) -> int:
    if isinstance(data, Mapping):
        return sum(_count(part) for part in data.values())
    return len(data[0] if isinstance(data, tuple) else data)


def find_memory(data: Data, group_from: str | None = None) -> Source:
    """Returns data in memory as a source; it is read once to hash its content.

    Images are uint8 arrays or tensors (H, W, 3), (H, W) or (3, H, W), floats that are multiples of 1/255,
    Pillow images, bytes of a file, or paths, and must be the same each time they are read. Labels are names,
    or numbers from 0, which stand for the `classes` of a data set that has any. `group_from` is a column.
    Raises `DataError`.
    """
    parts = _parts(data, group_from)
    total = sum(part.count for part in parts)
    if not total:
        raise DataError(f"this data has no images: {_EXPECTED}")
    names = tuple(dict.fromkeys(name for part in parts for name in part.classes or ()))
    scan = _Scan(_records(parts, names))
    classes = names or None
    if all(label.isdecimal() for label in scan.labels):
        classes = names or tuple(sorted(scan.labels, key=lambda label: (int(label), label)))
    folders = [os.path.dirname(file) for file in scan.files]
    root = Path(os.path.commonpath(folders)) if folders else Path()
    return Source(
        "memory",
        root,
        tuple(os.path.relpath(file, root) for file in scan.files),
        lambda: Reading(total, classes, _records(parts, names)),
        lambda: [scan.samples[place] for place in evenly(len(scan.samples))],
        key=f"{classes} {scan.digest.hexdigest()}",
        grouped=any(part.grouped for part in parts),
    )


def images_of(data: Any) -> Iterable[ImageLike]:
    """Returns the images of a table or a data set, for prediction; a list or an iterator unchanged."""
    if _is_hub(data):
        column = _column("images", "image", "Image", data.features)
        rows = (data[row][column] for row in range(len(data)))
    elif hasattr(data, "columns"):
        rows = data["path"]
    elif isinstance(data, Iterable):
        return data
    else:
        items = (data[row] for row in range(len(data)))
        rows = (item[0] if isinstance(item, tuple | list) else item for item in items)
    return (_image(image, f"memory/{row}") for row, image in enumerate(rows))


class _Scan:
    """Facts from one pass over the records; `samples` are images outside test, to measure their size."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.digest = hashlib.sha256()
        self.labels: set[str] = set()
        self.files: list[str] = []
        self.samples: list[ImageLike] = []
        for record in records:
            sample, content = record.image, ""
            if isinstance(record.image, Path):  # the cache hashes the content of files
                self.files.append(os.path.abspath(record.image))
            else:
                try:
                    values = values_of(record.image)
                    content = content_hash(values)
                    blank = np.uint8(0) if values.dtype == np.uint8 else np.uint16(0)
                    sample = np.broadcast_to(blank, values.shape[:2])
                except ImageError as error:
                    sample, content = error, error.code
            facts = (record.id, record.label, record.split, record.group, content)
            self.digest.update(repr(facts).encode())
            self.labels.add(record.label)
            if record.split != "test":
                self.samples.append(sample)


def _records(parts: Sequence[_Part], names: tuple[str, ...]) -> Iterator[Record]:
    no_group = "" if any(part.grouped for part in parts) else None
    for part in parts:
        for number, row in enumerate(part.rows()):
            key = f"{part.name}/{number}"
            image = _image(row.image, key)
            if isinstance(image, Path):
                key = str(image)
            label = _label(row.label, part.classes or names, key)
            group = _cell(row.group) if part.grouped else no_group
            yield Record(key, label, row.split, image, group)


def _image(image: Any, key: str) -> ImageLike:
    """Returns an image for the decoder: arrays and tensors as uint8 (H, W, 3) or (H, W)."""
    if isinstance(image, Mapping):  # of Hugging Face, not yet decoded
        image = image.get("bytes") or image.get("path") or b""
    if isinstance(image, str):
        return Path(image)
    if isinstance(image, Path | bytes | Image.Image):
        return image
    pixels = np.asarray(image.detach().cpu() if hasattr(image, "detach") else image)
    if pixels.dtype.kind not in "uif":
        raise DataError(
            f"the image {visible(key)} is of type {type(image).__name__} and {pixels.dtype}: expected an "
            "array, a tensor, a Pillow image, bytes or a path"
        )
    if pixels.ndim == 3 and pixels.shape[0] in (1, 3) and pixels.shape[2] not in (1, 3):
        pixels = pixels.transpose(1, 2, 0)
    if pixels.shape[2:] == (1,):
        pixels = pixels[..., 0]
    return np.ascontiguousarray(as_uint8(pixels, visible(key)) if pixels.size else pixels)


def _label(label: Any, names: tuple[str, ...], key: str) -> str:
    value = np.asarray(label)
    number = value.item() if value.size == 1 else None
    if isinstance(number, int) and number >= 0:
        if not names:
            return str(number)
        if number < len(names):
            return names[number]
    elif isinstance(number, str) and (number in names or not names):
        return number
    known = f"one of {visible(', '.join(names[:20]))}, or its" if names else "a name, or a"
    raise DataError(
        f"the image {visible(key)} has the label {visible(str(label)[:80])}: expected {known} number from "
        "0 (for one-hot rows, their argmax)"
    )


# ------------------------------------------------------------------ the kinds of data


def _parts(data: Any, group_from: str | None) -> list[_Part]:
    """Returns the parts of the data: one per split if it is a dict, else one."""
    if isinstance(data, Mapping):
        return [_part(part, _split(name), group_from) for name, part in data.items()]
    return [_part(data, "", group_from)]


def _split(name: Any) -> str:
    if str(name).lower() not in SPLITS:
        raise DataError(f"there is no split {visible(str(name))!r}: expected train, val or test")
    return SPLITS[str(name).lower()]


def _part(data: Any, split: str, group_from: str | None) -> _Part:
    name = split or "memory"
    if isinstance(data, tuple) and len(data) == 2 and all(hasattr(one, "__len__") for one in data):
        return _of_arrays(name, split, *data)
    if _is_hub(data):
        return _of_hub(name, split, data, group_from)
    if hasattr(data, "columns"):
        return _of_frame(name, split, data, group_from)
    if isinstance(data, np.ndarray | tuple) or not (
        hasattr(data, "__len__") and hasattr(data, "__getitem__")
    ):
        raise DataError(f"this data is of type {type(data).__name__}: {_EXPECTED}")
    return _of_items(name, split, data)


def _is_hub(data: Any) -> bool:
    return hasattr(data, "features") and hasattr(data, "column_names")


def _of_arrays(name: str, split: str, images: Any, labels: Any) -> _Part:
    if len(images) != len(labels):
        raise DataError(
            f"{name} has {len(images):,} images and {len(labels):,} labels: expected one label per image"
        )
    return _Part(name, len(images), lambda: map(partial(_Row, split=split), images, labels))


def _of_frame(name: str, split: str, frame: Frame, group_from: str | None) -> _Part:
    columns = [str(column) for column in frame.columns]
    for missing in [column for column in ("path", "label") if column not in columns]:
        raise DataError(
            f"the table has no column {missing}, only {visible(', '.join(columns))}: rename the right one"
        )
    group = group_from or "group"

    def cells(column: str) -> list[str]:
        return [_cell(value) for value in frame[column]] if column in columns else [""] * len(frame)

    splits = [split or (value and _split(value)) for value in cells("split")]
    rows = list(map(_Row, cells("path"), frame["label"], splits, cells(group)))
    return _Part(name, len(frame), lambda: rows, grouped=group in columns)


def _cell(value: Any) -> str:
    """The text of a cell, "" if it is missing (None, or NaN and NA of pandas)."""
    return "" if value is None or str(value) in ("nan", "<NA>") else str(value)


def _of_hub(name: str, split: str, data: Any, group_from: str | None) -> _Part:
    image = _column("images", "image", "Image", data.features)
    label = _column("labels", "label", "ClassLabel", data.features)
    group = group_from if group_from in data.features else None
    names = getattr(data.features[label], "names", None)

    def rows() -> Iterator[_Row]:
        for number in range(len(data)):
            row = data[number]
            yield _Row(row[image], row[label], split, row[group] if group else None)

    return _Part(name, len(data), rows, tuple(names) if names else None, group is not None)


def _column(what: str, name: str, kind: str, features: Mapping[str, Any]) -> str:
    """Returns the column of a kind; if none or several are of that kind, the column of a name."""
    fitting = [column for column in features if type(features[column]).__name__ == kind]
    if len(fitting) == 1:
        return fitting[0]
    if name in features:
        return name
    raise DataError(
        f"{len(fitting)} of the columns {visible(', '.join(features))} may hold the {what}: rename the "
        f"right one to {name}"
    )


def _of_items(name: str, split: str, data: Items) -> _Part:
    whole: Any = data
    while not hasattr(whole, "classes") and hasattr(whole, "dataset"):  # a Subset
        whole = whole.dataset

    def rows() -> Iterator[_Row]:
        for number in range(len(data)):
            item = data[number]
            if not isinstance(item, tuple | list) or len(item) != 2:
                raise DataError(
                    f"item {number:,} of {name} is of type {type(item).__name__}, not (image, label): "
                    + _EXPECTED
                )
            yield _Row(item[0], item[1], split)

    classes = getattr(whole, "classes", None)
    return _Part(name, len(data), rows, tuple(map(str, classes)) if classes else None)
