"""CIFAR-10 as its authors distribute it: `cifar-10-batches-py` or `-bin`, a folder or an archive."""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from seewhy.data.sources.cifar_pickle import read_batch
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.source import Reading, Record, Source
from seewhy.data.sources.tree import Tree
from seewhy.errors import DataError
from seewhy.text import counted

SIDE = 32
PIXELS = 3 * SIDE * SIDE
_MAX_BATCH = 64 << 20  # bytes; a real one has 31 MB
_BATCH = re.compile(r"data_batch_\d+|test_batch")

Batch = tuple[np.ndarray, list[int], list[str]]  # (N, 3072) uint8, labels, file names (or none)


class Form(NamedTuple):
    """How one of the two formats names its files and reads them."""

    layout: str
    suffix: str
    meta: str
    names: Callable[[bytes], list[str]]
    batch: Callable[[bytes], Batch]


def _is_batch(form: Form, name: str) -> bool:
    return name.endswith(form.suffix) and bool(_BATCH.fullmatch(name.removesuffix(form.suffix)))


def _fits(form: Form, tree: Tree) -> bool:
    return any(_is_batch(form, name) for name in tree.scan.others)


def _find(form: Form, tree: Tree, columns: Columns) -> Source:
    def whole(name: str) -> bytes:
        with tree.open(name) as file:
            return file.read(_MAX_BATCH)

    names = [name for name in tree.scan.others if _is_batch(form, name) or name == form.meta]
    files = {name: partial(whole, name) for name in names}
    sample = [np.zeros((SIDE, SIDE, 3), np.uint8)]
    return Source(form.layout, *tree.watched(names), partial(_read, form, files), lambda: sample)


def _read(form: Form, files: Mapping[str, Callable[[], bytes]]) -> Reading:
    if form.meta not in files:
        raise DataError(f"{form.meta}, which names the classes, is missing beside the batches")
    names = form.names(files[form.meta]())
    batches = sorted(name for name in files if name != form.meta)

    def records() -> Iterator[Record]:
        for batch in batches:
            split = "test" if batch.startswith("test") else "train"
            pixels, labels, paths = form.batch(files[batch]())
            images = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
            for row, (image, label, path) in enumerate(zip(images, labels, paths, strict=True)):
                if not 0 <= label < len(names):
                    raise DataError(
                        f"{batch} has the label {label}, but {counted(len(names), 'class')}"
                    )
                key = f"{batch}/{row}" + (f"/{path}" if path else "")
                yield Record(key, names[label], split, image)

    return Reading(10_000 * len(batches), tuple(names), records())


def _py_names(data: bytes) -> list[str]:
    return [_text(name) for name in _list(read_batch(data), b"label_names", bytes)]


def _py_batch(data: bytes) -> Batch:
    batch = read_batch(data)
    pixels, labels = batch.get(b"data"), _list(batch, b"labels", int)
    if not isinstance(pixels, np.ndarray) or pixels.shape != (len(labels), PIXELS):
        raise DataError(
            f"a batch of {counted(len(labels), 'label')} lacks as many images of {PIXELS} bytes"
        )
    if b"filenames" not in batch:
        return pixels, labels, [""] * len(labels)
    paths = [_text(path) for path in _list(batch, b"filenames", bytes)]
    if len(paths) != len(labels):
        raise DataError(
            f"a batch of {counted(len(labels), 'label')} with {counted(len(paths), 'file name')}"
        )
    return pixels, labels, paths


def _list(batch: dict[bytes, Any], key: bytes, kind: type) -> list[Any]:
    values = batch.get(key)
    if not isinstance(values, list) or not all(type(item) is kind for item in values):
        raise DataError(f"a batch lacks the list {key.decode()} of {kind.__name__}")
    return values


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _bin_batch(data: bytes) -> Batch:
    if not data or len(data) % (1 + PIXELS):
        raise DataError(f"a batch of {len(data):,} bytes, which is no multiple of {1 + PIXELS:,}")
    rows = np.frombuffer(data, np.uint8).reshape(-1, 1 + PIXELS)
    return rows[:, 1:], rows[:, 0].tolist(), [""] * len(rows)


PY = Form("cifar-py", "", "batches.meta", _py_names, _py_batch)  # no pickle is run
BIN = Form("cifar-bin", ".bin", "batches.meta.txt", lambda data: _text(data).split(), _bin_batch)
fits_py, find_py = partial(_fits, PY), partial(_find, PY)
fits_bin, find_bin = partial(_fits, BIN), partial(_find, BIN)
