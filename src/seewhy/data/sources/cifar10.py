"""CIFAR-10 by name: read from the user's data folder, or else downloaded once."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seewhy.data.cache_root import cache_root
from seewhy.data.download import Download, download
from seewhy.data.sources.class_folders import folder_names
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.layouts import LAYOUTS, fitting, recognise
from seewhy.data.sources.source import Source
from seewhy.data.sources.tree import tree_at
from seewhy.errors import DataError
from seewhy.events import OnEvent

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
ARCHIVE = Download(
    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    170_498_071,
    "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
)
NAMES = (
    *("cifar10", "cifar-10-batches-py", "cifar-10-batches-bin"),
    *("cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"),
)


def find_cifar10(columns: Columns, on_event: OnEvent) -> Source:
    """Returns CIFAR-10 from `$SEEWHY_DATA`, where it may have any layout, or from the cache.

    Otherwise it is downloaded. Raises `DataError` or `ChecksumError` if that fails.
    """
    path = next(_places(), None) or download(ARCHIVE, cache_root() / "downloads", on_event)
    return replace(recognise(path.resolve(), None, columns), names=CLASSES)


def _places() -> Iterator[Path]:
    """Yields the places of CIFAR-10 in `$SEEWHY_DATA`: under one of its names, or directly."""
    if not (variable := os.environ.get("SEEWHY_DATA")):
        return
    home = Path(variable).expanduser()
    if not home.is_dir():
        raise DataError(f"SEEWHY_DATA is {variable}, which is not a directory")
    for folder in (home / "cifar10", home):
        for path in (folder / name for name in NAMES):
            if path.exists() and len(fitting(tree_at(path))) == 1:
                yield path
    if _is_cifar10(home):
        yield home


def _is_cifar10(path: Path) -> bool:
    """Says whether a path with any name holds CIFAR-10, by its layout or its class names."""
    tree = tree_at(path)
    names = fitting(tree)
    if len(names) != 1:
        return False
    if names[0] == "parquet":
        return LAYOUTS["parquet"].find(tree, Columns()).read().classes == CLASSES
    if names[0] in ("folders", "split-folders"):
        return set(CLASSES) <= folder_names(tree)
    return names[0] in ("cifar-py", "cifar-bin")
