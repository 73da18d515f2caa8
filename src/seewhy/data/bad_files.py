"""Files that cannot be used: they are listed and counted, never replaced by another image."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from seewhy.config.data import DataConfig
from seewhy.errors import DataError
from seewhy.files import write_atomic
from seewhy.text import counted, csv_text, shortened


@dataclass(frozen=True)
class BadFile:
    """A file below the source that is not a usable image; `code` is one of `IMAGE_ERROR_CODES`."""

    path: str
    code: str
    error: str


def check_bad(bad: Sequence[BadFile], total: int, on_bad: str, max_bad: float) -> None:
    """Raises `DataError` if bad images must not be skipped, or are too large a part of `total`."""
    if not bad or (on_bad == "skip" and len(bad) <= max_bad * total):
        return
    by_fault: dict[str, list[str]] = {}
    for file in bad:
        by_fault.setdefault(f"{file.code}: {file.error}", []).append(file.path)
    faults = list(by_fault.items())
    named = "; ".join(f"{shortened(paths)} ({fault})" for fault, paths in faults[:5])
    others = sum(len(paths) for _, paths in faults[5:])
    more = f"; and {others:,} more" if others else ""
    flags = skip_flags(len(bad), total, max_bad)
    remedy = f"Replace or remove them, or continue without them: {' '.join(flags)}"
    if on_bad == "skip":
        most = f"At most {max_bad:.1%} may be skipped"
        remedy = f"{most}: replace them, or raise --max-bad to {flags[-1]}"
    raise DataError(
        f"{len(bad):,} of {counted(total, 'image')} cannot be used: {named}{more}. {remedy}"
    )


def skip_flags(bad: int, total: int, max_bad: float = DataConfig().max_bad) -> tuple[str, ...]:
    """The flags that leave out so many bad images of `total`, where `max_bad` is the most otherwise."""
    if not bad:
        return ()
    if bad <= max_bad * total:
        return ("--on-bad", "skip")
    share = math.ceil(1000 * bad / max(total, 1)) / 1000
    return ("--on-bad", "skip", "--max-bad", f"{share:g}")


def write_bad_files(bad: Sequence[BadFile], path: Path) -> None:
    """Writes `bad_files.csv`: path, code, error; one row per file."""
    write_csv(("path", "code", "error"), map(astuple, bad), path)


def write_csv(header: Sequence[str], rows: Iterable[Iterable[object]], path: Path) -> None:
    """Writes a table by `csv_text`, atomically; bytes in a name that are not UTF-8 are escaped."""
    write_atomic(path, csv_text([header, *rows]).encode("utf-8", "backslashreplace"))
