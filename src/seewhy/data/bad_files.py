"""Files that could not be used: named, counted, never replaced by another picture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seewhy.errors import DataError
from seewhy.files import write_atomic
from seewhy.text import csv_text, visible


@dataclass(frozen=True)
class BadFile:
    """A file below the source that is no usable picture; `code` is one of `IMAGE_ERROR_CODES`."""

    path: str
    code: str
    error: str


def check_bad(bad: Sequence[BadFile], total: int, on_bad: str, max_bad: float) -> None:
    """Raises `DataError` when bad pictures are not to be skipped, or are too large a part of `total`."""
    if not bad or (on_bad == "skip" and len(bad) <= max_bad * total):
        return
    named = "; ".join(f"{visible(file.path)} ({file.code}: {file.error})" for file in bad[:5])
    more = f"; and {len(bad) - 5:,} more" if len(bad) > 5 else ""
    remedy = "mend or remove them, or go on without them with --on-bad skip"
    if on_bad == "skip":
        remedy = f"at most {max_bad:.1%} may be skipped: mend them, or raise --max-bad"
    raise DataError(f"{len(bad):,} of {total:,} pictures cannot be used: {named}{more}. {remedy}")


def write_bad_files(bad: Sequence[BadFile], path: Path) -> None:
    """Writes `bad_files.csv`: path, code, error; one row a file."""
    rows = [(file.path, file.code, file.error) for file in bad]
    write_csv(("path", "code", "error"), rows, path)


def write_csv(header: Sequence[str], rows: Iterable[Iterable[object]], path: Path) -> None:
    """Writes a table by `csv_text`, whole or not at all; what is no UTF-8 in a name is spelled out."""
    write_atomic(path, csv_text([header, *rows]).encode("utf-8", "backslashreplace"))
