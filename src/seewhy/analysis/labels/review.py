"""Suspected labels for a person to review, and the answers: `review.csv`."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seewhy.data.bad_files import write_csv
from seewhy.data.sources.corrected import (
    HASH,
    NONE,
    Added,
    Corrected,
    Correction,
    is_corrected,
    read_corrected,
    write_corrected,
)
from seewhy.data.split import Splits
from seewhy.errors import DataError, UsageError
from seewhy.text import counted, plain_cell, visible

_FOUND = ("id", "hash", "label", "suggested", "score")
HEADER = (*_FOUND, "right_label")
_NUMBERS = ("score", "label_probability", "suggested_probability")
_NEEDED = ("hash", "right_label")


@dataclass(frozen=True)
class Suspect:
    """An image whose label looks wrong: what it was labelled, and what it looks like.

    `score` is how likely the label is wrong; the others are what a network that has not seen the
    image gives its label and the suggested class. All in [0, 1].
    """

    id: str
    hash: str
    label: str
    suggested: str
    score: float
    label_probability: float
    suggested_probability: float


@dataclass(frozen=True)
class Review:
    """The answers of a person: the corrections, and how many labels are right after all.

    A correction is to a class, or to none.
    """

    corrections: tuple[Correction, ...]
    confirmed: int
    open: int


def write_suspects(suspects: Iterable[Suspect], path: Path) -> None:
    """Writes `label-issues.csv`, one row an image in the order given."""
    rows = [
        (*_cells(one), f"{one.label_probability:.6f}", f"{one.suggested_probability:.6f}")
        for one in suspects
    ]
    write_csv((*_FOUND, *_NUMBERS[1:]), rows, path)


def read_suspects(home: Path) -> dict[bytes, Suspect]:
    """The suspects that `write_suspects` listed in a folder, by content hash. Raises `DataError`."""
    path = home / "label-issues.csv"
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, strict=True)
            if not {*_FOUND, *_NUMBERS} <= set(rows.fieldnames or ()):
                raise KeyError
            return {one.hash.encode(): one for one in map(_suspect, rows)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{visible(str(path))} is no list of suspected labels ({type(error).__name__}): make it with "
            "`seewhy data labels`"
        ) from None


def _suspect(row: dict[str, str]) -> Suspect:
    """A row of `label-issues.csv`. Raises `KeyError` or `ValueError` for what is no such."""
    if None in row or None in row.values() or not HASH.fullmatch(row["hash"]):
        raise ValueError("cells are missing or too many, or the hash is none")
    score, label, suggested = (float(row[name]) for name in _NUMBERS)
    if not all(0 <= number <= 1 for number in (score, label, suggested)):  # nan is not
        raise ValueError("a number is not in [0, 1]")
    key, name, likely = (plain_cell(row[column]) for column in ("id", "label", "suggested"))
    return Suspect(key, row["hash"], name, likely, score, label, suggested)


def write_review(suspects: Iterable[Suspect], path: Path) -> None:
    """Writes the table to fill in: `right_label` is empty, and is to be the right class or `NONE`."""
    write_csv(HEADER, [(*_cells(one), "") for one in suspects], path)


def _cells(one: Suspect) -> tuple[str, ...]:
    return one.id, one.hash, one.label, one.suggested, f"{one.score:.4f}"


def read_review(path: Path, splits: Splits) -> Review:
    """Reads a filled table of these data: a row whose `right_label` is empty is still open.

    Raises `DataError` naming the row for a content or a class that the data have not, for an image of
    the sealed test, for two answers about one image, and for `NONE` where a class is called so.
    """
    names = (*splits.classes, NONE)  # an image that is left out has label -1
    known: dict[bytes, dict[str, str]] = {}  # the ids of a content's copies, by their labels
    for part in (splits.train, splits.val, splits.left_out):
        for digest, key, label in zip(part.hashes, part.ids, part.labels, strict=True):
            known.setdefault(bytes(digest), {}).setdefault(names[label], str(key))
    sealed = set() if splits.test is None else set(splits.test.hashes.tolist())
    answered: dict[str, tuple[int, str]] = {}
    still_open = 0
    for line, content, cell in _rows(path):
        whole = plain_cell(cell)  # a class may begin or end with a space
        answer = whole if whole in splits.classes else plain_cell(cell.strip())
        here = f"{visible(path.name)}, line {line:,}"
        if content.encode() in sealed:
            raise DataError(
                f"{here}: {content} is an image of the sealed test, whose labels stay: remove the row"
            )
        if content.encode() not in known:
            raise DataError(
                f"{here}: no image of these data has the content hash {visible(content)!r}: give the "
                "data that were reviewed, or remove the row"
            )
        if not answer:
            still_open += 1
            continue
        if answer == NONE and NONE in splits.classes:
            raise DataError(
                f"{here}: {NONE!r} leaves an image out, and is a class here, too: rename the class, or "
                "leave right_label empty"
            )
        if answer not in names:
            raise DataError(
                f"{here}: right_label is {visible(answer)!r}, which is no class: write one of "
                f"{', '.join(visible(name) for name in splits.classes[:20])}, {NONE!r} to leave the "
                "image out, or nothing while it is open"
            )
        first, before = answered.setdefault(content, (line, answer))
        if before != answer:
            raise DataError(
                f"{here}: {visible(answer)}, while line {first:,} says {visible(before)} of the same "
                "image: keep the right one"
            )
    corrections = []
    for content, (_, answer) in answered.items():
        copies = known[content.encode()]
        if set(copies) != {answer}:
            key, was = next(iter(copies.values())), ", ".join(copies)
            label = None if answer == NONE else answer
            corrections.append(Correction(hash=content, id=key, was=was, label=label))
    return Review(tuple(corrections), len(answered) - len(corrections), still_open)


def write_version(
    data: str, layout: str | None, review: Review, out: Path, label_column: str | None = None
) -> Corrected:
    """Writes a version of `data` with the corrections of a review, and of the version that it is, if any.

    The source stays as it is. Raises `UsageError` where `out` exists, or nothing is corrected.
    """
    if out.exists():
        raise UsageError(f"{out} already exists: choose another --out")
    if not review.corrections:
        raise UsageError(
            f"no label is corrected: {review.confirmed:,} are confirmed and {review.open:,} still open. "
            "Write the right class into right_label, or give the review.csv that the page saved in your "
            "downloads"
        )
    path = Path(data)
    known: Sequence[Correction] = ()
    added: Sequence[Added] = ()
    source = str(path.resolve()) if path.exists() else data
    if is_corrected(path):
        before = read_corrected(path)
        known, added, source = before.corrections, before.added, before.source
        layout = layout or before.layout
        label_column = label_column or before.label_column
    merged = {one.hash: one for one in known}
    for one in review.corrections:
        was = merged[one.hash].was if one.hash in merged else one.was
        merged[one.hash] = one.model_copy(update={"was": was})
    kept = tuple(one for one in merged.values() if one.was != one.label)
    version = Corrected(
        source=source,
        layout=layout,
        label_column=label_column,
        corrections=kept,
        added=tuple(added),
    )
    write_corrected(version, out, [path])
    return version


def _rows(path: Path) -> Iterable[tuple[int, str, str]]:
    """Yields line number, hash and right label, however a spreadsheet saved the table."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{visible(str(path))} cannot be read ({error}): save the table as UTF-8"
        ) from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        for name in _NEEDED:
            if name not in header:
                raise DataError(
                    f"{visible(path.name)}, line 1: no column {name}, only {visible(', '.join(header))}: "
                    "take the review.csv that `seewhy data labels` wrote"
                )
        digest_at, answer_at = (header.index(name) for name in _NEEDED)
        for cells in reader:
            if not any(cells):
                continue
            # Excel leaves out the last cells of rows where these are empty.
            if not digest_at < len(cells) <= len(header):
                raise DataError(
                    f"{visible(path.name)}, line {reader.line_num:,}: "
                    f"{counted(len(cells), 'cell')}, where the "
                    f"header has {len(header)}: fix the row"
                )
            answer = cells[answer_at] if answer_at < len(cells) else ""
            yield reader.line_num, cells[digest_at].strip(), answer
    except csv.Error as error:
        raise DataError(
            f"{visible(path.name)}, line {reader.line_num:,}: {error}: fix it"
        ) from None
