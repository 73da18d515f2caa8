"""The layouts that can be read: one function each, in one table."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from seewhy.data.sources.archives import TARS, is_unread, not_looked_into
from seewhy.data.sources.beside import with_tables, with_zips
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
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.npz import find_npz, fits_npz
from seewhy.data.sources.packs import find_pack, fits_pack
from seewhy.data.sources.parquet import find_parquet, fits_parquet
from seewhy.data.sources.source import Source
from seewhy.data.sources.spreadsheet import IN_FOLDERS as TABLES
from seewhy.data.sources.spreadsheet import SUFFIXES
from seewhy.data.sources.table import find_table, fits_table, has_table, table_labels
from seewhy.data.sources.tree import Tree, tree_at
from seewhy.data.sources.webdataset import find_webdataset, fits_webdataset
from seewhy.errors import DataError, UsageError
from seewhy.text import visible


class Layout(NamedTuple):
    """One way to store images: a pattern for messages, whether a tree fits, and the function that reads it.

    A layout that fits no tree is read only if it is chosen.
    `find(tree, columns)`: a layout with `columns` takes labels and groups from those that the user names.
    """

    looks: str
    fits: Callable[[Tree], bool]
    find: Callable[[Tree, Columns], Source]
    columns: bool = False


LAYOUTS = {
    "folders": Layout("root/<class>/*", fits_folders, find_folders),
    "split-folders": Layout("root/<split>/<class>/*", fits_split_folders, find_split_folders),
    "file-names": Layout("<class>.<number>.jpg, if chosen", lambda tree: False, find_file_names),
    "table": Layout("images beside a .csv with the columns id,label", fits_table, find_table, True),
    "parquet": Layout("{train,test}*.parquet, or in data/", fits_parquet, find_parquet, True),
    "webdataset": Layout(
        ".tar with KEY.jpg beside KEY.cls or KEY.json", fits_webdataset, find_webdataset, True
    ),
    "npz": Layout(".npz with the arrays x_train, y_train, ...", fits_npz, find_npz),
    "pack": Layout(".pack, of `seewhy data pack`", fits_pack, find_pack),
    "cifar-py": Layout("cifar-10-batches-py", fits_py, find_py),
    "cifar-bin": Layout("cifar-10-batches-bin", fits_bin, find_bin),
}
_BY_FOLDER = ("folders", "split-folders")


def fitting(tree: Tree) -> list[str]:
    """Returns the names of the layouts that a tree fits.

    If a table fits and no folder has the name of one of its labels, folders are not classes.
    """
    names = [name for name, layout in LAYOUTS.items() if layout.fits(tree)]
    if "webdataset" in names:  # a folder in a key is no class
        return ["webdataset"]
    if "table" in names and len(names) > 1 and not table_labels(tree) & folder_names(tree):
        names = [name for name in names if name not in _BY_FOLDER]
    return names


def recognise(
    path: Path, layout: str | None, columns: Columns, follow_links: bool = False
) -> Source:
    """Returns the source at an existing path; raises `DataError` unless exactly one layout fits."""
    if layout is not None and layout not in LAYOUTS:
        raise DataError(f"unknown layout {visible(layout)}: known are {', '.join(LAYOUTS)}")
    tree = tree_at(path, follow_links)
    if not tree.scan.images and has_table(tree):
        tree = with_zips(tree)
    elif layout is None or not LAYOUTS[layout].fits(tree):
        tree = innermost(tree)
    names = [layout] if layout else fitting(tree)
    if not names and path.suffix.lower() == ".zip" and fits_table(beside := with_tables(tree)):
        tree, names = beside, ["table"]
    tables = any(map(tree.top, TABLES))
    if columns.label and not layout:
        names = [name for name in names if LAYOUTS[name].columns] or ([] if tables else names)
    if path.suffix.lower() in SUFFIXES or (not names and tree.scan.images and tables):
        names = ["table"]  # whose error names what the table lacks
    if not names:
        raise DataError(_nothing_fits(path, tree))
    if len(names) > 1:
        raise DataError(
            f"{visible(str(path))} fits several layouts{doubt(tree)}: choose one with --layout "
            + " or --layout ".join(names)
        )
    if columns.label and not LAYOUTS[names[0]].columns:
        raise no_label_column(f"the layout {names[0]}")
    source = LAYOUTS[names[0]].find(tree, columns)
    if not tree.below:
        return source
    note = f"read below {visible(tree.below)}, the folder that holds everything"
    return replace(source, notes=(note, *source.notes))


def no_label_column(what: str) -> UsageError:
    """Says that a label column was named for data without columns."""
    return UsageError(f"--label-column has no effect on {what}, which has no columns: leave it out")


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
    if path.is_file() and is_unread(path.name):
        return (
            f"{visible(str(path))} is an archive of a kind that is not read: extract it and give the folder, "
            f"or pack it as .zip, {', '.join(TARS)}"
        )
    looks = "\n".join(f"  {name}: {known.looks}" for name, known in LAYOUTS.items())
    advice = "Give the folder above the class folders, or arrange the images in one of these ways"
    if not tree.scan.images:
        advice = "It holds no images: is it the right folder?"
    elif path.is_dir() and not any("/" in image for image in tree.scan.images):
        above = visible(str(path.resolve().parent))
        advice = f"If it is one class, give the folder above it ({above}); else put each class in a folder"
    unread = not_looked_into(tree.scan.others)
    lines = [f"{visible(str(path))} has none of the known layouts", hint(tree) or unread or advice]
    return "\n".join([*lines, *filter(None, [tree.scan.left_links()]), f"Known layouts:\n{looks}"])
