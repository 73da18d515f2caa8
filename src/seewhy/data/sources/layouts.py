"""The layouts that can be read: one function each, in one table."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from seewhy.csv_cells import visible
from seewhy.data.sources.cifar import find_bin, find_py, fits_bin, fits_py
from seewhy.data.sources.folders import (
    find_folders,
    find_split_folders,
    fits_folders,
    fits_split_folders,
)
from seewhy.data.sources.parquet import find_parquet, fits_parquet
from seewhy.data.sources.source import Source
from seewhy.errors import DataError


class Layout(NamedTuple):
    """One way in which pictures may lie: what it looks like, does a path fit, read it.

    `find(root, group_from)`: a layout with columns takes the groups from the one of that name.
    """

    looks: str
    fits: Callable[[Path], bool]
    find: Callable[[Path, str | None], Source]


LAYOUTS = {
    "folders": Layout("root/<class>/*", fits_folders, find_folders),
    "split-folders": Layout(
        "root/{train,val,test}/<class>/*", fits_split_folders, find_split_folders
    ),
    "parquet": Layout(
        "train*.parquet, test*.parquet, ... (or in data/)", fits_parquet, find_parquet
    ),
    "cifar-py": Layout("cifar-10-batches-py, a folder or .tar.gz", fits_py, find_py),
    "cifar-bin": Layout("cifar-10-batches-bin, a folder or .tar.gz", fits_bin, find_bin),
}


def fitting(path: Path) -> list[str]:
    """Returns the names of the layouts that a path fits."""
    return [name for name, layout in LAYOUTS.items() if layout.fits(path)]


def recognise(path: Path, layout: str | None, group_from: str | None) -> Source:
    """Returns the source at a path that exists; raises `DataError` unless exactly one layout fits."""
    if layout is not None and layout not in LAYOUTS:
        raise DataError(f"unknown layout {visible(layout)}: known are {', '.join(LAYOUTS)}")
    names = [layout] if layout else fitting(path)
    if not names:
        looks = "\n".join(f"  {name}: {known.looks}" for name, known in LAYOUTS.items())
        raise DataError(
            f"{visible(str(path))} has none of the layouts that can be read:\n{looks}\n"
            "Give the folder above the class folders, or move the pictures so"
        )
    if len(names) > 1:
        raise DataError(
            f"{visible(str(path))} can be read in several ways: say which with --layout "
            + " or --layout ".join(names)
        )
    return LAYOUTS[names[0]].find(path, group_from)
