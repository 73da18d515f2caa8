"""What the cache holds: its sets listed, checked, removed, and kept within a limit of bytes."""

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from seewhy.data.cache_root import cache_root
from seewhy.data.checksums import intact
from seewhy.errors import LockedError, UsageError
from seewhy.files import exclusive, shared
from seewhy.text import counted, near, visible

ABOUT, USED = "set.json", ".used"  # files of a set; the time of the second is that of the last use
LIMIT = 20.0  # GB
SHARDS = "shards"  # the folder of packs that are at an address
_ADDING = "adding.lock"


@dataclass(frozen=True)
class About:
    """Where a set was read from, and the segments that hold its images of `side` pixels."""

    source: str
    layout: str
    images: int
    side: int
    segments: list[str]


@dataclass(frozen=True)
class CachedSet:
    """A set of images in the cache.

    `id` are 8 hex digits; `bytes` is what its images and their table take, also where other sets hold
    the same images; `last_used` is in UTC.
    """

    id: str
    source: str
    layout: str
    images: int
    side: int
    bytes: int
    last_used: str


@dataclass(frozen=True)
class CacheContents:
    """The cache: its directory, the bytes that it takes on disk, its limit, and its sets, last used first."""

    directory: Path
    bytes: int
    limit: int
    sets: tuple[CachedSet, ...]


class _Entry:
    """A set on disk; one of an older version has no images that could be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).hexdigest()[:8]

    @cached_property
    def about(self) -> About:
        try:
            return About(**json.loads((self.path / ABOUT).read_bytes()))
        except (OSError, ValueError, TypeError):
            return About("", "older version", 0, 0, [])

    @property
    def segments(self) -> set[Path]:
        return {cache_root() / "pixels" / self.path.name / name for name in self.about.segments}

    @property
    def used(self) -> float:
        for file in (self.path / USED, self.path):
            with suppress(OSError):
                return file.stat().st_mtime
        return 0.0  # removed by another process

    def is_intact(self) -> bool:
        return all(intact(path, every_byte=True) for path in (self.path, *self.segments))

    def described(self) -> CachedSet:
        one = self.about
        size = _bytes(self.path) + 3 * one.side**2 * one.images
        used = datetime.fromtimestamp(self.used, UTC).isoformat(timespec="seconds")
        return CachedSet(self.id, one.source, one.layout, one.images, one.side, size, used)


def list_cache() -> CacheContents:
    """Returns what the cache holds; damage is not looked for, see `check_cache`."""
    sets = tuple(entry.described() for entry in _entries())
    return CacheContents(cache_root(), _bytes(cache_root()), limit(), sets)


def check_cache() -> tuple[CachedSet, ...]:
    """Reads every byte of all sets, removes those that are damaged, and returns them.

    They are built again when they are needed.
    """
    damaged = [entry for entry in _entries() if not entry.is_intact()]
    return _remove(damaged)


def remove_cached(
    ids: Iterable[str] | None = None, *, unused_days: float = 0
) -> tuple[CachedSet, ...]:
    """Removes sets from the cache, and returns them; a training that reads one goes on.

    ids: of `CachedSet`; None means all sets. unused_days: only those not used for so many days.
    Raises `UsageError` for an id that no set has.
    """
    entries = _entries()
    if ids is not None:
        wanted, known = set(ids), [entry.id for entry in entries]
        for unknown in sorted(wanted - set(known)):
            raise UsageError(
                f"the cache has no set {visible(unknown)!r}{near(unknown, known) or '.'} `seewhy cache` "
                f"lists the {counted(len(known), 'set')} that it has"
            )
        entries = [entry for entry in entries if entry.id in wanted]
    before = time.time() - unused_days * 86_400
    if ids is None:
        _remove_fetched(before)
    return _remove([entry for entry in entries if entry.used <= before])


def _remove_fetched(before: float) -> None:
    """Removes files of packs (`shards`) that were not used since then."""
    for file in fetched_files():
        with suppress(OSError):
            if file.stat().st_mtime <= before:
                file.unlink()


def fetched_files() -> Iterator[Path]:
    """The files of images that were fetched for packs."""
    return (cache_root() / SHARDS).glob(f"{'?' * 64}/*.shard")  # below the digest of their index


def make_room(keep: Path) -> tuple[CachedSet, ...]:
    """Removes the sets used longest ago until the cache is within its limit; never the one at `keep`.

    Features of no set, which are those of packs, go first. Nothing goes while a process is adding a set,
    which makes room in its turn: no image could be freed.
    """
    removed: list[CachedSet] = []
    with suppress(LockedError), exclusive(cache_root() / _ADDING):
        _free("pixels/store-*/*")
        if _is_over_limit():
            _free("features/store-*")
        oldest_last = [entry for entry in _entries() if entry.path != keep]
        while oldest_last and _is_over_limit():
            removed += _delete([oldest_last.pop()])
            _free("pixels/store-*/*", "features/store-*")
    return tuple(removed)


def _is_over_limit() -> bool:
    kept = ("pixels", "sets", "features")
    return sum(_bytes(cache_root() / name) for name in kept) > limit()


def _remove(entries: list[_Entry]) -> tuple[CachedSet, ...]:
    """Removes sets, and what only they have; while a process is adding one, a later call frees that."""
    removed = _delete(entries)
    with suppress(LockedError), exclusive(cache_root() / _ADDING):
        _free("pixels/store-*/*", "features/store-*")
    return removed


def _delete(entries: list[_Entry]) -> tuple[CachedSet, ...]:
    removed = tuple(entry.described() for entry in entries)
    for entry in entries:
        shutil.rmtree(entry.path, ignore_errors=True)
    return removed


def _free(*patterns: str) -> None:
    """Removes the images and features there that are of no set; to be called while none is added.

    The patterns are of names by `InputRule.key`: a user's own folder of features may lie beside them.
    """
    entries = _entries()
    used = {path for entry in entries for path in entry.segments}
    used |= {cache_root() / "features" / entry.path.name for entry in entries}
    for path in (path for pattern in patterns for path in cache_root().glob(pattern)):
        if path not in used:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def adding() -> Iterator[None]:
    """To be held from the first look at the segments until the set that uses them is there.

    Features are written under it too.
    """
    with shared(cache_root() / _ADDING):
        yield


def _entries() -> list[_Entry]:
    """Returns the sets, newest use first."""
    there = cache_root().glob("sets/*/store-*")
    paths = (path for path in there if path.is_dir() and path.suffix != ".tmp")
    return sorted(map(_Entry, paths), key=lambda entry: entry.used, reverse=True)


def _bytes(directory: Path) -> int:
    """The bytes of all files below; those that another process removes meanwhile count nothing."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size
    return total


def limit() -> int:
    """Returns the limit in bytes, from `$SEEWHY_CACHE_GB`."""
    text = os.environ.get("SEEWHY_CACHE_GB") or str(LIMIT)
    try:
        gigabytes = float(text)
    except ValueError:
        gigabytes = math.nan
    if not gigabytes >= 0:
        raise UsageError(
            f"SEEWHY_CACHE_GB is {visible(text)}: expected gigabytes, such as {LIMIT:g}"
        )
    return int(min(gigabytes, 1e9) * 1e9)
