"""The tables that `label_images` writes: their columns, their rows, and files of three formats."""

import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from seewhy.errors import UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.files import atomic_file, to_json
from seewhy.inference.classifier import Classifier
from seewhy.text import csv_text

SKIPPED = {"not_a_file"}
ROWS = 8192  # that are converted at once, and that a row group of parquet has

Row = Sequence[Any]  # a cell a column: text, a number, or "" for none


def columns_of(count: int, answers: bool) -> tuple[str, ...]:
    """The columns of a table with so many labels an image, and with `answers` the answer."""
    labels = [f"{name}{rank}" for rank in _ranks(count) for name in ("label", "confidence")]
    return ("path", "status", *labels, "model_digest", "code", "error", *["answer"] * answers)


def _ranks(count: int) -> list[str]:
    return ["", *(f"_{rank}" for rank in range(2, count + 1))]


def rows_of(classifier: Classifier, chunk: Predictions, columns: Sequence[str]) -> list[Row]:
    """A row for each image of a chunk, also for those that could not be read."""
    count = sum(column.startswith("label") for column in columns)
    best = (-chunk.logits).argsort(axis=1, kind="stable")[:, :count]
    confidences = np.take_along_axis(chunk.probabilities(), best, axis=1).tolist()
    answers = classifier.answers(chunk) if columns[-1] == "answer" else None
    names, digest = classifier.classes, classifier.digest
    rows: list[Row] = []
    for number, (path, labels) in enumerate(zip(chunk.ids, best.tolist(), strict=True)):
        answer = [] if answers is None else [answers[number]]
        if number in chunk.errors:
            code, message = chunk.errors[number]
            status = "skipped" if code in SKIPPED else "error"
            rows.append([path, status, *[""] * (2 * count), digest, code, message, *answer])
            continue
        ranked = zip(labels, confidences[number], strict=True)
        cells = [cell for label, share in ranked for cell in (names[label], round(share, 6))]
        rows.append([path, "ok", *cells, digest, "", "", *answer])
    return rows


def write_table(path: Path, columns: Sequence[str], rows: Iterator[Row]) -> None:
    """Writes a file, atomically, in the format of its suffix; a few thousand rows are in memory."""
    writer = writer_of(path)
    with atomic_file(path) as file:
        writer(file, columns, _blocks(rows))


def writer_of(path: Path) -> Callable[[BinaryIO, Sequence[str], Iterable[Sequence[Row]]], None]:
    """The function that writes a file of this name. Raises `UsageError` for an unknown suffix."""
    writers = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}
    if path.suffix not in writers:
        *others, last = writers
        expected = f"{', '.join(others)} or {last}"
        raise UsageError(f"--out {path}: expected a name that ends in {expected}")
    return writers[path.suffix]


def _blocks(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while block := list(islice(rows, ROWS)):
        yield block


def _write_csv(file: BinaryIO, columns: Sequence[str], blocks: Iterable[Sequence[Row]]) -> None:
    text = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", newline="")
    text.write(csv_text([columns]))
    for block in blocks:
        text.write(csv_text(block))
    text.detach()


def _write_jsonl(file: BinaryIO, columns: Sequence[str], blocks: Iterable[Sequence[Row]]) -> None:
    for block in blocks:
        for row in block:
            line = dict(zip(columns, map(_value, row), strict=True))
            file.write(json.dumps(to_json(line), allow_nan=False).encode() + b"\n")


def _write_parquet(file: BinaryIO, columns: Sequence[str], blocks: Iterable[Sequence[Row]]) -> None:
    """Text and double columns; what is empty is null, and bytes that are not UTF-8 are as in CSV."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = [pa.float64() if name.startswith("confidence") else pa.string() for name in columns]
    schema = pa.schema(zip(columns, types, strict=True))
    with pq.ParquetWriter(file, schema) as writer:
        for block in blocks:
            cells = [
                [_unicode(_value(cell)) for cell in column] for column in zip(*block, strict=True)
            ]
            arrays = [pa.array(column, kind) for column, kind in zip(cells, types, strict=True)]
            writer.write_table(pa.table(arrays, schema))


def _value(cell: Any) -> Any:
    return None if cell == "" else cell


def _unicode(cell: Any) -> Any:
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell
