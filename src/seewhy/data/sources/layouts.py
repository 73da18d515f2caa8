"""The layouts that can be read: one function each, in one table."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from seewhy.data.sources.cifar import find_bin, find_py, fits_bin, fits_py
from seewhy.data.sources.class_folders import (
    doubt,
    find_file_names,
    find_folders,
    find_split_folders,
    fits_folders,
    fits_split_folders,
    folder_names,
    hint,
)
from seewhy.data.sources.npz import find_npz, fits_npz
from seewhy.data.sources.parquet import find_parquet, fits_parquet
from seewhy.data.sources.source import Source
from seewhy.data.sources.table import find_table, fits_table, table_labels
from seewhy.data.sources.tree import Tree, tree_at
from seewhy.errors import DataError
from seewhy.text import visible


class Layout(NamedTuple):
    """One way to store images: a pattern for messages, whether a tree fits, and the function that reads it.

    A layout that fits no tree is read only if it is chosen.
    `find(tree, group_from)`: a layout with columns takes the groups from the column of that name.
    """

    looks: str
    fits: Callable[[Tree], bool]
    find: Callable[[Tree, str | None], Source]


LAYOUTS = {
    "folders": Layout("root/<class>/*", fits_folders, find_folders),
    "split-folders": Layout("root/<split>/<class>/*", fits_split_folders, find_split_folders),
    "file-names": Layout("<class>.<number>.jpg, if chosen", lambda tree: False, find_file_names),
    "table": Layout("images beside a .csv with the columns id,label", fits_table, find_table),
    "parquet": Layout("{train,test}*.parquet, or in data/", fits_parquet, find_parquet),
    "npz": Layout(".npz with the arrays x_train, y_train, ...", fits_npz, find_npz),
    "cifar-py": Layout("cifar-10-batches-py", fits_py, find_py),
    "cifar-bin": Layout("cifar-10-batches-bin", fits_bin, find_bin),
}
_BY_FOLDER = ("folders", "split-folders")


def fitting(tree: Tree) -> list[str]:
    """Returns the names of the layouts that a tree fits.

    If a table fits and no folder has the name of one of its labels, folders are not classes.
    """
    names = [name for name, layout in LAYOUTS.items() if layout.fits(tree)]
    if "table" in names and len(names) > 1 and not table_labels(tree) & folder_names(tree):
        names = [name for name in names if name not in _BY_FOLDER]
    return names


def recognise(
    path: Path, layout: str | None, group_from: str | None, follow_links: bool = False
) -> Source:
    """Returns the source at an existing path; raises `DataError` unless exactly one layout fits."""
    if layout is not None and layout not in LAYOUTS:
        raise DataError(f"unknown layout {visible(layout)}: known are {', '.join(LAYOUTS)}")
    tree = tree_at(path, follow_links)
    if layout is None or not LAYOUTS[layout].fits(tree):
        tree = innermost(tree)
    names = [layout] if layout else fitting(tree)
    if path.suffix.lower() == ".csv" or (not names and tree.scan.images and tree.top(".csv")):
        names = ["table"]  # whose error names what the table lacks
    if not names:
        raise DataError(_nothing_fits(path, tree))
    if len(names) > 1:
        raise DataError(
            f"{visible(str(path))} fits several layouts{doubt(tree)}: choose one with --layout "
            + " or --layout ".join(names)
        )
    source = LAYOUTS[names[0]].find(tree, group_from)
    if not tree.below:
        return source
    note = f"read below {visible(tree.below)}, the folder that holds everything"
    return replace(source, notes=(note, *source.notes))


def innermost(tree: Tree) -> Tree:
    """Looks through folders that hold everything, if something is read below them and nothing above."""
    if fitting(tree) not in ([], ["folders"]) or (inside := tree.inside()) is None:
        return tree
    below = innermost(inside)
    names = fitting(below)
    if names == ["folders"]:
        tops = {path.split("/", 1)[0] if "/" in path else "" for path in below.scan.images}
        names = names if len(tops) > 1 and "" not in tops else []  # else the folder is a class
    return below if names else tree


def _nothing_fits(path: Path, tree: Tree) -> str:
    looks = "\n".join(f"  {name}: {known.looks}" for name, known in LAYOUTS.items())
    known = f"{visible(str(path))} has none of the known layouts:\n{looks}\n"
    advice = "Give the folder above the class folders, or arrange the images in one of these ways"
    return known + "\n".join(filter(None, [hint(tree) or advice, tree.scan.left_links()]))
