"""Images beside a CSV with a column of their names and one of their labels.

Names in the table are looked up among the images that the scan has listed, and never opened as
paths: a path that leads outside the folder is not an image of this source.
"""

import csv
import io
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from seewhy.data.sources.source import SPLITS, Source
from seewhy.data.sources.tree import Labelled, Tree, labelled_source
from seewhy.errors import DataError, ImageError
from seewhy.text import plain_cell, visible

NAME_COLUMNS = ("path", "filename", "file_name", "image", "id")  # the first that is there
LABEL_COLUMNS = ("label", "class")
LEFT_OUT = "left_out"  # in our own `splits.csv`: an image of no split
MAX_BYTES = 256 << 20  # of a CSV; reading it takes about five times as much memory

_HEAD = 1 << 16  # bytes in which the header must end
_SPLIT = re.compile("|".join(SPLITS), re.IGNORECASE)
_SUBMISSION = "submission"  # in the name of Kaggle's sample file, whose labels are placeholders


class Row(NamedTuple):
    """One line of a table; `split` and `group` as in `Record`."""

    line: int
    name: str
    label: str
    split: str
    group: str | None


class Table(NamedTuple):
    """The rows of a CSV; `group` is the column that they are grouped by."""

    rows: list[Row]
    left_out: int
    group: str | None


def fits_table(tree: Tree) -> bool:
    """Says whether there are images, and a CSV of their names and labels beside them."""
    return bool(tree.scan.images) and bool(_labelled(tree))


def table_labels(tree: Tree) -> set[str]:
    """Returns the labels in the tables that fit."""
    return {row.label for file in _labelled(tree) for row in _read(tree, file, None).rows}


def find_table(tree: Tree, group_from: str | None) -> Source:
    """Reads the one CSV that fits; a column `split`, or folders with the names of splits, give the splits."""
    files = _labelled(tree) or tree.top(".csv")
    if len(files) != 1:
        where = visible(str(tree.path))
        ask = " or ".join(visible(file) for file in files)
        raise DataError(
            f"{ask} may have the labels of the images in {where}: give the path of one as --data"
            if files
            else f"there is no CSV beside the images in {where}: add one with the columns id,label"
        )
    table = _read(tree, files[0], group_from)
    named, missing = _resolve(tree, files[0], table.rows)
    images = [
        Labelled(path, row.label, split, row.group)
        for (path, row), split in zip(named.items(), _splits(named), strict=True)
    ]
    notes = []
    if unused := len(tree.scan.images) - len(named):
        notes.append(f"{unused:,} images that {visible(files[0])} does not name were ignored")
    if table.left_out:
        notes.append(f"{table.left_out:,} rows of {visible(files[0])} belong to no split")
    return labelled_source(
        "table",
        tree,
        sorted(images),
        (*notes, *tree.notes(len(tree.scan.others) - 1)),
        table=files[0],
        missing=missing,
        key=f"{files[0]}, groups from {table.group}",
        grouped=bool(group_from and table.group),
    )


# ------------------------------------------------------------------ reading


def _labelled(tree: Tree) -> list[str]:
    """Returns the CSV files whose header names images and labels."""

    def fits(file: str) -> bool:
        with tree.open(file) as opened:
            head = opened.read(_HEAD)
        header = set(_header(head.decode(_encoding(head), "replace"))[1])
        return bool(header & set(NAME_COLUMNS) and header & set(LABEL_COLUMNS))

    return [file for file in tree.top(".csv") if _SUBMISSION not in file.lower() and fits(file)]


def _header(text: str) -> tuple[str, list[str]]:
    """Returns the delimiter of a CSV and its columns in small letters."""
    line = text.partition("\n")[0].strip().lower()
    headers = {d: [name.strip(' "') for name in line.split(d)] for d in ",;\t"}
    for delimiter, header in headers.items():
        if set(NAME_COLUMNS) & set(header) and len(header) > 1:
            return delimiter, header
    return ",", headers[","]


def _read(tree: Tree, file: str, group_from: str | None) -> Table:
    text = _text(tree, file)
    delimiter, header = _header(text)
    name, label = (_column(file, header, names) for names in (NAME_COLUMNS, LABEL_COLUMNS))
    wanted = (group_from or "group").lower()
    group = header.index(wanted) if wanted in header else None
    split = header.index("split") if "split" in header else None
    rows, left_out = [], 0
    for line, cells in _lines(file, text, delimiter, len(header)):
        of_split = _split(file, line, cells[split]) if split is not None else ""
        if of_split == LEFT_OUT:
            left_out += 1
            continue
        row = Row(
            line,
            plain_cell(cells[name]),
            plain_cell(cells[label]),
            of_split,
            None if group is None else plain_cell(cells[group]),
        )
        if not row.name or not row.label:
            raise DataError(
                f"{visible(file)}, line {line:,}: no {'label' if row.name else 'name'}: add it, or "
                "remove the line"
            )
        rows.append(row)
    without = next((row for row in rows if not row.split), None)
    if without is not None and any(row.split for row in rows):
        raise DataError(
            f"{visible(file)}, line {without.line:,}: no split, but other lines have one: add it"
        )
    return Table(rows, left_out, header[group] if group is not None else None)


def _text(tree: Tree, file: str) -> str:
    with tree.open(file) as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DataError(
            f"{visible(file)} has more than {MAX_BYTES:,} bytes: split it, or use parquet"
        )
    try:
        return data.decode(_encoding(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{visible(file)}, line {line:,}: not UTF-8: save it as UTF-8") from None


def _encoding(data: bytes) -> str:
    return "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"


def _column(file: str, header: list[str], names: tuple[str, ...]) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise DataError(
        f"{visible(file)}, line 1: no column {' or '.join(names)}, only "
        f"{visible(', '.join(header))}: rename the right one"
    )


def _lines(file: str, text: str, delimiter: str, width: int) -> Iterator[tuple[int, list[str]]]:
    """Yields the lines after the header with their numbers, except blank lines."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    try:
        next(reader)
        for cells in reader:
            if len(cells) != width and any(cells):
                raise DataError(
                    f"{visible(file)}, line {reader.line_num:,}: {len(cells)} cells, but the "
                    f"header has {width}: put quotes around a cell with {delimiter!r} in it"
                )
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{visible(file)}, line {reader.line_num:,}: {error}: correct it") from None


def _split(file: str, line: int, cell: str) -> str:
    name = cell.strip().lower()
    if name in ("", LEFT_OUT):
        return name
    if name not in SPLITS:
        raise DataError(
            f"{visible(file)}, line {line:,}: the split is {visible(cell)!r}, not one of "
            f"{', '.join(SPLITS)}"
        )
    return SPLITS[name]


# ------------------------------------------------------------------ from names to images


def _resolve(
    tree: Tree, file: str, rows: list[Row]
) -> tuple[dict[str, Row], list[tuple[Labelled, ImageError]]]:
    """Returns the row of each image that is named, and the rows whose image does not exist."""
    find = _finder(tree, file)
    named: dict[str, Row] = {}
    missing: dict[str, Row] = {}
    for row in rows:
        path = find(row)
        known = missing if path is None else named
        first = known.setdefault(row.name if path is None else path, row)
        if first[2:] != row[2:]:
            one, other = (visible(", ".join(filter(None, r[2:]))) for r in (first, row))
            raise DataError(
                f"{visible(file)}, lines {first.line:,} and {row.line:,}: both name "
                f"{visible(row.name)}, as {one} and as {other}: keep the right one"
            )
    if not named and rows:
        raise DataError(
            f"{visible(file)} names {len(rows):,} images and none of them exists, such as "
            f"{visible(rows[0].name)} (line {rows[0].line:,}): give the folder that holds both"
        )
    skipped = {entry.path for entry in tree.scan.skipped}
    faults = []
    for name, row in missing.items():
        inside = not name.startswith(("/", "\\")) and ".." not in re.split(r"[/\\]", name)
        code = "not_found" if inside and name not in skipped else "not_a_file"
        faults.append((Labelled(name, row.label, row.split, row.group), ImageError(code)))
    return named, faults


def _splits(named: dict[str, Row]) -> list[str]:
    """Returns the split of each image: that of the column, else its folder if all folders are splits."""
    column = [row.split for row in named.values()]
    folders = [SPLITS.get(path.split("/")[0], "") for path in named]
    return folders if all(folders) and not any(column) else column


def _finder(tree: Tree, file: str) -> Callable[[Row], str | None]:
    """Returns a function that finds a row's image by its path or the end of it, with or without suffix.

    If the CSV has the name of a split (`trainLabels.csv`) and a folder has it too, only that is searched.
    """
    images = tree.scan.images
    if match := _SPLIT.match(file):
        split = SPLITS[match[0].lower()]
        images = [path for path in images if SPLITS.get(path.split("/")[0]) == split] or images
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in images:
        for name in dict.fromkeys(_names(path.rpartition("/")[2])):
            by_name[name].append(path)

    def find(row: Row) -> str | None:
        wanted = "/" + _normal(row.name.replace("\\", "/").removeprefix("./"))
        near = by_name.get(wanted.rpartition("/")[2], [])
        paths = [path for path in near if any(n.endswith(wanted) for n in _names("/" + path))]
        paths = [path for path in paths if wanted in _names("/" + path)] or paths
        if len(paths) > 1:
            raise DataError(
                f"{visible(file)}, line {row.line:,}: {visible(row.name)} may be "
                f"{visible(' or '.join(paths[:5]))}: write the whole path below the folder"
            )
        return paths[0] if paths else None

    return find


def _names(path: str) -> tuple[str, str]:
    """Returns a path with its suffix and without."""
    path = _normal(path)
    return path, os.path.splitext(path)[0]


def _normal(path: str) -> str:
    return unicodedata.normalize("NFC", path)
