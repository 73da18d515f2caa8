"""Which column of a table holds what: one rule for CSV files, parquet and tables in memory."""

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from seewhy.data.class_names import label_text
from seewhy.errors import DataError
from seewhy.text import counted, near, visible

IMAGES = (  # the first that is there
    *("path", "filepath", "file_path", "image_path", "img_path"),
    *("filename", "file_name", "file", "image", "image_name", "img_name", "img"),
    *("image_id", "img_id", "image_index", "id"),
)
LABELS = ("label", "class", "target", "category", "class_name", "label_name")
SAMPLE = 100  # rows that are looked at to recognise one-hot columns

_ONES, _ZEROS = {"1", "true"}, {"0", "false", ""}


class Columns(NamedTuple):
    """The columns that the user names: `--label-column`, `--group-from`; None: found by their names."""

    label: str | None = None
    group: str | None = None


class Labels(NamedTuple):
    """The column of the labels; or several that are one-hot, which name the classes."""

    places: tuple[int, ...]
    names: tuple[str, ...] = ()

    def of(self, cells: Sequence[Any]) -> str:
        """Returns the label of a row, "" for none; raises `DataError` if one-hot cells name several."""
        if not self.names:
            return label_text(cells[self.places[0]])
        values = [_binary(cells[place]) for place in self.places]
        if None in values:
            odd = self.places[values.index(None)]
            raise DataError(f"{visible(str(cells[odd]))!r} in a one-hot column: expected 0 or 1")
        chosen = [name for name, value in zip(self.names, values, strict=True) if value]
        if len(chosen) > 1:
            raise DataError(
                f"several labels, {visible(', '.join(chosen))}: expected one label per image"
            )
        return chosen[0] if chosen else ""


def plain(header: str) -> str:
    """Returns the name of a column in small letters, with "_" for blanks and dashes."""
    return re.sub(r"[\s-]+", "_", header.strip().strip("\"'").strip().lower())


def image_column(header: Sequence[str]) -> int | None:
    """Returns the place of the column that names the images."""
    names = [plain(name) for name in header]
    return next((names.index(name) for name in IMAGES if name in names), None)


def place_of(header: Sequence[str], wanted: str | None) -> int | None:
    """Returns the place of the column of this name; upper and lower case do not matter."""
    names = [plain(name) for name in header]
    return names.index(plain(wanted)) if wanted and plain(wanted) in names else None


def label_columns(
    header: Sequence[str], rows: Iterable[Sequence[Any]], columns: Columns
) -> Labels | None:
    """Finds the labels: in the column that the user names, else `label`, else the only one that may be it.

    `rows` are the first ones, to recognise one-hot columns. Returns None if no column may hold labels, and
    raises `DataError` if several may.
    """
    if columns.label is not None:
        place = place_of(header, columns.label)
        if place is None:
            raise DataError(
                f"no column {visible(columns.label)}{near(columns.label, header)} (--label-column): the "
                f"columns are {visible(', '.join(header))}"
            )
        return Labels((place,))
    names = [plain(name) for name in header]
    if "label" in names:
        return Labels((names.index("label"),))
    used = {image_column(header), place_of(header, columns.group or "group")}
    others = [
        place
        for place, name in enumerate(names)
        if place not in used and name not in ("", "split", "unnamed:_0", *IMAGES)
    ]
    known = [place for place in others if names[place] in LABELS]
    if not known and _is_one_hot(rows, others):
        return Labels(tuple(others), tuple(header[place].strip() for place in others))
    candidates = known or others
    if len(candidates) > 1:
        shown = visible(", ".join(header[place] for place in candidates))
        raise DataError(
            f"{counted(len(candidates), 'column')} may hold the labels ({shown}): choose one with "
            f"--label-column "
            f"{visible(header[candidates[0]])} (data.label_column)"
        )
    return Labels((candidates[0],)) if candidates else None


def has_labels(header: Sequence[str], rows: Iterable[Sequence[Any]], columns: Columns) -> bool:
    """Says whether a table certainly has labels: in a column of a known name, or one-hot."""
    names = {plain(name) for name in header}
    if names & set(LABELS) or place_of(header, columns.label) is not None:
        return True
    try:
        labels = label_columns(header, rows, columns)
    except DataError:
        return False
    return labels is not None and bool(labels.names)


def _is_one_hot(rows: Iterable[Sequence[Any]], places: list[int]) -> bool:
    """Says whether each row has at most one 1 in these columns, and else 0."""
    values = [[_binary(row[place]) for place in places] for row in rows]
    return (
        len(places) > 1
        and all(None not in row and sum(map(bool, row)) <= 1 for row in values)
        and any(map(any, values))
    )


def _binary(cell: Any) -> bool | None:
    text = label_text(cell).lower().removesuffix(".0")
    return True if text in _ONES else False if text in _ZEROS else None
