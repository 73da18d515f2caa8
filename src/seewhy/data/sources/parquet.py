"""Parquet files in the hub's layout: a column of pictures, a column of labels, a split in the name."""

import json
import re
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from seewhy.data.images.decode import Picture
from seewhy.data.sources.source import SAMPLE, SPLITS, Reading, Record, Source
from seewhy.data.sources.tree import Tree
from seewhy.errors import DataError
from seewhy.text import visible

if TYPE_CHECKING:
    import pyarrow as pa

_SPLIT = re.compile(r"(train|validation|valid|val|test)(?![a-z])", re.IGNORECASE)
_BATCH = 256  # rows read at a time


class Columns(NamedTuple):
    """The columns a file is read by; `names` are the classes where the schema has them."""

    picture: str
    in_struct: bool
    label: str
    group: str | None
    names: tuple[str, ...] | None


def fits_parquet(tree: Tree) -> bool:
    """Says whether there are parquet files, or some in `data/`."""
    return bool(_files(tree))


def find_parquet(tree: Tree, group_from: str | None) -> Source:
    """Reads `train*.parquet`, `validation*.parquet`, `test*.parquet`."""
    files = _files(tree)
    splits = [_SPLIT.match(_name(file)) for file in files]
    if any(splits) and not all(splits):
        odd = ", ".join(visible(_name(f)) for f, s in zip(files, splits, strict=True) if not s)
        raise DataError(
            f"{odd} belongs to no split: name it train*, validation* or test*, or move it away"
        )
    named = [
        (file, SPLITS[s[1].lower()] if s else "") for file, s in zip(files, splits, strict=True)
    ]
    column = group_from if group_from and group_from in _schema(tree, files[0]).names else None
    root, watched = tree.watched(files)
    return Source(
        "parquet",
        root,
        watched,
        partial(_read, tree, named, column),
        partial(_sample, tree, named, column),
        key=f"group column {column}" if column else "",
        grouped=column is not None,
    )


def _files(tree: Tree) -> list[str]:
    inside = [name for name in tree.scan.others if name.endswith(".parquet")]
    return tree.top(".parquet") or [
        name for name in inside if name.count("/") == 1 and name.startswith("data/")
    ]


def _name(file: str) -> str:
    return file.rpartition("/")[2]


def _schema(tree: Tree, file: str) -> "pa.Schema":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with tree.open(file) as opened:
            return pq.read_schema(opened)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{visible(_name(file))} is no readable parquet file: {error}") from None


def _read(tree: Tree, files: list[tuple[str, str]], column: str | None) -> Reading:
    import pyarrow.parquet as pq

    columns = [_columns(tree, file, column) for file, _ in files]
    names = {found.names for found in columns}
    if len(names) > 1:
        raise DataError("the parquet files name different classes: keep one data set in a folder")

    def count(file: str) -> int:
        with tree.open(file) as opened:
            return pq.read_metadata(opened).num_rows

    def records() -> Iterator[Record]:
        for (file, split), found in zip(files, columns, strict=True):
            yield from _records(tree, file, split, found)

    return Reading(sum(count(file) for file, _ in files), names.pop(), records())


def _sample(tree: Tree, files: list[tuple[str, str]], column: str | None) -> Iterable[Picture]:
    for file, split in files:
        if split != "test":
            columns = _columns(tree, file, column)
            for record in islice(_records(tree, file, split, columns), SAMPLE):
                yield record.picture
            return


def _records(tree: Tree, file: str, split: str, columns: Columns) -> Iterator[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = [columns.picture, columns.label, *([columns.group] if columns.group else [])]
    row = 0
    try:
        with tree.open(file) as opened, pq.ParquetFile(opened, pre_buffer=False) as table:
            for batch in table.iter_batches(_BATCH, columns=wanted, use_threads=False):
                for record in _batch_records(_name(file), row, split, batch, columns):
                    yield record
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{visible(_name(file))} is damaged at row {row:,} or after: {error}"
        ) from None


def _batch_records(
    file: str, start: int, split: str, batch: "pa.RecordBatch", columns: Columns
) -> Iterator[Record]:
    pictures = batch.column(columns.picture)
    if columns.in_struct:
        data, paths = pictures.field("bytes").to_pylist(), pictures.field("path").to_pylist()
    else:
        data, paths = pictures.to_pylist(), [None] * len(pictures)
    labels = batch.column(columns.label).to_pylist()
    groups = batch.column(columns.group).to_pylist() if columns.group else [None] * len(labels)
    for offset, (picture, path, label, group) in enumerate(
        zip(data, paths, labels, groups, strict=True)
    ):
        key = f"{file}/{start + offset}" + (f"/{path}" if path else "")
        name = _label_name(label, columns.names, key)
        yield Record(key, name, split, picture or b"", _group(group, columns))


def _group(value: Any, columns: Columns) -> str | None:
    if columns.group is None:
        return None
    return "" if value is None else str(value)


def _label_name(label: Any, names: tuple[str, ...] | None, key: str) -> str:
    if label is None:
        raise DataError(f"{visible(key)} has no label: remove the row or give it one")
    if names is None:
        return str(label)
    if not 0 <= label < len(names):
        raise DataError(
            f"{visible(key)} has the label {label}; the file names 0 to {len(names) - 1}"
        )
    return names[label]


def _columns(tree: Tree, file: str, group: str | None) -> Columns:
    """Finds the columns by what they hold, and by name only where several hold the same."""
    import pyarrow as pa

    schema = _schema(tree, file)
    structs = [
        field.name
        for field in schema
        if pa.types.is_struct(field.type)
        and field.type.get_field_index("bytes") >= 0
        and field.type.get_field_index("path") >= 0
    ]
    pictures = structs or [f.name for f in schema if _is_binary(f.type)]
    features = _hub_features(schema)
    named = [name for name in features if name in schema.names and features[name] is not None]
    plain = [f.name for f in schema if pa.types.is_integer(f.type) and f.name != group]
    words = [f.name for f in schema if _is_text(f.type) and f.name != group]
    label = _one(file, "labels", named or plain or words, schema)
    names = features.get(label)
    return Columns(_one(file, "pictures", pictures, schema), bool(structs), label, group, names)


def _one(file: str, what: str, found: list[str], schema: "pa.Schema") -> str:
    if len(found) > 1 and "label" in found:
        return "label"
    if len(found) != 1:
        raise DataError(
            f"{visible(_name(file))} has {len(found)} columns that may hold the {what} "
            f"({visible(', '.join(found or schema.names))}): it should have one"
            + (", or one named label" if what == "labels" else " of {bytes, path}")
        )
    return found[0]


def _is_binary(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _hub_features(schema: "pa.Schema") -> dict[str, tuple[str, ...] | None]:
    """Returns the class names of each column that the hub's metadata calls a ClassLabel."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            name: tuple(str(value) for value in feature["names"])
            for name, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}
