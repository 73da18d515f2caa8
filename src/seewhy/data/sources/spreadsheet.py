"""The rows of a CSV, TSV or JSON Lines file, in any usual encoding and with any usual separator."""

import csv
import io
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, BinaryIO

from seewhy.data.sources.columns import SAMPLE, image_column
from seewhy.errors import DataError
from seewhy.text import counted, decoded, visible

IN_FOLDERS = (".csv", ".tsv", ".jsonl")  # what may be a table in a folder
SUFFIXES = (*IN_FOLDERS, ".txt")  # what may be given as one
MAX_BYTES = 256 << 20  # of a file; reading it takes about five times as much memory

_HEAD = 1 << 16  # bytes that are read to recognise a file; its header must end in them
_DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class Sheet:
    """A file's name, its columns, and its text; `start` is the number of lines before the header."""

    file: str
    header: list[str]
    text: str
    delimiter: str
    encoding: str
    start: int = 0

    def rows(self, least: int = 0) -> Iterator[tuple[int, list[str]]]:
        """Yields the number of each line after the header and its cells; blank lines are skipped.

        Empty cells at the end of a line may be too many, or missing, as Excel leaves them out, but for the
        `least` number of cells.
        """
        if self.file.lower().endswith(".jsonl"):
            yield from _json_rows(self.file, self.text, self.header)
            return
        reader = csv.reader(
            io.StringIO(self.text, newline=""),
            delimiter=self.delimiter,
            skipinitialspace=self.delimiter != "\t",
            strict=True,
        )
        width, where = len(self.header), visible(self.file)
        try:
            for cells in islice(reader, self.start + 1, None):
                few = any(cells) and len(cells) < least
                if few or any(cells[width:]):
                    quotes = f"put quotes around a cell with {self.delimiter!r} in it"
                    raise DataError(
                        f"{where}, line {reader.line_num:,}: {counted(len(cells), 'cell')}, but the header "
                        f"has {width}: {'add what is missing' if few else quotes}"
                    )
                if any(cells):
                    yield reader.line_num, [*cells, *[""] * (width - len(cells))][:width]
        except csv.Error as error:
            raise DataError(f"{where}, line {reader.line_num:,}: {error}: correct it") from None

    def sample(self) -> list[list[str]]:
        """Returns the first rows, up to the first that is faulty."""
        rows: list[list[str]] = []
        with suppress(DataError):
            rows.extend(cells for _, cells in islice(self.rows(), SAMPLE))
        return rows


def read_sheet(file: str, opened: BinaryIO) -> Sheet:
    """Reads a whole file; raises `DataError` if it is too large, or no text."""
    data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise DataError(
            f"{visible(file)} has more than {MAX_BYTES:,} bytes: split it, or use parquet"
        )
    if data.startswith(b"PK\3\4"):
        raise DataError(f"{visible(file)} is a zip or an Excel file, no text: save it as CSV")
    sheet = _sheet(file, *decoded(data))
    if file.lower().endswith(".jsonl"):  # a name that its first line lacks may be `split`
        rows = (_json_object(file, *line) for line in enumerate(sheet.text.split("\n"), 1))
        sheet = replace(sheet, header=list(dict.fromkeys(name for row in rows for name in row)))
    return sheet


def read_head(file: str, opened: BinaryIO) -> Sheet:
    """Reads the header and the first rows, to recognise a table; what is none has no columns."""
    data = opened.read(_HEAD)
    if len(data) == _HEAD:
        data = data[: data.rfind(b"\n") + 1] or data
    try:
        return _sheet(file, *decoded(data))
    except DataError:
        return Sheet(file, [], "", ",", "")


def _sheet(file: str, text: str, encoding: str) -> Sheet:
    if file.lower().endswith(".jsonl"):
        first = text.partition("\n")[0]
        return Sheet(file, list(_json_object(file, 1, first)), text, "", encoding)
    start, delimiters = 0, _DELIMITERS
    line, _, rest = text.partition("\n")
    if line.strip().lower().startswith("sep=") and len(line.strip()) == 5:  # a mark of Excel
        start, delimiters, line = 1, line.strip()[4], rest.partition("\n")[0]
    headers = {d: [cell.strip(' "\r') for cell in line.split(d)] for d in delimiters}
    fitting = [d for d, header in headers.items() if image_column(header) is not None]
    delimiter = max(fitting or headers, key=lambda d: len(headers[d]))
    return Sheet(file, headers[delimiter], text, delimiter, encoding, start)


def _json_rows(file: str, text: str, header: list[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            row = _json_object(file, number, line)
            cells = [row.get(name) for name in header]
            yield number, ["" if cell is None else str(cell) for cell in cells]


def _json_object(file: str, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line) if line.strip() else {}
    except (ValueError, RecursionError) as error:
        raise DataError(f"{visible(file)}, line {number:,}: {error}: correct it") from None
    if not isinstance(row, dict):
        raise DataError(f"{visible(file)}, line {number:,}: expected an object per line")
    return row
