"""Atomic writes, locks, and records as JSON."""

import dataclasses
import errno
import json
import math
import os
import re
import shutil
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import cache
from glob import escape
from pathlib import Path
from types import UnionType
from typing import Any, BinaryIO, get_args, get_origin, get_type_hints

from seewhy.errors import FULL, UNWRITABLE, DiskFullError, LockedError, UnwritableError, UsageError

# Flags of `os.open`: Windows lacks two, and opens a file as text unless told that it is binary.
BINARY = getattr(os, "O_BINARY", 0)
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
READ = os.O_RDONLY | BINARY | getattr(os, "O_NONBLOCK", 0)  # without waiting for a pipe

_TEMPORARY = re.compile(r"\..+\.([0-9]+)\.tmp")  # .NAME.PID.tmp
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}


def write_atomic(path: Path, data: bytes) -> None:
    """Writes `data` to `path` so that a crash leaves either the old file or the new one, never a part.

    Makes the directory if there is none. Raises `DiskFullError` if there is no space, `UnwritableError` if
    the system refuses; the old file is intact and no temporary file remains.
    """
    with atomic_file(path, len(data)) as file:
        file.write(data)


def to_json(record: Any) -> Any:
    """A record as JSON values: dataclasses as objects, arrays as lists, NaN and infinity as null.

    A dataclass is written field by field, unless it has a method `json_form`, which returns the values to
    write. Paths, and objects that stand for one, become text.
    """
    if isinstance(record, os.PathLike):
        return os.fspath(record)
    if hasattr(record, "json_form"):
        return to_json(record.json_form())
    if dataclasses.is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_json(getattr(record, f.name)) for f in dataclasses.fields(record)}
    if isinstance(record, Mapping):
        return {str(key): to_json(value) for key, value in record.items()}
    if hasattr(record, "tolist"):  # a NumPy array or number
        return to_json(record.tolist())
    if isinstance(record, list | tuple):
        return [to_json(value) for value in record]
    if isinstance(record, float) and not math.isfinite(record):
        return None
    return record.decode() if isinstance(record, bytes) else record


def from_json(kind: Any, value: Any) -> Any:
    """JSON values as a record of the type `kind`: what `to_json` made of one, read again.

    Null is NaN where a number is expected; unknown fields are left out, missing ones take their defaults.
    Raises `TypeError`, `ValueError` or `LookupError` for values that are not of this type.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        known = _fields(kind).items()
        return kind(**{name: from_json(of, value[name]) for name, of in known if name in value})
    if origin is UnionType:
        return None if value is None else from_json(inner[0], value)
    if origin is tuple:
        return tuple(from_json(inner[0], one) for one in value)
    if origin is dict:
        return {key: from_json(inner[1], one) for key, one in value.items()}
    if getattr(origin, "__name__", "") == "ndarray":
        import numpy as np  # here, since most that uses files needs no arrays

        return np.array(value, get_args(inner[1])[0])
    return math.nan if kind is float and value is None else value


@cache
def _fields(kind: Any) -> dict[str, Any]:
    """The fields of a dataclass, with their types."""
    types = get_type_hints(kind)
    return {field.name: types[field.name] for field in dataclasses.fields(kind)}


def from_yaml(text: str, check: Callable[[Any], None] = lambda _: None) -> Any:
    """The values of a YAML text, by libyaml if there is one; `check` sees its root node, or None.

    Raises `yaml.YAMLError`, also for what looks like a date or a number and is none, such as 2024-31-01.
    """
    import yaml  # here, since most that uses files has none of it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        check(root := loader.get_single_node())
        return None if root is None else loader.construct_document(root)
    except ValueError as error:
        raise yaml.YAMLError(str(error)) from None
    finally:
        loader.dispose()


def write_json(record: Any, path: Path) -> None:
    """Writes a record to a file, atomically."""
    write_atomic(path, json.dumps(to_json(record), indent=1, allow_nan=False).encode())


@contextmanager
def atomic_file(path: Path, size: int = 0) -> Iterator[BinaryIO]:
    """Yields a file that replaces `path`, as `write_atomic` does, when the block succeeds.

    `size` is the number of bytes that will be written, if known.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with full_disk_named(path, size), _made(path.parent):
        try:
            with refusal_named(path):
                file = open(temporary, "wb")  # noqa: SIM115 (closed below)
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            with refusal_named(path):
                os.replace(temporary, path)
        finally:
            with suppress(OSError):
                temporary.unlink()
    sync_directory(path.parent)


@contextmanager
def atomic_directory(path: Path, size: int = 0, *, hidden: bool = False) -> Iterator[Path]:
    """Yields `path.tmp`, an empty directory that becomes `path` when the block succeeds.

    With `hidden` it is `.path.PID.tmp`: beside what users keep, where a `path.tmp` may be theirs; so may a
    `path` that is there by then, which raises `UsageError`. `size` is the number of bytes that will be
    written, if known. Raises `DiskFullError` if there is no space. After an error nothing remains; leftovers
    of a killed process are removed first. A crash while a directory is replaced may leave neither of both.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp" if hidden else f"{path.name}.tmp")
    if hidden:
        clear_temporaries(path.parent, f".{escape(path.name)}.*.tmp", below=False)
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with full_disk_named(path, size):
            make_directory(temporary)
            yield temporary
            for below in temporary.rglob("*"):
                if below.is_dir():
                    sync_directory(below)
                    continue
                with open(below, "rb+") as handle:  # Windows syncs what may be written
                    os.fsync(handle.fileno())
            sync_directory(temporary)
            if hidden:
                require_new(path)
            else:
                shutil.rmtree(path, ignore_errors=True)
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    sync_directory(path.parent)


def clear_temporaries(directory: Path, pattern: str = ".*.tmp", *, below: bool = True) -> None:
    """Removes the .NAME.PID.tmp of killed processes in a directory, and below it; no user's `.draft.tmp`."""
    for path in list((directory.rglob if below else directory.glob)(pattern)):
        ours = _TEMPORARY.fullmatch(path.name)
        if ours is None or _is_alive(int(ours[1])):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    """Whether a process of this number is running on this machine; on Windows it may be."""
    if sys.platform == "win32":  # where signal 0 is Ctrl-C
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True


@contextmanager
def full_disk_named(path: Path, size: int) -> Iterator[None]:
    """Raises `DiskFullError` if the disk is full in the block; `size` is the number of bytes to write."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise DiskFullError(path, size) from None


@contextmanager
def refusal_named(path: Path) -> Iterator[None]:
    """Raises `UnwritableError` if the system refuses to make `path` in the block."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise UnwritableError(path, str(error.strerror)) from None


def make_directory(path: Path) -> None:
    """Makes a directory and those above it, durably; raises `UnwritableError` if that cannot be."""
    with refusal_named(path):
        if not path.is_dir():
            path.mkdir(parents=True, exist_ok=True)
            sync_directory(path.parent)


def named_path(name: str | Path) -> Path:
    """The path that a user means: `~` is the home directory, unless there is a file of that name.

    Raises `UsageError` for an empty one, which as a path is the working directory.
    """
    if not str(name):
        raise UsageError("a path is empty: is it of a variable that is not set?")
    path = Path(name)
    if not str(name).startswith("~") or path.exists():
        return path
    with suppress(RuntimeError):  # of an unknown user
        path = path.expanduser()
    return path


@contextmanager
def _made(path: Path) -> Iterator[None]:
    """Makes a directory and those above it; after an error those that are empty are removed again."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    try:
        make_directory(path)
        yield
    except BaseException:
        with suppress(OSError):  # where another process has written meanwhile
            for one in missing:
                one.rmdir()
        raise


def holds_something(path: Path) -> bool:
    """Whether there is a file, or a directory with more than the lock files of a stopped process."""
    # One question, not two: a directory that another process makes in between would be taken for a file.
    try:
        return any(not name.endswith(".lock") for name in os.listdir(path))
    except NotADirectoryError:  # a file, or one of its parents is
        return os.path.lexists(path)
    except FileNotFoundError:
        return path.is_symlink()


@contextmanager
def output_folder(out: Path) -> Iterator[Path]:
    """Makes the directory; after an error nothing new is in it, nor do parents remain that were made for it.

    Raises `UsageError` if it is not empty: nothing is overwritten.
    """
    if holds_something(out):
        raise UsageError(f"{out} is not empty: choose another --out")
    with _made(out):
        before = set(out.iterdir())  # locks, which may be of another program
        try:
            yield out
        except BaseException:
            for made in set(out.iterdir()) - before:
                shutil.rmtree(made) if made.is_dir() else made.unlink()
            raise


def optional_folder(out: str | Path | None) -> AbstractContextManager[Path | None]:
    """`output_folder(out)`, or None if no `out` is given."""
    return nullcontext() if out is None else output_folder(named_path(out))


def require_new(out: Path) -> None:
    """Raises `UsageError` if `out` exists, `UnwritableError` if it cannot be made; makes nothing."""
    if os.path.lexists(out):
        raise UsageError(f"{out} already exists: choose another name")
    require_writable(out)


def require_writable(out: Path) -> None:
    """Raises `UnwritableError` if nothing can be made at `out`; makes nothing.

    A verb asks this before its work, so that the work is not lost.
    """
    with refusal_named(out):
        if out.is_file():
            out = out.parent
        there = next(path for path in (out, *out.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass


def sync_directory(path: Path) -> None:
    """Makes the names in a directory durable (a rename is durable only after its directory is synced)."""
    if not hasattr(os, "O_DIRECTORY"):  # on Windows, which opens no directory
        return
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def require_space(path: Path, needed: int, what: str) -> None:
    """Raises `DiskFullError` unless `needed` bytes are free on the disk of `path`."""
    free = shutil.disk_usage(path).free
    if free < needed:
        raise DiskFullError(path, needed, free, what)


@contextmanager
def exclusive(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds the lock file `path` for the block; the kernel releases it when the process ends.

    With `wait`, waits for the current holders; otherwise raises `LockedError` naming one. The file itself
    remains: removing it would let two processes lock two different files of one name. Warns if the file
    system has no locks, as is the case for some network file systems. On Windows nothing is locked.
    """
    with _locked(path, alone=True, wait=wait):
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Holds the lock file `path` as any number of processes can, but not beside one that is `exclusive`."""
    with _locked(path, alone=False, wait=True):
        yield


@contextmanager
def _locked(path: Path, *, alone: bool, wait: bool) -> Iterator[None]:
    with refusal_named(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | BINARY, 0o644)
    try:
        _lock(handle, path, alone=alone, wait=wait)
        os.ftruncate(handle, 0)
        holder = {"pid": os.getpid(), "host": socket.gethostname()}
        with full_disk_named(path, 0):
            os.write(handle, json.dumps(holder, allow_nan=False).encode())
        yield
    finally:
        os.close(handle)


def lock_open_file(handle: int, path: Path) -> None:
    """Locks an open file of work for this process, until the file is closed.

    Raises `LockedError` if another process has it, or has removed it, its work being done.
    """
    _lock(handle, path, alone=True, wait=False)
    if not path.exists() or not os.path.samestat(os.fstat(handle), os.stat(path)):
        raise LockedError(path.parent, "another process")


def _lock(handle: int, path: Path, *, alone: bool, wait: bool) -> None:
    try:
        import fcntl
    except ImportError:  # on Windows
        return
    try:
        kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
        fcntl.flock(handle, kind | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise LockedError(path.parent, _holder(handle)) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        warnings.warn(
            f"{path.parent} is on a file system without locks: let only one process write there",
            stacklevel=6,
        )


def _holder(handle: int) -> str:
    try:
        holder = json.loads(os.read(handle, 4096))
        return f"process {holder['pid']} on {holder['host']}"
    except (ValueError, KeyError, TypeError):
        return "another process"
