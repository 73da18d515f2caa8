"""Images decoded once: a set per source and input rule, verified when it is opened.

    $SEEWHY_CACHE (~/.cache/seewhy)
      stamps/<root>.npz               size, times, inode and sha256 of each file last seen
      sets/<content>/survey.txt       the median shorter side; whether all are square, and any deep
      sets/<content>/depth-<train>.txt  the depth that these training images decide, if some are deep
      sets/<content>/<rule>/          set.json table.json labels.npy splits.npy hashes.npy sizes.npy
                                      rows.npy checksums.json stamps.json, and `.used`, empty
      pixels/<rule>/<segment>/        the images of all sets (`segments`)

`content` is a hash over the names and bytes of the source's files, `rule` one over the input rule but for
`size` (`InputRule.key`). A set appears by one rename, so a killed process leaves no partial one; a damaged
one is built again. Nothing here is a pickle, and images are not kept in memory: they are written one after
the other and read through a memory map.
"""

import dataclasses
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from seewhy.config.input_rule import InputRule
from seewhy.data.bad_files import BadFile, check_bad
from seewhy.data.cache_root import cache_root
from seewhy.data.cache_sets import ABOUT, USED, About, adding, make_room
from seewhy.data.checksums import intact, write_checksums
from seewhy.data.class_names import NO_LABEL, classes_of
from seewhy.data.images.at_once import workers
from seewhy.data.images.decode import ImageLike, read_file, read_hashed
from seewhy.data.images.quiet import quiet_pillow
from seewhy.data.imageset import Rows
from seewhy.data.segments import Facts, Pixels, new_segment, open_images
from seewhy.data.sources.source import Record, Source
from seewhy.data.stamps import Content
from seewhy.errors import DataError, ImageError
from seewhy.events import Note, OnEvent, Progress, ignore
from seewhy.files import atomic_directory, exclusive, require_space, write_json
from seewhy.text import counted


@dataclass(frozen=True, eq=False)
class Stored:
    """A whole source at one stored side: arrays by row, and the bad files.

    `merged` are classes that the source spells in several ways (`class_names`); `unlabelled` is the number
    of records without a label, which are not stored; `pixels` is the original size, for people.
    """

    images: np.ndarray | Rows
    labels: np.ndarray
    splits: np.ndarray
    hashes: np.ndarray
    sizes: np.ndarray
    ids: np.ndarray
    groups: np.ndarray | None
    classes: tuple[str, ...]
    merged: tuple[str, ...]
    unlabelled: int
    bad: tuple[BadFile, ...]
    pixels: str


def stored(source: Source, rule: InputRule, content: Content, on_event: OnEvent = ignore) -> Stored:
    """Returns the images of a source at `rule.store` pixels a side, from the cache or into it.

    If two processes ask at the same time, one builds. Raises `DataError` if no image can be used.
    """
    home = cache_root() / "sets" / content.id
    home.mkdir(parents=True, exist_ok=True)
    entry = home / rule.key
    if (opened := _open(entry)) is not None:
        return opened
    with exclusive(entry.with_suffix(".lock"), wait=True):
        # Another process may remove the set that this one has just written, to make room.
        for _ in range(3):
            if (opened := _open(entry)) is not None:
                return opened
            with adding():
                _build(source, rule, content, entry, on_event)
            if removed := len(make_room(entry)):
                sets = counted(removed, "set")
                limit = "which SEEWHY_CACHE_GB limits"
                on_event(Note(f"removed from the cache, {limit}: {sets}, used longest ago"))
    raise DataError(f"{entry} is damaged right after it was written: check the disk")


# ------------------------------------------------------------------ building


class _Decoded(NamedTuple):
    pixels: np.ndarray
    facts: Facts


# An image that is decoded, the row of one that is stored, or the reason why there is none.
_Read = _Decoded | int | ImageError


class _Reader:
    """Reads images, unless the cache has them: files are known by the digests of their bytes."""

    def __init__(self, rule: InputRule, pixels: Pixels, source: Source, content: Content) -> None:
        self._rule, self._pixels = rule, pixels
        paths = (f"{source.root}/{name}" for name in source.files)
        self._digests = dict(zip(paths, content.digests.tolist(), strict=True))

    def read(self, image: ImageLike) -> _Read:
        known = self._digests.get(str(image)) if isinstance(image, Path) else None
        if known and (row := self._pixels.find(known)) is not None:
            return row
        try:
            data = read_file(image) if isinstance(image, Path) else image
            digest = hashlib.sha256(data).hexdigest()[:32] if isinstance(data, bytes) else None
            if digest and (row := self._pixels.find(digest.encode())) is not None:
                return row
            pixels, whole, size = read_hashed(data, self._rule)
        except ImageError as error:
            return error
        facts = Facts((digest or whole).encode(), whole.encode(), *size)
        return _Decoded(pixels, facts)


_CHUNK_ROWS, _CHUNK_BYTES = 64, 4 << 20
# Bytes per image: below, threads wait for each other more than they help (60,000 of 32x32: 8.5 s
# instead of 6.0 on two cores); photographs of 100 KB gain 1.9 times.
_SMALL = 16 << 10

T = TypeVar("T")  # what is read of an image


def _read_chunk(chunk: list[Record], read: Callable[[ImageLike], T]) -> list[T]:
    with quiet_pillow():
        return [read(record.image) for record in chunk]


def _chunks(records: Iterable[Record], side: int) -> Iterator[tuple[list[Record], bool]]:
    """Yields chunks of records, limited in memory, and whether threads make each one faster."""
    chunk: list[Record] = []
    weight = 0
    rows = max(1, min(_CHUNK_ROWS, _CHUNK_BYTES // (3 * side * side)))
    for record in records:
        chunk.append(record)
        weight += _weight(record.image)
        if len(chunk) == rows or weight >= _CHUNK_BYTES:
            yield chunk, weight > _SMALL * len(chunk)
            chunk, weight = [], 0
    if chunk:
        yield chunk, weight > _SMALL * len(chunk)


def _weight(image: ImageLike) -> int:
    """Returns about how many bytes an image takes before it is decoded."""
    match image:
        case bytes():
            return len(image)
        case np.ndarray():
            return image.nbytes
        case Image.Image():
            return 3 * image.width * image.height
        case Path():
            with suppress(OSError):  # a file that was removed will be a bad file
                return image.stat().st_size
    return 0


def read_all(
    records: Iterable[Record], side: int, read: Callable[[ImageLike], T]
) -> Iterator[tuple[list[Record], list[T]]]:
    """Yields chunks in order, each image read to about `side` pixels a side, while the next are decoded."""
    threads = workers()
    waiting: deque[tuple[list[Record], Future[list[T]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for chunk, threads_pay in _chunks(records, side):
            future: Future[list[T]] = Future()
            if threads_pay:
                future = pool.submit(_read_chunk, chunk, read)
            else:
                future.set_result(_read_chunk(chunk, read))
            waiting.append((chunk, future))
            if len(waiting) > 2 * threads:
                done, result = waiting.popleft()
                yield done, result.result()
        for done, result in waiting:
            yield done, result.result()


class _Table:
    """The facts about the rows, collected while they are read."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.labels: list[str] = []
        self.splits: list[str] = []
        self.hashes: list[bytes] = []
        self.groups: list[str] = []
        self.bad: list[BadFile] = []
        self.sizes: list[tuple[int, int]] = []
        self.rows: list[int] = []
        self.unlabelled = 0

    def labelled(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yields the records that have a label, and counts the others."""
        for record in records:
            if record.label.strip():
                yield record
            else:
                self.unlabelled += 1

    def add(self, record: Record, row: int, facts: Facts) -> None:
        self.rows.append(row)
        self.ids.append(record.id)
        self.labels.append(record.label)
        self.splits.append(record.split)
        self.hashes.append(facts.hash)
        if record.group is not None:
            self.groups.append(record.group)
        self.sizes.append((facts.width, facts.height))


def _build(
    source: Source, rule: InputRule, content: Content, entry: Path, on_event: OnEvent
) -> None:
    reading, side = source.read(), rule.store
    home = cache_root() / "pixels" / entry.name
    home.mkdir(parents=True, exist_ok=True)
    require_space(home, reading.total * side * side * 3, f"the cache of {source.layout}")
    table = _Table()
    with new_segment(home, side) as segment:
        pixels = Pixels(home, segment)
        read = _Reader(rule, pixels, source, content).read
        done = 0
        for records, results in read_all(table.labelled(reading.records), side, read):
            for record, result in zip(records, results, strict=True):
                if isinstance(result, ImageError):
                    table.bad.append(BadFile(record.id, result.code, str(result)))
                    continue
                row = result if isinstance(result, int) else pixels.add(*result)
                table.add(record, row, pixels.facts(row))
            done += len(records)
            on_event(Progress("reading", done, max(done, reading.total)))
        if not table.ids:
            check_bad(table.bad, done, "error", 0)
            if table.unlabelled:
                number = counted(table.unlabelled, "image")
                raise DataError(f"no label on any of {number} (each is {NO_LABEL}): label them")
            raise DataError(f"no images in {source.root}")
    segments, rows = pixels.used(np.array(table.rows, np.int64))
    read_from, names = str(source.version or source.root), [path.name for path in segments]
    about = About(read_from, source.layout, len(rows), side, names)
    with atomic_directory(entry) as directory:
        _write_table(directory, table, reading.classes)
        np.save(directory / "rows.npy", rows)
        write_json(about, directory / ABOUT)
        write_checksums(directory)


def _write_table(directory: Path, table: _Table, order: tuple[str, ...] | None) -> None:
    assert len(table.groups) in (0, len(table.ids)), (
        "either all images of a source have groups or none"
    )
    classes = classes_of(tuple(dict.fromkeys(table.labels)), order)
    labels = np.array([classes.number[label] for label in table.labels], np.int64)
    np.save(directory / "labels.npy", labels)
    np.save(directory / "splits.npy", np.array(table.splits, "S5"))
    np.save(directory / "hashes.npy", np.array(table.hashes, "S32"))
    np.save(directory / "sizes.npy", np.array(table.sizes, np.int32))
    facts = {
        "classes": classes.names,
        "merged": classes.merged,
        "unlabelled": table.unlabelled,
        "bad": [dataclasses.astuple(file) for file in table.bad],
        "pixels": size_text(np.array(table.sizes)),
        "ids": table.ids,
        "groups": table.groups or None,
    }
    (directory / "table.json").write_text(json.dumps(facts, allow_nan=False), "ascii")


def size_text(sizes: np.ndarray) -> str:
    """Returns the size of images, `(N, 2)`, for people."""
    one = len(sizes) > 0 and (sizes == sizes[0]).all()
    return "{}x{}".format(*sizes[0]) if one else "of several sizes"


# ------------------------------------------------------------------ opening


def _open(entry: Path) -> Stored | None:
    """Returns an entry, or None if it is missing or damaged."""
    try:
        return _read_entry(entry) if intact(entry) else None
    except FileNotFoundError:  # removed by another process
        return None


def _read_entry(entry: Path) -> Stored | None:
    home = cache_root() / "pixels" / entry.name
    segments = [home / name for name in json.loads((entry / ABOUT).read_bytes())["segments"]]
    images = open_images(segments, np.load(entry / "rows.npy", allow_pickle=False))
    if images is None:
        return None
    with suppress(OSError):  # a cache that may only be read
        (entry / USED).touch()
    facts = json.loads((entry / "table.json").read_bytes())
    return Stored(
        images=images,
        labels=np.load(entry / "labels.npy", allow_pickle=False),
        splits=np.load(entry / "splits.npy", allow_pickle=False).astype(str),
        hashes=np.load(entry / "hashes.npy", allow_pickle=False),
        sizes=np.load(entry / "sizes.npy", allow_pickle=False),
        ids=strings(facts["ids"]),
        groups=None if facts["groups"] is None else strings(facts["groups"]),
        classes=tuple(facts["classes"]),
        merged=tuple(facts["merged"]),
        unlabelled=facts["unlabelled"],
        bad=tuple(BadFile(*row) for row in facts["bad"]),
        pixels=facts["pixels"],
    )


def strings(values: list[str]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array
