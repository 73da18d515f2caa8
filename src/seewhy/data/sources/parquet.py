"""Parquet files in the layout of Hugging Face: columns of images and labels, a split in the file name."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seewhy.data.class_names import label_text
from seewhy.data.images.decode import ImageLike
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.source import SAMPLE, SPLITS, Reading, Record, Source, some_of
from seewhy.data.sources.tree import Tree, tree_at
from seewhy.errors import DataError
from seewhy.text import counted, near, visible

if TYPE_CHECKING:
    import pyarrow as pa

_SPLIT = re.compile(r"(train|validation|valid|val|test)(?![a-z])", re.IGNORECASE)
_BATCH = 256  # rows read at a time


class Found(NamedTuple):
    """The columns that are read; `names` are the classes, if the schema has them."""

    image: str
    in_struct: bool
    label: str
    group: str | None
    names: tuple[str, ...] | None


def fits_parquet(tree: Tree) -> bool:
    """Says whether there are parquet files, or some in `data/`."""
    return bool(_files(tree))


def find_parquet(tree: Tree, columns: Columns) -> Source:
    """Reads `train*.parquet`, `validation*.parquet`, `test*.parquet`."""
    files = _files(tree)
    splits = [split_in_name(_name(file)) for file in files]
    if any(splits) and not all(splits):
        odd = ", ".join(visible(_name(f)) for f, s in zip(files, splits, strict=True) if not s)
        raise DataError(
            f"{odd} belongs to no split: name it train*, validation* or test*, or move it away"
        )
    named = list(zip(files, splits, strict=True))
    if columns.group not in _schema(tree, files[0]).names:
        columns = columns._replace(group=None)
    return Source(
        "parquet",
        *tree.watched(files),
        partial(_read, tree, named, columns),
        partial(_sample, tree, named, columns),
        key=", ".join(f"{what} column {name}" for what, name in columns._asdict().items() if name),
        grouped=columns.group is not None,
    )


def split_in_name(file: str) -> str:
    """Returns the split that the name of a file begins with, "" for none."""
    match = _SPLIT.match(file)
    return SPLITS[match[1].lower()] if match else ""


def images_in_parquet(path: Path) -> tuple[int, Callable[[int], Iterator[tuple[str, ImageLike]]]]:
    """Returns how many images a file has, and a function that yields those from a row on, with their names.

    It needs no column of labels. Raises `DataError` for a file that is damaged, or has no column of images.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tree = tree_at(path)
    column, in_struct = _image_column(path.name, _schema(tree, path.name))
    with open(path, "rb") as file:
        about = pq.read_metadata(file)
    counts = [about.row_group(number).num_rows for number in range(about.num_row_groups)]

    def images(first: int) -> Iterator[tuple[str, ImageLike]]:
        row = 0
        with open(path, "rb") as file, pq.ParquetFile(file, pre_buffer=False) as table:
            for group, count in enumerate(counts):
                if row + count <= first:
                    row += count
                    continue
                groups = [group]
                for batch in table.iter_batches(_BATCH, groups, [column], use_threads=False):
                    for data, name in _images(batch.column(column), in_struct):
                        if row >= first:
                            yield f"{row}/{name}" if name else str(row), data or b""
                        row += 1

    def checked(first: int) -> Iterator[tuple[str, ImageLike]]:
        try:
            yield from images(first)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{visible(path.name)} is damaged: {error}") from None

    return about.num_rows, checked


def _images(column: "pa.Array", in_struct: bool) -> Iterator[tuple[bytes | None, str | None]]:
    """Yields the bytes of each image of a column, and its path if it has one."""
    if not in_struct:
        return zip(column.to_pylist(), repeat(None))
    return zip(column.field("bytes").to_pylist(), column.field("path").to_pylist(), strict=True)


def _files(tree: Tree) -> list[str]:
    inside = re.compile(r"data/[^/]*\.parquet", re.DOTALL)
    return tree.top(".parquet") or list(filter(inside.fullmatch, tree.scan.others))


def _name(file: str) -> str:
    return file.rpartition("/")[2]


def _schema(tree: Tree, file: str) -> "pa.Schema":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with tree.open(file) as opened:
            return pq.read_schema(opened)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{visible(_name(file))} is not a readable parquet file: {error}") from None


def _read(tree: Tree, files: list[tuple[str, str]], named: Columns) -> Reading:
    import pyarrow.parquet as pq

    columns = [_columns(tree, file, named) for file, _ in files]
    names = {one.names for one in columns}
    if len(names) > 1:
        raise DataError("the parquet files name different classes: use a folder for each data set")

    def count(file: str) -> int:
        with tree.open(file) as opened:
            return pq.read_metadata(opened).num_rows

    def records() -> Iterator[Record]:
        for (file, split), of_file in zip(files, columns, strict=True):
            yield from _records(tree, file, split, of_file)

    return Reading(sum(count(file) for file, _ in files), names.pop(), records())


def _sample(tree: Tree, files: list[tuple[str, str]], columns: Columns) -> Iterable[ImageLike]:
    import pyarrow.parquet as pq

    some = some_of([named for named in files if named[1] != "test"])
    for file, split in some:
        with tree.open(file) as opened:
            about = pq.read_metadata(opened)
        groups = some_of(range(about.num_row_groups))
        step = len(some) * sum(about.row_group(group).num_rows for group in groups) // SAMPLE
        records = _records(tree, file, split, _columns(tree, file, columns), groups)
        yield from (record.image for record in islice(records, 0, None, step or 1))


def _records(
    tree: Tree, file: str, split: str, columns: Found, groups: Sequence[int] | None = None
) -> Iterator[Record]:
    """The rows of a file, or of some of its row groups, in order."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = [columns.image, columns.label, *([columns.group] if columns.group else [])]
    row = 0
    try:
        with tree.open(file) as opened, pq.ParquetFile(opened, pre_buffer=False) as table:
            for batch in table.iter_batches(_BATCH, groups, wanted, use_threads=False):
                for record in _batch_records(_name(file), row, split, batch, columns):
                    yield record
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{visible(_name(file))} is damaged at row {row:,} or after: {error}"
        ) from None


def _batch_records(
    file: str, start: int, split: str, batch: "pa.RecordBatch", columns: Found
) -> Iterator[Record]:
    images = _images(batch.column(columns.image), columns.in_struct)
    labels = batch.column(columns.label).to_pylist()
    groups: list[str | None] = [None] * len(labels)
    if columns.group:
        values = batch.column(columns.group).to_pylist()
        groups = ["" if value is None else str(value) for value in values]
    for row, ((image, path), label, group) in enumerate(
        zip(images, labels, groups, strict=True), start
    ):
        key = f"{file}/{row}" + (f"/{path}" if path else "")
        yield Record(key, _label_name(label, columns.names, key), split, image or b"", group)


def _label_name(label: Any, names: tuple[str, ...] | None, key: str) -> str:
    if label in (None, -1):  # -1: the hub's way to hide a label
        return ""
    if names is None:
        return label_text(label)
    if not 0 <= label < len(names):
        raise DataError(f"{visible(key)} has the label {label}, not one of 0 to {len(names) - 1}")
    return names[label]


def _columns(tree: Tree, file: str, named: Columns) -> Found:
    """Finds the columns by their types, and by name if the user gives one or several have the same type."""
    from pyarrow import types

    def fitting(*fits: Callable[["pa.DataType"], bool], but: str | None = None) -> list[str]:
        return [f.name for f in schema if f.name != but and any(fit(f.type) for fit in fits)]

    schema = _schema(tree, file)
    features, group = hub_features(schema), named.group
    labels = [name for name in features if name in schema.names]
    labels = labels or fitting(types.is_integer, but=group)
    labels = labels or fitting(types.is_string, types.is_large_string, but=group)
    labels = labels or fitting(types.is_floating, types.is_boolean, but=group)
    if named.label is not None and named.label not in schema.names:
        raise DataError(
            f"{visible(_name(file))} has no column {visible(named.label)}"
            f"{near(named.label, schema.names)} (--label-column): its columns are "
            f"{visible(', '.join(schema.names))}"
        )
    label = named.label or _one(file, "labels", labels, schema)
    image, in_struct = _image_column(file, schema)
    return Found(image, in_struct, label, group, features.get(label))


def _image_column(file: str, schema: "pa.Schema") -> tuple[str, bool]:
    """Returns the column of the images, and whether it is one of {bytes, path}."""
    from pyarrow import types

    def is_image(kind: "pa.DataType") -> bool:
        return types.is_struct(kind) and {"bytes", "path"} <= {field.name for field in kind}

    structs = [field.name for field in schema if is_image(field.type)]
    binary = [f.name for f in schema if types.is_binary(f.type) or types.is_large_binary(f.type)]
    return _one(file, "images", structs or binary, schema), bool(structs)


def _one(file: str, what: str, fitting: list[str], schema: "pa.Schema") -> str:
    if len(fitting) > 1 and "label" in fitting:
        return "label"
    if len(fitting) != 1:
        raise DataError(
            f"{visible(_name(file))} has {counted(len(fitting), 'column')} that may hold the {what} "
            f"({visible(', '.join(fitting or schema.names))}): it should have one"
            + (", or choose it with --label-column" if what == "labels" else " of {bytes, path}")
        )
    return fitting[0]


def hub_features(schema: "pa.Schema") -> dict[str, tuple[str, ...]]:
    """Returns the class names of each column that Hugging Face's metadata declares as a ClassLabel."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: tuple(str(value) for value in feature["names"])
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
