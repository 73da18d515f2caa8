"""Images beside a table with a column of their names and one of their labels.

One table for all, one for each split (`train.csv`, `test.csv`), or one in each folder (`train/metadata.csv`).
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from seewhy.data.sources.archives import not_looked_into
from seewhy.data.sources.columns import (
    Columns,
    Labels,
    has_labels,
    image_column,
    label_columns,
    place_of,
    plain,
)
from seewhy.data.sources.lookup import Lookup, outside
from seewhy.data.sources.source import SPLITS, Source
from seewhy.data.sources.splits import split_folders
from seewhy.data.sources.spreadsheet import IN_FOLDERS, SUFFIXES, Sheet, read_head, read_sheet
from seewhy.data.sources.tree import Labelled, Tree, labelled_source
from seewhy.errors import DataError, ImageError
from seewhy.text import counted, plain_cell, visible

LEFT_OUT = "left_out"  # in our own `splits.csv`: an image of no split

_SPLIT = re.compile("|".join(sorted(SPLITS, key=len, reverse=True)), re.IGNORECASE)
_PER_FOLDER = re.compile(r"[^/]+/(metadata|labels|_classes)\.[a-z]+", re.IGNORECASE)
_SUBMISSION = "submission"  # in the name of Kaggle's sample file, whose labels are placeholders


class Row(NamedTuple):
    """One line of a table; `split` and `group` as in `Record`."""

    line: int
    name: str
    label: str
    split: str
    group: str | None


class Table(NamedTuple):
    """The rows of one file; `group` is the column that they are grouped by; `notes` are for the user."""

    file: str
    rows: list[Row]
    group: str | None
    notes: list[str]

    @property
    def folder(self) -> str:
        return self.file.rpartition("/")[0]


def fits_table(tree: Tree) -> bool:
    """Says whether there are images, and a table of their names and labels beside them."""
    return bool(tree.scan.images) and has_table(tree)


def has_table(tree: Tree) -> bool:
    """Says whether there is a table of names and labels, whatever it names."""
    return bool(_labelled(tree, Columns()))


def table_labels(tree: Tree) -> set[str]:
    """Returns the labels in the tables that fit; of one whose labels are not certain, the columns."""
    labels: set[str] = set()
    for file in _labelled(tree, Columns()):
        try:
            labels |= {row.label for row in _read(tree, file, Columns()).rows}
        except DataError:  # which `find_table` will name
            continue
    return labels


def find_table(tree: Tree, columns: Columns) -> Source:
    """Reads the tables that fit; a column `split`, or files or folders named for splits, give the splits."""
    files = _chosen(tree, columns)
    splits = _splits(tree, files)
    tables = [_read(tree, file, columns) for file in files]
    notes = [note for table in tables for note in table.notes]
    images: dict[str, Labelled] = {}
    missing: list[tuple[Labelled, ImageError]] = []
    for table in tables:
        named, faults = _resolve(tree, table, splits, notes)
        for path, row in named.items():
            if path in images:
                raise DataError(f"{visible(path)} is in two tables: remove it from one of them")
            split = row.split or (splits.get(table.file, "") if len(tables) > 1 else "")
            images[path] = Labelled(path, row.label, split, row.group)
        missing += faults
    labelled = _with_splits(sorted(images.values()), splits)
    if unused := len(tree.scan.images) - len(images):
        notes.append(
            f"ignored {counted(unused, 'image')} that {visible(', '.join(files))} does not name"
        )
    grouped = any(table.group for table in tables)
    return labelled_source(
        "table",
        tree,
        labelled,
        (*notes, *tree.notes(len(tree.scan.others) - len(files))),
        tables=files,
        missing=missing,
        key=f"{', '.join(files)}, labels from {columns.label}, groups from {tables[0].group}",
        grouped=bool(columns.group) and grouped,
    )


def _splits(tree: Tree, files: Sequence[str]) -> dict[str, str]:
    """Returns the split of each folder and each table that is named for one."""
    splits = split_folders({path.split("/")[0] for path in tree.scan.images if "/" in path})
    for file in files:
        folder, _, name = file.rpartition("/")
        match = _SPLIT.match(name)
        if split := splits.get(folder) or (match and SPLITS[match[0].lower()]):
            splits[file] = split
    return splits


# ------------------------------------------------------------------ which files


def _files(tree: Tree) -> list[str]:
    """Returns what may be a table: files at the top, else `metadata.csv` and the like in splits."""
    others = tree.scan.others
    if len(others) == 1 and "/" not in others[0]:  # perhaps the one that is given
        return [file for file in others if file.lower().endswith(SUFFIXES)]
    named = [file for file in others if file.lower().endswith(IN_FOLDERS)]
    if top := [file for file in named if "/" not in file]:
        return top
    splits = _splits(tree, ())
    return [f for f in named if _PER_FOLDER.fullmatch(f) and f.partition("/")[0] in splits]


def _labelled(tree: Tree, columns: Columns) -> list[str]:
    """Returns the tables whose header names images and labels."""

    def fits(file: str) -> bool:
        with tree.open(file) as opened:
            sheet = read_head(file, opened)
        named = image_column(sheet.header) is not None
        return named and has_labels(sheet.header, sheet.sample(), columns)

    return [file for file in _files(tree) if _SUBMISSION not in file.lower() and fits(file)]


def _chosen(tree: Tree, columns: Columns) -> list[str]:
    """Returns the tables to read: one, or one for each split; raises `DataError` if that is not certain."""
    files = _labelled(tree, columns) or _files(tree)
    where = visible(str(tree.path))
    if not files:
        raise DataError(
            f"there is no CSV beside the images in {where}: add one with the columns id,label"
        )
    splits = _splits(tree, files)
    of_files = {splits.get(file, "") for file in files}
    if len(files) > 1 and ("" in of_files or len(of_files) < len(files)):
        raise DataError(
            f"{' or '.join(map(visible, files))} may have the labels of the images in {where}: give the "
            "path of one as --data, or one for each split: train.csv, test.csv"
        )
    return files


# ------------------------------------------------------------------ reading


def _read(tree: Tree, file: str, columns: Columns) -> Table:
    with tree.open(file) as opened:
        sheet = read_sheet(file, opened)
    name = image_column(sheet.header)
    if name is None:
        raise DataError(
            f"{visible(file)}, line 1: no column path or filename or image or id, only "
            f"{visible(', '.join(sheet.header))}: rename the right one, or add a first line path,label"
        )
    try:
        labels = label_columns(sheet.header, sheet.sample(), columns)
    except DataError as error:
        raise DataError(f"{visible(file)}, line 1: {error}") from None
    if labels is None:
        raise DataError(
            f"{visible(file)}, line 1: no column label or class, only "
            f"{visible(', '.join(sheet.header))}: rename the right one, or choose it with --label-column"
        )
    group = place_of(sheet.header, columns.group or "group")
    lines = list(_rows(sheet, name, labels, group))
    rows = [row for row in lines if row.split != LEFT_OUT]
    without = next((row for row in rows if not row.split), None)
    if without is not None and any(row.split for row in rows):
        raise DataError(
            f"{visible(file)}, line {without.line:,}: no split, but other lines have one: add it"
        )
    notes = [*_notes(sheet, labels), *_note_on_splits(sheet, {name, group, *labels.places})]
    if left_out := len(lines) - len(rows):
        notes.append(f"of no split: {counted(left_out, 'row')} of {visible(file)}")
    return Table(file, rows, None if group is None else plain(sheet.header[group]), notes)


def _rows(sheet: Sheet, name: int, labels: Labels, group: int | None) -> Iterator[Row]:
    split = place_of(sheet.header, "split")
    for line, cells in sheet.rows(least=1 + max(name, *labels.places)):
        where = f"{visible(sheet.file)}, line {line:,}"
        try:
            label = labels.of(cells)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        row = Row(
            line,
            plain_cell(cells[name]),
            plain_cell(label),
            "" if split is None else _split(where, cells[split]),
            None if group is None else plain_cell(cells[group]),
        )
        if not row.name.strip():
            raise DataError(f"{where}: no name: add it, or remove the line")
        yield row


def _notes(sheet: Sheet, labels: Labels) -> list[str]:
    """Returns what was decided about a file: its encoding, and its label column, unless that is `label`."""
    notes = []
    if sheet.encoding in ("cp1252", "latin-1"):
        notes.append(f"{visible(sheet.file)} is not UTF-8: read as Windows-1252")
    if labels.names:
        shown = ", ".join(labels.names[:5]) + (", ..." if len(labels.names) > 5 else "")
        notes.append(
            f"labels from {counted(len(labels.names), 'one-hot column')}: {visible(shown)}"
        )
    elif (column := sheet.header[labels.places[0]].strip()).lower() not in ("label", "class"):
        notes.append(f"labels from the column {visible(column)} of {visible(sheet.file)}")
    return notes


def _note_on_splits(sheet: Sheet, used: Collection[int | None]) -> list[str]:
    """Returns a note on a column that is not read, though it names splits, where no column is `split`."""
    if place_of(sheet.header, "split") is not None:
        return []
    rows = sheet.sample()
    named = [
        column
        for place, column in enumerate(sheet.header)
        if place not in used and rows and all(row[place].strip().lower() in SPLITS for row in rows)
    ]
    return [
        f"the column {visible(column)} of {visible(sheet.file)} is not read: name it split if it tells the "
        "splits"
        for column in named
    ]


def _split(where: str, cell: str) -> str:
    name = cell.strip().lower()
    if name in ("", LEFT_OUT):
        return name
    if name not in SPLITS:
        raise DataError(f"{where}: the split is {visible(cell)!r}, not one of {', '.join(SPLITS)}")
    return SPLITS[name]


# ------------------------------------------------------------------ from names to images


def _resolve(
    tree: Tree, table: Table, splits: Mapping[str, str], notes: list[str]
) -> tuple[dict[str, Row], list[tuple[Labelled, ImageError]]]:
    """Returns the row of each image that is named, and the rows whose image does not exist.

    If a table has the name of a split (`trainLabels.csv`) and a folder has it too, only that is searched.
    """
    images = tree.scan.images
    if split := splits.get(table.file):
        images = [path for path in images if splits.get(path.split("/")[0]) == split] or images
    file, rows = visible(table.file), table.rows
    lookup = Lookup(tree.path if tree.path.is_dir() else tree.path.parent, table.folder, images)
    lines: dict[str, int] = {}
    for row in rows:
        lines.setdefault(row.name, row.line)
    try:
        paths = lookup.find(lines)
    except DataError as error:
        raise DataError(f"{file}, {error}") from None
    notes += lookup.notes
    named: dict[str, Row] = {}
    missing: dict[str, Row] = {}
    for row in rows:
        path = paths.get(row.name)
        first = (missing if path is None else named).setdefault(path or row.name, row)
        if first[2:] != row[2:]:
            one, other = (visible(", ".join(filter(None, r[2:]))) for r in (first, row))
            raise DataError(
                f"{file}, lines {first.line:,} and {row.line:,}: both name "
                f"{visible(row.name)}, as {one} and as {other}: keep the right one"
            )
    if not named and rows:
        unread = "" if tree.archives else not_looked_into(tree.scan.others)
        raise DataError(
            ". ".join(filter(None, [f"{file} {lookup.none_found(list(lines))}", unread]))
        )
    skipped = {entry.path for entry in tree.scan.skipped}
    faults = []
    for name, row in missing.items():
        code = "not_a_file" if outside(name) or name in skipped else "not_found"
        faults.append((Labelled(name, row.label, row.split, row.group), ImageError(code)))
    return named, faults


def _with_splits(images: list[Labelled], splits: Mapping[str, str]) -> list[Labelled]:
    """Returns the images with the split of their folder, if none has another and all folders are splits."""
    folders = [splits.get(image.path.split("/")[0], "") for image in images]
    if any(image.split for image in images) or not all(folders):
        return images
    return [image._replace(split=split) for image, split in zip(images, folders, strict=True)]
