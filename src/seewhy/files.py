"""Files that are either whole or not there: atomic writes and locks; and records as JSON."""

import dataclasses
import errno
import json
import math
import os
import shutil
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from seewhy.errors import FULL, DiskFullError, LockedError, UsageError

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def write_atomic(path: Path, data: bytes) -> None:
    """Writes `data` to `path` so that a crash leaves the old file or the new one, never a part.

    Raises `DiskFullError` when there is no space; the old file is intact and no temporary is left.
    """
    with atomic_file(path, len(data)) as file:
        file.write(data)


def to_json(record: Any) -> Any:
    """A record as JSON values: dataclasses as objects, arrays as lists, NaN and infinity as null.

    A dataclass is written field by field. One whose JSON has another shape has a method `json_form`, which
    gives that shape, of any values that this function takes. Paths, and what stands for one, are text.
    """
    if isinstance(record, os.PathLike):
        return os.fspath(record)
    if hasattr(record, "json_form"):
        return to_json(record.json_form())
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_json(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(key): to_json(value) for key, value in record.items()}
    if hasattr(record, "tolist"):  # an array or a number of NumPy's
        return to_json(record.tolist())
    if isinstance(record, list | tuple):
        return [to_json(value) for value in record]
    if isinstance(record, float) and not math.isfinite(record):
        return None
    return record.decode() if isinstance(record, bytes) else record


def write_json(record: Any, path: Path) -> None:
    """Writes a record to a file of its own, whole or not at all; makes the directory where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, json.dumps(to_json(record), indent=1).encode())


@contextmanager
def atomic_file(path: Path, size: int = 0) -> Iterator[BinaryIO]:
    """Yields a file that takes the place of `path`, as `write_atomic` does, when the block ends well.

    `size` is what will be written, in bytes, where it is known.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with full_disk_named(path, size), open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


@contextmanager
def atomic_directory(path: Path, size: int = 0) -> Iterator[Path]:
    """Yields `path.tmp`, an empty directory that becomes `path` when the block ends well.

    `size` is what will be written, in bytes, where it is known. Raises `DiskFullError` when there is no
    space. Whatever goes wrong, nothing is left behind; what a killed process left is cleared first. A
    crash while a directory of that name is replaced may leave neither.
    """
    temporary = path.with_name(path.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with full_disk_named(path, size):
            temporary.mkdir(parents=True)
            yield temporary
            for file in temporary.iterdir():
                with open(file, "rb") as handle:
                    os.fsync(handle.fileno())
            sync_directory(temporary)
            shutil.rmtree(path, ignore_errors=True)
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_directory(path.parent)


def clear_temporaries(directory: Path) -> None:
    """Removes what killed processes left of `write_atomic` in a directory and below it.

    It cannot tell what a living process is writing: hold the directory's lock.
    """
    for path in list(directory.rglob(".*.tmp")):
        path.unlink(missing_ok=True)


@contextmanager
def full_disk_named(path: Path, size: int) -> Iterator[None]:
    """Raises `DiskFullError` for want of space in the block; `size` is what was to be written, in bytes."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskFullError(path, size) from None


def new_folder(out: Path) -> Path:
    """Makes the directory; raises `UsageError` for one that holds something, which would be lost."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} already holds something: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    return out


def refuse_existing(out: Path) -> None:
    """Raises `UsageError` where there is something, which would be lost."""
    if out.exists():
        raise UsageError(f"{out} exists and is not written over: choose another --out")


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable (a rename is not, until its directory is synced)."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_space(path: Path, needed: int, what: str) -> None:
    """Raises `DiskFullError` unless `needed` bytes are free where `path` lies."""
    free = shutil.disk_usage(path).free
    if free < needed:
        raise DiskFullError(path, needed, free, what)


@contextmanager
def exclusive(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds the lock file `path` for the block; the kernel lets go of it when the process dies.

    With `wait`, waits for the present holder; else raises `LockedError` naming it. The file itself
    stays: removing it would let two processes lock two different files of one name. Warns where the file
    system has no locks, as some of the network have not.
    """
    import fcntl

    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(path.parent, _holder(handle)) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            warnings.warn(
                f"{path.parent} is on a file system without locks: see that one process alone writes there",
                stacklevel=3,
            )
        os.ftruncate(handle, 0)
        holder = {"pid": os.getpid(), "host": socket.gethostname()}
        with full_disk_named(path, 0):
            os.pwrite(handle, json.dumps(holder).encode(), 0)
        yield
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    try:
        holder = json.loads(os.pread(handle, 4096, 0))
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
