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

from seewhy.data.class_names import label_text, one_label_each
from seewhy.data.images.arrays import CHANNELS, Scale, as_array, image_of, no_image
from seewhy.data.images.decode import ImageLike, content_hash, values_of
from seewhy.data.sources.columns import (
    SAMPLE,
    Columns,
    image_column,
    label_columns,
    place_of,
)
from seewhy.data.sources.parquet import hub_features
from seewhy.data.sources.source import SPLITS, Reading, Record, Source, evenly
from seewhy.errors import DataError, ImageError, UsageError
from seewhy.text import counted, visible


class Frame(Protocol):
    """A table of pandas, polars or pyarrow, with columns `path`, `label` and optionally `split`, `group`."""

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
    "columns path and label (pandas, polars, pyarrow), a PyTorch Dataset of (image, label), or a Hugging "
    "Face Dataset"
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
    if isinstance(data, str | Path):
        return str(data)
    return f"in memory: {counted(_count(data), 'image')}"


def _count(data: Any) -> int:
    if isinstance(data, Mapping):
        return sum(_count(part) for part in data.values())
    return len(data[0] if isinstance(data, tuple) else data)


def find_memory(data: Data, columns: Columns = Columns()) -> Source:  # noqa: B008 (frozen)
    """Returns data in memory as a source; it is read once to hash its content.

    Images are arrays or tensors (`images.arrays`), Pillow images, bytes of a file, or paths, and must be the
    same each time they are read. Labels are names, or numbers from 0, which stand for the `classes` of a
    data set that has any; None, NaN and -1 are no label.
    Raises `DataError`.
    """
    parts = _parts(data, columns)
    if not any(part.count for part in parts):
        raise DataError(f"this data has no images: {_EXPECTED}")
    names = tuple(dict.fromkeys(name for part in parts for name in part.classes or ()))
    scan = _Scan(_records(parts, names))
    classes = names or None
    if scan.labels and all(label.isdecimal() for label in scan.labels):
        classes = names or tuple(sorted(scan.labels, key=lambda label: (int(label), label)))
    folders = [os.path.dirname(file) for file in scan.files]
    root = Path(os.path.commonpath(folders)) if folders else Path()
    return Source(
        "memory",
        root,
        tuple(os.path.relpath(file, root) for file in scan.files),
        lambda: Reading(scan.count, classes, _records(parts, names)),
        lambda: [scan.samples[place] for place in evenly(len(scan.samples))],
        key=f"{classes} {scan.digest.hexdigest()}",
        grouped=any(part.grouped for part in parts),
    )


def images_of(data: Any) -> Iterable[ImageLike]:
    """Returns the images to predict: of one image, of an array or a list of images, of a table or a data set.

    Arrays are understood as in training. (H, W), (H, W, 3) and a tensor (3, H, W) are one image; (N, H, W)
    and four dimensions are many. An image that cannot be used is its `ImageError`.
    """
    if isinstance(data, str | Path) and os.path.isdir(data):
        folder = visible(str(data))
        raise UsageError(
            f"{folder} is a folder: give its files, such as sorted(pathlib.Path({folder!r}).rglob('*.jpg')). "
            "seewhy.label_images and `seewhy predict` take folders, and write a table"
        )
    if isinstance(data, str | Path | bytes | Image.Image | ImageError):
        return [data]
    scale = Scale()
    return (_image_or_error(image, scale) for image in _each(data))


def _each(data: Any) -> Iterable[Any]:
    if hasattr(data, "shape") and hasattr(data, "dtype"):
        return data if _is_many(data) else [data]
    if _is_hub(data):
        column = _column("images", "image", "Image", data.features)
        return (data[row][column] for row in range(len(data)))
    if _is_frame(data):
        header, cells = _frame(data)
        return cells[_image_place(header)]
    if isinstance(data, Mapping):
        return [data]
    if not isinstance(data, Iterable) and not (
        hasattr(data, "__getitem__") and hasattr(data, "__len__")
    ):
        raise UsageError(f"no image: {no_image(data)}, or several")
    items = data if isinstance(data, Iterable) else (data[row] for row in range(len(data)))
    return (item[0] if isinstance(item, tuple | list) else item for item in items)


def _is_many(array: Any) -> bool:
    """Says whether an array holds several images; raises `UsageError` for (3, H, W) of NumPy."""
    shape = tuple(array.shape)
    if len(shape) != 3 or shape[2] in CHANNELS:
        return len(shape) > 3
    if shape[0] not in (1, 3):
        return True
    if not hasattr(array, "detach"):
        raise UsageError(
            f"an array {shape} is either one image with channels first, or {shape[0]} grey images: give "
            "x[None] for one image, x[..., None] for grey images"
        )
    return False


def _image_or_error(image: Any, scale: Scale) -> ImageLike:
    try:
        return image_of(image, scale)
    except ImageError as error:
        return error


class _Scan:
    """Facts from one pass over the records; `samples` are images outside test, to measure their size."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.digest = hashlib.sha256()
        self.labels: set[str] = set()
        self.files: list[str] = []
        self.samples: list[ImageLike] = []
        self.count = 0
        for self.count, record in enumerate(records, 1):
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
            if record.label:
                self.labels.add(record.label)
            if record.split != "test":
                self.samples.append(sample)


def _records(parts: Sequence[_Part], names: tuple[str, ...]) -> Iterator[Record]:
    """The records of all parts; of rows that name the same file one."""
    files: dict[str, Record] = {}
    no_group = "" if any(part.grouped for part in parts) else None
    scale = Scale()
    for part in parts:
        for number, row in enumerate(part.rows()):
            key = f"{part.name}/{number}"
            try:
                image = image_of(row.image, scale)
            except ImageError as error:
                raise DataError(f"the image {visible(key)} has {error}") from None
            if isinstance(image, Path):
                key = str(image)
            label = _label(row.label, part.classes or names, key)
            group = label_text(row.group) if part.grouped else no_group
            record = Record(key, label, row.split, image, group)
            first = files.setdefault(key, record) if isinstance(image, Path) else record
            if first is record:
                yield record
            elif first != record:
                facts = ((one.label, one.split, one.group) for one in (first, record))
                both = visible(" and as ".join(", ".join(filter(None, fact)) for fact in facts))
                raise DataError(f"two rows name {visible(key)}, as {both}: keep the right one")


def _label(label: Any, names: tuple[str, ...], key: str) -> str:
    """Returns the class of a label, "" for none: None, NaN, or -1, as Hugging Face and PyTorch write it."""
    value = as_array(label)
    number = value.item() if value.size == 1 else None
    text = label_text(number)
    if label is None or (value.size == 1 and text in ("", "-1")):
        return ""
    if isinstance(number, str):
        if text in names or not names:
            return text
    elif text.isdecimal():
        if not names:
            return text
        if int(text) < len(names):
            return names[int(text)]
    elif isinstance(number, bool) and not names:
        return text
    known = f"one of {visible(', '.join(names[:20]))}, or its" if names else "a name, or a"
    raise DataError(
        f"the image {visible(key)} has the label {visible(str(label)[:80])}: expected {known} number from "
        "0 (for probabilities, their argmax)"
    )


# ------------------------------------------------------------------ the kinds of data


def _parts(data: Any, columns: Columns) -> list[_Part]:
    """Returns the parts of the data: one per split if it is a dict, else one."""
    if isinstance(data, Mapping):
        return [_part(part, _split(name), columns) for name, part in data.items()]
    return [_part(data, "", columns)]


def _split(name: Any) -> str:
    if str(name).lower() not in SPLITS:
        raise DataError(f"there is no split {visible(str(name))!r}: expected train, val or test")
    return SPLITS[str(name).lower()]


def _part(data: Any, split: str, columns: Columns) -> _Part:
    name = split or "memory"
    if columns.label is not None and not (_is_hub(data) or _is_frame(data)):
        raise UsageError("data.label_column has no effect on data without columns: leave it out")
    if isinstance(data, tuple) and len(data) == 2 and all(hasattr(one, "__len__") for one in data):
        return _of_arrays(name, split, *data)
    if _is_hub(data):
        return _of_hub(name, split, data, columns)
    if _is_frame(data):
        return _of_frame(name, split, data, columns)
    if isinstance(data, np.ndarray | tuple | Mapping) or not (
        hasattr(data, "__len__") and hasattr(data, "__getitem__")
    ):
        raise DataError(f"this data is of type {type(data).__name__}: {_EXPECTED}")
    return _of_items(name, split, data)


def _is_hub(data: Any) -> bool:
    return hasattr(data, "features") and hasattr(data, "column_names")


def _of_arrays(name: str, split: str, images: Any, labels: Any) -> _Part:
    if len(images) != len(labels):
        raise DataError(
            f"{name} has {counted(len(images), 'image')} and {counted(len(labels), 'label')}: "
            f"expected one label per image"
        )
    if hasattr(labels, "ndim") and labels.ndim > 1:
        labels = one_label_each(as_array(labels))
    return _Part(name, len(images), lambda: map(partial(_Row, split=split), images, labels))


def _of_frame(name: str, split: str, frame: Any, columns: Columns) -> _Part:
    header, cells = _frame(frame)
    image, rows = _image_place(header), list(zip(*cells, strict=True))
    labels = label_columns(header, rows[:SAMPLE], columns)
    if labels is None:
        raise DataError(
            f"the table has no column label, only {visible(', '.join(header))}: rename the right one, or "
            "choose it with data.label_column"
        )
    group = place_of(header, columns.group or "group")
    of_split = place_of(header, "split")
    splits = [] if of_split is None else [label_text(cells[of_split]) for cells in rows]
    if "" in splits and any(splits) and not split:
        raise DataError(f"row {splits.index(''):,} has no split, but others have one: add it")
    names = hub_features(frame.schema).get(header[labels.places[0]]) if _is_arrow(frame) else None

    def row(cells: Sequence[Any]) -> _Row:
        given = "" if of_split is None else label_text(cells[of_split])
        label = labels.of(cells) if labels.names else cells[labels.places[0]]
        groups = None if group is None else cells[group]
        return _Row(cells[image], label, split or (given and _split(given)), groups)

    return _Part(name, len(rows), lambda: map(row, rows), names, grouped=group is not None)


def _is_frame(data: Any) -> bool:
    return hasattr(data, "columns") and hasattr(data, "__getitem__") and hasattr(data, "__len__")


def _is_arrow(data: Any) -> bool:
    return hasattr(data, "column_names") and hasattr(data, "schema")


def _frame(frame: Any) -> tuple[list[str], list[list[Any]]]:
    """Returns the column names of a table of pandas, polars or pyarrow, and the cells of each column."""
    header = list(frame.column_names if _is_arrow(frame) else frame.columns)
    columns = [frame[name] for name in header]
    cells = [
        column.to_pylist() if hasattr(column, "to_pylist") else list(column) for column in columns
    ]
    return [str(name) for name in header], cells


def _image_place(header: list[str]) -> int:
    place = image_column(header)
    if place is None:
        raise DataError(
            f"the table has no column path, only {visible(', '.join(header))}: rename the right one"
        )
    return place


def _of_hub(name: str, split: str, data: Any, columns: Columns) -> _Part:
    image = _column("images", "image", "Image", data.features)
    label = columns.label or _column("labels", "label", "ClassLabel", data.features)
    if label not in data.features:
        raise DataError(f"no column {visible(label)}, only {visible(', '.join(data.features))}")
    group = columns.group if columns.group in data.features else None
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
