"""The outputs of a network: the one record from which every metric is computed."""

import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import DataError
from seewhy.files import write_atomic
from seewhy.text import csv_text

_KEY = b"seewhy"  # of the schema metadata that holds the classes


@dataclass(frozen=True, eq=False)
class Predictions:
    """The logits of N images over K classes, with what is known of the images.

    `logits` float32 (N, K), NaN in the rows of `errors`; `labels` int64 (N,), -1 where an image
    has none, or None when no image has one; `classes` K names; `ids` (N,) strings, the path or
    row of each image; `embeddings` float32 (N, D), the pooled feature maps of the same pass, or
    None; `errors` maps the number of a row that could not be read to its (code, message). Raises `DataError`
    for arrays of another type or shape, and for a label that is no place in `classes`.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    classes: tuple[str, ...]
    ids: NDArray[Any]
    embeddings: NDArray[np.float32] | None = None
    errors: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    temperature: float = 1.0

    def __post_init__(self) -> None:
        n, k = len(self.ids), len(self.classes)
        _require("ids", self.ids, (n,))
        _require("logits", self.logits, (n, k), "float32")
        if self.labels is not None:
            _require("labels", self.labels, (n,), "int64")
            if n and not -1 <= self.labels.min() <= self.labels.max() < k:
                raise DataError(
                    f"labels from {self.labels.min()} to {self.labels.max()}: expected places in classes, "
                    f"from 0 to {k - 1}, or -1 for an image without a label"
                )
        if self.embeddings is not None:
            _require("embeddings", self.embeddings, (n, *np.shape(self.embeddings)[1:]), "float32")
        assert all(0 <= row < n for row in self.errors)

    def __len__(self) -> int:
        return len(self.ids)

    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of logits / temperature, (N, K), in double precision; each row adds up to 1."""
        return np.exp(self.log_probabilities())

    def log_probabilities(self) -> NDArray[np.float64]:
        """The log of `probabilities`, (N, K): finite for finite logits."""
        return log_softmax(self.logits, self.temperature)

    def confidence(self) -> NDArray[np.float64]:
        """The probability of the predicted class, (N,)."""
        exponents = self.logits.astype(np.float64)
        exponents -= exponents.max(axis=1, keepdims=True)
        exponents /= self.temperature
        return np.asarray(1.0 / np.exp(exponents, out=exponents).sum(axis=1))

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """The class with the largest logit, (N,); of equals the first; -1 in rows of `errors`."""
        best: NDArray[np.int64] = self.logits.argmax(axis=1)
        best[list(self.errors)] = -1
        return best

    def take(self, rows: NDArray[Any]) -> "Predictions":
        """The predictions of some rows, given by number or as a mask, in that order."""
        numbers = np.arange(len(self))[rows].tolist()
        return Predictions(
            self.logits[rows],
            None if self.labels is None else self.labels[rows],
            self.classes,
            self.ids[rows],
            None if self.embeddings is None else self.embeddings[rows],
            {new: self.errors[old] for new, old in enumerate(numbers) if old in self.errors},
            self.temperature,
        )

    def to_parquet(self, path: Path) -> None:
        """Writes id, label, predicted, confidence and logits, one row an image; nothing is lost.

        Where they exist, columns `embedding` and `error`, `message` follow. The classes and the
        temperature are in the schema's metadata under "seewhy".
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        n = len(self)
        errors = [self.errors.get(row, (None, None)) for row in range(n)]
        columns = {
            "id": _id_column(self.ids),
            "label": pa.nulls(n, pa.int64()) if self.labels is None else pa.array(self.labels),
            "predicted": pa.array(self.predicted),
            "confidence": pa.array(self.confidence()),
            "logits": _row_column(self.logits),
        }
        if self.embeddings is not None:
            columns["embedding"] = _row_column(self.embeddings)
        if self.errors:
            columns["error"] = pa.array([code for code, _ in errors], pa.string())
            columns["message"] = pa.array([message for _, message in errors], pa.string())
        about = json.dumps(
            {
                "classes": self.classes,
                "labelled": self.labels is not None,
                "temperature": self.temperature,
            },
            allow_nan=False,
        )
        sink = io.BytesIO()
        pq.write_table(pa.table(columns).replace_schema_metadata({_KEY: about}), sink)
        write_atomic(path, sink.getvalue())

    @staticmethod
    def from_parquet(path: Path) -> "Predictions":
        """Reads what `to_parquet` wrote. Raises `DataError` when it is something else."""
        with _predictions_named(path):
            table = _table(path)
            about = json.loads(table.schema.metadata[_KEY])
            codes = table["error"].to_pylist() if "error" in table.column_names else []
            return Predictions(
                _rows(table["logits"]),
                table["label"].to_numpy() if about["labelled"] else None,
                tuple(about["classes"]),
                _ids(table),
                _rows(table["embedding"]) if "embedding" in table.column_names else None,
                {
                    row: (code, table["message"][row].as_py())
                    for row, code in enumerate(codes)
                    if code is not None
                },
                about["temperature"],
            )

    def to_csv(self, path: Path) -> None:
        """Writes id, label, predicted, confidence and correct (1 or 0), one row an image.

        Classes are written by name; label and correct are empty where an image has no label. No
        cell can act as a formula in a spreadsheet.
        """
        labels = np.full(len(self), -1) if self.labels is None else self.labels
        names = [*self.classes, ""]  # -1 is "", the last
        rows: list[tuple[object, ...]] = [("id", "label", "predicted", "confidence", "correct")]
        for name, label, predicted, confidence in zip(
            self.ids, labels.tolist(), self.predicted.tolist(), self.confidence(), strict=True
        ):
            correct = "" if label < 0 else int(label == predicted)
            sure = "" if predicted < 0 else confidence
            rows.append((str(name), names[label], names[predicted], sure, correct))
        write_atomic(path, csv_text(rows, ".6f").encode("utf-8", "surrogateescape"))


def _require(name: str, values: Any, shape: tuple[int, ...], dtype: str | None = None) -> None:
    """Raises `DataError` for what is not an array of this shape and type."""
    came = type(values).__name__
    if isinstance(values, np.ndarray):
        if values.shape == shape and dtype in (None, values.dtype):
            return
        came = f"{values.dtype} {values.shape}"
    expected = f"{dtype} {shape}" if dtype else str(shape)
    raise DataError(
        f"{name}: expected a NumPy array {expected}, by the numbers of ids and classes, not {came}: convert "
        "or reshape it"
    )


def stored_ids(path: Path) -> NDArray[Any]:
    """The ids of the predictions in a file, without reading the rest. Raises as `from_parquet` does."""
    with _predictions_named(path):
        return _ids(_table(path, ["id"]))


def log_softmax(logits: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float64]:
    """The log of the softmax of logits / temperature, (N, K), in double precision."""
    scaled = logits.astype(np.float64)
    scaled -= scaled.max(axis=1, keepdims=True)
    scaled /= temperature
    scaled -= np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return scaled


def concat(chunks: Iterable[Predictions]) -> Predictions:
    """Joins chunks of one pass, in order. All must have the same classes, and labels or none."""
    parts = list(chunks)
    assert parts and len({(part.classes, part.temperature) for part in parts}) == 1
    labels = [part.labels for part in parts if part.labels is not None]
    embeddings = [part.embeddings for part in parts if part.embeddings is not None]
    assert len(labels) in (0, len(parts)) and len(embeddings) in (0, len(parts))
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    return Predictions(
        np.concatenate([part.logits for part in parts]),
        np.concatenate(labels) if labels else None,
        parts[0].classes,
        np.concatenate([part.ids for part in parts]),
        np.concatenate(embeddings) if embeddings else None,
        {
            start + row: error
            for start, part in zip(starts, parts, strict=False)
            for row, error in part.errors.items()
        },
        parts[0].temperature,
    )


@contextmanager
def _predictions_named(path: Path) -> Iterator[None]:
    """Raises `DataError` naming the file if the block cannot read it as `Predictions`."""
    import pyarrow as pa

    try:
        yield
    except MemoryError:  # Arrow's is an `ArrowException` too
        raise
    except (
        DataError,
        OSError,
        pa.ArrowException,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise DataError(
            f"{path} is not a predictions file of SeeWhy ({type(error).__name__}): make it "
            "with `seewhy evaluate`"
        ) from None


def _table(path: Path, columns: list[str] | None = None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = pa.BufferReader(Path(path).read_bytes())
    return pq.read_table(data, columns=columns).combine_chunks()


def _ids(table: Any) -> NDArray[Any]:
    names = table["id"].to_pylist()
    return np.array([i if isinstance(i, str) else os.fsdecode(i) for i in names], dtype=object)


def _id_column(ids: NDArray[Any]) -> Any:
    """Strings; bytes when a path holds bytes that are no UTF-8, so that it still names its file."""
    import pyarrow as pa

    names = [str(name) for name in ids]
    try:
        return pa.array(names, pa.string())
    except UnicodeEncodeError:
        return pa.array([os.fsencode(name) for name in names], pa.binary())


def _row_column(values: NDArray[np.float32]) -> Any:
    import pyarrow as pa

    flat = pa.array(np.ascontiguousarray(values, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])


def _rows(column: Any) -> NDArray[np.float32]:
    """A fixed-size list column as a writable float32 array (N, width)."""
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.array(flat, np.float32).reshape(len(column), column.type.list_size)
