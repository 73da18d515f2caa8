"""The rows of an unfinished table, beside it: what `--resume` continues after a kill.

`labels.csv.partial` is the journal of `labels.csv`, whatever the format of that: a line of JSON that says
what is labelled, then one a row. It is no table, so nobody takes it for the result.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from glob import escape
from itertools import islice
from pathlib import Path
from typing import Any

from seewhy.errors import DiskFullError, UsageError
from seewhy.files import (
    BINARY,
    NO_LINKS,
    clear_temporaries,
    full_disk_named,
    lock_open_file,
    make_directory,
    refusal_named,
    require_new,
    to_json,
)
from seewhy.workflows.label_tables import Row

_MARK = b'{"seewhy": "rows of an unfinished table"'
SYNC_SECONDS = 1.0  # a crash of the machine costs the rows of so long; a kill costs a chunk

# What must not differ for a journal to be continued, and how a difference is told.
DIFFERENCES = {
    "model": "another model made its rows",
    "columns": "its rows have other columns (another --top-k)",
    "images": "its list of images has another length",
    "inputs": "its images have other names, or another order",
}


class Journal:
    """Rows that are kept at once, and read again in order."""

    def __init__(self, path: Path, handle: int, about: Mapping[str, Any]) -> None:
        self.path = path
        self.count = 0
        self._handle = handle
        self._header = _line({"seewhy": "rows of an unfinished table", **about})
        self._cells = len(about["columns"])
        self._synced = time.monotonic()

    def begin(self) -> None:
        """Makes it empty but for its header."""
        os.ftruncate(self._handle, 0)
        self._write(self._header)
        self.count = 0

    def resume(self) -> None:
        """Counts the rows that are there, and removes what a kill or a crash has left behind them.

        Raises `UsageError` if they are of other work.
        """
        with open(self.path, "rb") as file:
            header = file.readline()
            end = len(header)
            if header.endswith(b"\n"):  # else killed before it was written
                self._check(header)
                for line in file:
                    if not self._is_row(line):
                        break
                    end += len(line)
                    self.count += 1
        if self.count:
            os.ftruncate(self._handle, end)
        else:
            self.begin()

    def _check(self, header: bytes) -> None:
        now = json.loads(self._header)
        try:
            before = json.loads(header)
        except ValueError:
            raise UsageError(f"{self.path} is damaged: remove it to start again") from None
        for name, difference in DIFFERENCES.items():
            if before.get(name) != now[name]:
                raise UsageError(
                    f"{self.path} cannot be continued: {difference}. Give the same as before, or remove it "
                    "to start again"
                )

    def _is_row(self, line: bytes) -> bool:
        try:
            row = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            return False
        return isinstance(row, list) and len(row) == self._cells

    def append(self, rows: Sequence[Row]) -> None:
        """Keeps rows, all together; where the disk is full, none of them."""
        size = os.fstat(self._handle).st_size
        try:
            self._write(b"".join(map(_line, rows)))
        except DiskFullError:
            os.ftruncate(self._handle, size)
            raise
        self.count += len(rows)
        if time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(self._handle)
            self._synced = time.monotonic()

    def _write(self, data: bytes) -> None:
        with full_disk_named(self.path, len(data)):
            while data:
                data = data[os.write(self._handle, data) :]

    def rows(self) -> Iterator[Row]:
        """All rows so far, in order."""
        with open(self.path, "rb") as file:
            file.readline()
            yield from map(json.loads, islice(file, self.count))


@contextmanager
def journal(out: Path, about: Mapping[str, Any], *, resume: bool) -> Iterator[Journal]:
    """The journal of the table `out`, which is removed when the block succeeds.

    After an error it stays if it holds a row; with `resume` it is continued. Raises `UsageError` for one with
    rows without `resume`, or of other work, and `LockedError` where another process writes it.
    """
    path = out.with_name(out.name + ".partial")
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | BINARY | NO_LINKS
    with refusal_named(path):
        make_directory(path.parent)
        handle = os.open(path, flags, 0o666)
    try:
        lock_open_file(handle, path)
        _require_journal(path)
        try:
            require_new(out)  # now, as another process may have finished it meanwhile
            kept = Journal(path, handle, about)
            if resume:
                clear_temporaries(out.parent, f".{escape(out.name)}.*.tmp", below=False)
                kept.resume()
            elif _has_rows(path):
                raise UsageError(
                    f"{path} holds the rows of interrupted work: continue it with --resume, or remove it to "
                    "start again"
                )
            else:
                kept.begin()
            yield kept
        except BaseException as error:
            if not _has_rows(path):
                path.unlink()
            elif isinstance(error, DiskFullError):
                error.resume = "--resume"
            raise
        path.unlink()
    finally:
        os.close(handle)


def _require_journal(path: Path) -> None:
    """Raises `UsageError` unless the file is empty, or begins as a journal does."""
    with open(path, "rb") as file:
        start = file.read(len(_MARK))
    if start not in (b"", _MARK):
        raise UsageError(f"{path} is not of SeeWhy, but has the name that is needed: move it away")


def _has_rows(path: Path) -> bool:
    with open(path, "rb") as file:
        file.readline()
        return file.readline().endswith(b"\n")


def _line(values: Sequence[Any] | Mapping[str, Any]) -> bytes:
    return json.dumps(to_json(values), allow_nan=False).encode() + b"\n"
