"""CIFAR-10 as its authors give it out: `cifar-10-batches-py` or `-bin`, a folder or the archive of one.

An archive is read in memory, never unpacked to disk.
"""

import re
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seewhy.data.sources.cifar_pickle import read_batch
from seewhy.data.sources.source import Reading, Record, Source
from seewhy.data.sources.tree import Tree
from seewhy.errors import DataError
from seewhy.text import visible

SIDE = 32
PIXELS = 3 * SIDE * SIDE
_ARCHIVE = (".tar.gz", ".tgz", ".tar")
_MAX_MEMBER, _MAX_ARCHIVE = 64 << 20, 1 << 30  # bytes unpacked; the real ones: 31 and 186 MB
_BATCH = re.compile(r"data_batch_\d+|test_batch")

Batch = tuple[np.ndarray, list[int], list[str]]  # (N, 3072) uint8, labels, file names (or none)


class Form(NamedTuple):
    """How one of the two formats names its files and reads them."""

    layout: str
    suffix: str
    meta: str
    names: Callable[[bytes], list[str]]
    batch: Callable[[bytes], Batch]


def fits_py(tree: Tree) -> bool:
    """Says whether there are batches of the Python format."""
    return _fits(PY, tree)


def fits_bin(tree: Tree) -> bool:
    """Says whether there are batches of the binary format."""
    return _fits(BIN, tree)


def find_py(tree: Tree, group_from: str | None) -> Source:
    """Reads `cifar-10-batches-py`; no pickle is run."""
    return _find(PY, tree)


def find_bin(tree: Tree, group_from: str | None) -> Source:
    """Reads `cifar-10-batches-bin`."""
    return _find(BIN, tree)


def _is_archive(path: Path) -> bool:
    return path.name.endswith(_ARCHIVE) and path.is_file()


def _is_batch(form: Form, name: str) -> bool:
    return name.endswith(form.suffix) and bool(_BATCH.fullmatch(name.removesuffix(form.suffix)))


def _fits(form: Form, tree: Tree) -> bool:
    if not _is_archive(tree.path):
        return any(_is_batch(form, name) for name in tree.scan.others)
    try:
        with _members(tree.path) as members:
            forms = (one for name, _ in members for one in (PY, BIN) if _is_batch(one, name))
            return next(forms, None) is form
    except DataError:
        return False


def _find(form: Form, tree: Tree) -> Source:
    def wanted(name: str) -> bool:
        return _is_batch(form, name) or name == form.meta

    def unpack() -> dict[str, Callable[[], bytes]]:
        with _members(tree.path) as members:
            return {name: partial(bytes, read()) for name, read in members if wanted(name)}

    def sample() -> list[np.ndarray]:
        return [np.zeros((SIDE, SIDE, 3), np.uint8)]

    if _is_archive(tree.path):
        root, watched = tree.watched([])
        return Source(form.layout, root, watched, lambda: _read(form, unpack()), sample)
    names = [name for name in tree.scan.others if wanted(name)]
    root, watched = tree.watched(names)
    files = {name: partial(_whole, tree, name) for name in names}
    return Source(form.layout, root, watched, lambda: _read(form, files), sample)


def _whole(tree: Tree, name: str) -> bytes:
    with tree.open(name) as file:
        return file.read(_MAX_MEMBER)


@contextmanager
def _members(archive: Path) -> Iterator[Iterator[tuple[str, Callable[[], bytes]]]]:
    """Gives the files of an archive: the last part of each name, and what reads it before the next."""

    def members(tar: tarfile.TarFile) -> Iterator[tuple[str, Callable[[], bytes]]]:
        for member in tar:
            if member.offset_data + member.size > _MAX_ARCHIVE:
                raise DataError(f"{visible(archive.name)} unpacks to more than CIFAR-10 does")
            if member.isreg() and member.size <= _MAX_MEMBER:
                file = tar.extractfile(member)
                assert file is not None
                yield member.name.rsplit("/", 1)[-1], file.read
        assert tar.fileobj is not None
        while tar.fileobj.tell() < _MAX_ARCHIVE and tar.fileobj.read(1 << 20):
            pass  # to the end, where gzip has its checksum

    try:
        with tarfile.open(archive) as tar:
            yield members(tar)
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{visible(archive.name)} is damaged: {error}. Get it again") from None


def _read(form: Form, files: Mapping[str, Callable[[], bytes]]) -> Reading:
    if form.meta not in files:
        raise DataError(f"there is no {form.meta} beside the batches, which names the classes")
    names = form.names(files[form.meta]())
    batches = sorted(name for name in files if name != form.meta)

    def records() -> Iterator[Record]:
        for batch in batches:
            split = "test" if batch.startswith("test") else "train"
            pixels, labels, paths = form.batch(files[batch]())
            pictures = pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
            for row, (picture, label, path) in enumerate(zip(pictures, labels, paths, strict=True)):
                if not 0 <= label < len(names):
                    raise DataError(f"{batch} has the label {label} and {len(names)} classes")
                key = f"{batch}/{row}" + (f"/{path}" if path else "")
                yield Record(key, names[label], split, picture)

    return Reading(10_000 * len(batches), tuple(names), records())


def _py_names(data: bytes) -> list[str]:
    return [_text(name) for name in _list(read_batch(data), b"label_names", bytes)]


def _py_batch(data: bytes) -> Batch:
    batch = read_batch(data)
    pixels, labels = batch.get(b"data"), _list(batch, b"labels", int)
    if not isinstance(pixels, np.ndarray) or pixels.shape != (len(labels), PIXELS):
        raise DataError(
            f"a batch of {len(labels)} labels without as many pictures of {PIXELS} bytes"
        )
    if b"filenames" not in batch:
        return pixels, labels, [""] * len(labels)
    paths = [_text(path) for path in _list(batch, b"filenames", bytes)]
    if len(paths) != len(labels):
        raise DataError(f"a batch of {len(labels)} labels with {len(paths)} file names")
    return pixels, labels, paths


def _list(batch: dict[bytes, Any], key: bytes, kind: type) -> list[Any]:
    found = batch.get(key)
    if not isinstance(found, list) or not all(type(item) is kind for item in found):
        raise DataError(f"a batch without a list of {kind.__name__} called {key.decode()}")
    return found


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _bin_names(data: bytes) -> list[str]:
    return _text(data).split()


def _bin_batch(data: bytes) -> Batch:
    if not data or len(data) % (1 + PIXELS):
        raise DataError(f"a batch of {len(data):,} bytes, which is no multiple of {1 + PIXELS:,}")
    rows = np.frombuffer(data, np.uint8).reshape(-1, 1 + PIXELS)
    return rows[:, 1:], rows[:, 0].tolist(), [""] * len(rows)


PY = Form("cifar-py", "", "batches.meta", _py_names, _py_batch)
BIN = Form("cifar-bin", ".bin", "batches.meta.txt", _bin_names, _bin_batch)
