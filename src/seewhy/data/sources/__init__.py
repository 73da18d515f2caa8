"""Where labelled pictures come from: layouts recognised by what lies there, and sources by name."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from seewhy.csv_cells import visible
from seewhy.data.sources.digits import find_digits
from seewhy.data.sources.folders import (
    find_folders,
    find_split_folders,
    fits_folders,
    fits_split_folders,
)
from seewhy.data.sources.parquet import find_parquet, fits_parquet
from seewhy.data.sources.source import Record, Source
from seewhy.errors import DataError

__all__ = ["LAYOUTS", "NAMED", "Record", "Source", "find"]


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
    "parquet": Layout("train*.parquet, test*.parquet, ...", fits_parquet, find_parquet),
}
NAMED: dict[str, Callable[[], Source]] = {"digits": find_digits}


def find(source: str | Path, layout: str | None = None, group_from: str | None = None) -> Source:
    """Recognises a source: a path in one of `LAYOUTS`, or a name in `NAMED` where no such path is.

    Raises `DataError` when none fits, or when several do and `layout` does not say which.
    """
    path = Path(source)
    if not path.exists():
        if str(source) in NAMED:
            return NAMED[str(source)]()
        raise DataError(
            f"no data at {visible(str(source))}: give a folder or file, or one of "
            + ", ".join(sorted(NAMED))
        )
    path = path.resolve()
    if layout is not None and layout not in LAYOUTS:
        raise DataError(f"unknown layout {visible(layout)}: known are {', '.join(LAYOUTS)}")
    fitting = [layout] if layout else [name for name, known in LAYOUTS.items() if known.fits(path)]
    if not fitting:
        looks = "\n".join(f"  {name}: {known.looks}" for name, known in LAYOUTS.items())
        raise DataError(f"{visible(str(path))} has none of the layouts that can be read:\n{looks}")
    if len(fitting) > 1:
        raise DataError(
            f"{visible(str(path))} can be read in several ways: say which with --layout "
            + " or --layout ".join(fitting)
        )
    return LAYOUTS[fitting[0]].find(path, group_from)
