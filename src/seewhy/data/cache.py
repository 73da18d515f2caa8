"""Images decoded once: one entry per source and stored side, on disk, verified whenever it is opened.

    $SEEWHY_CACHE (~/.cache/seewhy)
      stamps/<root>.npy               size, times, inode and sha256 of each file last seen
      sets/<content>/side.txt         the median shorter side of these images
      sets/<content>/store-32-v1/     images.npy labels.npy splits.npy hashes.npy sizes.npy
                                      table.json checksums.json

`content` is a hash over the names and bytes of the source's files. An entry appears by one rename, so a
killed process leaves no partial one; a damaged one is built again. Nothing here is a pickle, and images
are not kept in memory: rows are written one after the other and read through a memory map.
"""

import dataclasses
import hashlib
import json
import unicodedata
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from seewhy.config.input_rule import InputRule
from seewhy.data.bad_files import BadFile, check_bad
from seewhy.data.images.decode import (
    ImageLike,
    content_hash,
    measure,
    open_image,
    quiet_pillow,
    store,
)
from seewhy.data.sources.source import Record, Source
from seewhy.data.stamps import cache_root, workers
from seewhy.errors import DataError, ImageError
from seewhy.events import OnEvent, Progress, ignore
from seewhy.files import atomic_directory, exclusive, require_space, write_atomic


@dataclass(frozen=True, eq=False)
class Stored:
    """A whole source at one stored side: arrays by row, and the bad files.

    `merged` are classes that the source spells in several forms of Unicode, and that are one class (NFC);
    `pixels` is the original size, for people.
    """

    images: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    hashes: np.ndarray
    sizes: np.ndarray
    ids: np.ndarray
    groups: np.ndarray | None
    classes: tuple[str, ...]
    merged: tuple[str, ...]
    bad: tuple[BadFile, ...]
    pixels: str


def stored(source: Source, rule: InputRule, content: str, on_event: OnEvent = ignore) -> Stored:
    """Returns the images of a source at `rule.store` pixels a side, from the cache or into it.

    If two processes ask at the same time, one builds. Raises `DataError` if no image can be used.
    """
    home = cache_root() / "sets" / content
    home.mkdir(parents=True, exist_ok=True)
    entry = home / f"store-{rule.store}-v{rule.version}"
    if (opened := _open(entry)) is not None:
        return opened
    with exclusive(entry.with_suffix(".lock"), wait=True):
        if (opened := _open(entry)) is not None:
            return opened
        _build(source, rule.store, entry, on_event)
        if (opened := _open(entry)) is not None:
            return opened
    raise DataError(f"{entry} is damaged right after it was written: check the disk")


def shorter_side(source: Source, content: str) -> int | None:
    """Returns the median shorter side of the images outside test, in pixels; None if there are none."""
    file = cache_root() / "sets" / content / "side.txt"
    with suppress(OSError, ValueError):
        text, digest = file.read_text("ascii").split()
        if digest == hashlib.sha256(text.encode()).hexdigest():
            return int(text)
    sides = []
    for image in source.sample():
        with suppress(ImageError):
            sides.append(min(measure(image)))
    if not sides:
        return None
    side = sorted(sides)[len(sides) // 2]
    write_atomic(file, f"{side} {hashlib.sha256(str(side).encode()).hexdigest()}\n".encode())
    return side


# ------------------------------------------------------------------ building


class _Decoded(NamedTuple):
    pixels: np.ndarray
    hash: str
    size: tuple[int, int]


_CHUNK_ROWS, _CHUNK_BYTES = 64, 4 << 20
# Bytes per image: below, threads wait for each other more than they help (60,000 of 32x32: 8.5 s
# instead of 6.0 on two cores); photographs of 100 KB gain 1.9 times.
_SMALL = 16 << 10


def _decode_chunk(chunk: list[Record], side: int) -> list[_Decoded | ImageError]:
    def one(image: ImageLike) -> _Decoded | ImageError:
        try:
            rgb = open_image(image)
        except ImageError as error:
            return error
        pixels = store(rgb, side)
        return _Decoded(pixels, content_hash(pixels if rgb.size == (side, side) else rgb), rgb.size)

    with quiet_pillow():
        return [one(record.image) for record in chunk]


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


def _decoded(
    records: Iterable[Record], side: int
) -> Iterator[tuple[list[Record], list[_Decoded | ImageError]]]:
    """Yields chunks in order while the next ones are decoded."""
    threads = workers()
    waiting: deque[tuple[list[Record], Future[list[_Decoded | ImageError]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for chunk, threads_pay in _chunks(records, side):
            future: Future[list[_Decoded | ImageError]] = Future()
            if threads_pay:
                future = pool.submit(_decode_chunk, chunk, side)
            else:
                future.set_result(_decode_chunk(chunk, side))
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
        self.spellings: dict[str, str] = {}

    def add(self, record: Record, result: _Decoded | ImageError) -> bool:
        """Adds one image, or a bad file; returns whether it is a row."""
        if isinstance(result, ImageError):
            self.bad.append(BadFile(record.id, result.code, str(result)))
            return False
        self.ids.append(record.id)
        self.labels.append(self.spellings.setdefault(record.label, _nfc(record.label)))
        self.splits.append(record.split)
        self.hashes.append(result.hash.encode())
        if record.group is not None:
            self.groups.append(record.group)
        self.sizes.append(result.size)
        return True

    @property
    def merged(self) -> list[str]:
        return sorted(name for name, n in Counter(self.spellings.values()).items() if n > 1)


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _build(source: Source, side: int, entry: Path, on_event: OnEvent) -> None:
    reading = source.read()
    require_space(entry.parent, reading.total * side * side * 3, f"the cache of {source.layout}")
    table = _Table()
    done = 0
    with atomic_directory(entry) as directory:
        with open(directory / "images.npy", "wb") as file:
            _write_header(file, 0, side)
            start = file.tell()
            for records, results in _decoded(reading.records, side):
                for record, result in zip(records, results, strict=True):
                    if table.add(record, result) and isinstance(result, _Decoded):
                        file.write(result.pixels.tobytes())
                done += len(records)
                on_event(Progress("reading", done, max(done, reading.total)))
            if not table.ids:
                check_bad(table.bad, done, "error", 0)
                raise DataError(f"no images in {source.root}")
            file.seek(0)
            _write_header(file, len(table.ids), side)
            assert file.tell() == start, "the header of an .npy grew"
        classes = tuple(dict.fromkeys(map(_nfc, reading.classes or sorted(set(table.labels)))))
        _write_table(directory, table, classes)
        write_atomic(directory / "checksums.json", json.dumps(_checksums(directory)).encode())


def _write_header(file: BinaryIO, rows: int, side: int) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (rows, side, side, 3)}
    np.lib.format.write_array_header_1_0(file, header)


def _write_table(directory: Path, table: _Table, classes: tuple[str, ...]) -> None:
    assert len(table.groups) in (0, len(table.ids)), (
        "either all images of a source have groups or none"
    )
    number = {name: index for index, name in enumerate(classes)}
    np.save(directory / "labels.npy", np.array([number[name] for name in table.labels], np.int64))
    np.save(directory / "splits.npy", np.array(table.splits, "S5"))
    np.save(directory / "hashes.npy", np.array(table.hashes, "S32"))
    np.save(directory / "sizes.npy", np.array(table.sizes, np.int32))
    sizes = set(table.sizes)
    pixels = "{}x{}".format(*sizes.pop()) if len(sizes) == 1 else "of several sizes"
    facts = {
        "classes": classes,
        "merged": table.merged,
        "bad": [dataclasses.astuple(file) for file in table.bad],
        "pixels": pixels,
        "ids": table.ids,
        "groups": table.groups or None,
    }
    (directory / "table.json").write_text(json.dumps(facts), "ascii")


# ------------------------------------------------------------------ opening

_BLOCK = 4 << 20


def _checksums(directory: Path) -> dict[str, list[str]]:
    """Returns the sha256 of each 4 MiB of each file of an entry."""
    files = sorted(file for file in directory.iterdir() if file.name != "checksums.json")
    blocks = [(file, start) for file in files for start in range(0, file.stat().st_size, _BLOCK)]

    def digest(block: tuple[Path, int]) -> str:
        with open(block[0], "rb") as file:
            file.seek(block[1])
            return hashlib.sha256(file.read(_BLOCK)).hexdigest()

    checksums: dict[str, list[str]] = {file.name: [] for file in files}
    with ThreadPoolExecutor(workers()) as pool:
        for (file, _), value in zip(blocks, pool.map(digest, blocks), strict=True):
            checksums[file.name].append(value)
    return checksums


def _open(entry: Path) -> Stored | None:
    """Returns an entry, or None if it is missing or damaged."""
    try:
        if json.loads((entry / "checksums.json").read_bytes()) != _checksums(entry):
            return None
    except (OSError, ValueError):
        return None
    # The checksums are right, so the entry is as it was written: from here on it is trusted.
    facts = json.loads((entry / "table.json").read_bytes())
    return Stored(
        images=np.asarray(np.load(entry / "images.npy", mmap_mode="r", allow_pickle=False)),
        labels=np.load(entry / "labels.npy", allow_pickle=False),
        splits=np.load(entry / "splits.npy", allow_pickle=False).astype(str),
        hashes=np.load(entry / "hashes.npy", allow_pickle=False),
        sizes=np.load(entry / "sizes.npy", allow_pickle=False),
        ids=_strings(facts["ids"]),
        groups=None if facts["groups"] is None else _strings(facts["groups"]),
        classes=tuple(facts["classes"]),
        merged=tuple(facts["merged"]),
        bad=tuple(BadFile(*row) for row in facts["bad"]),
        pixels=facts["pixels"],
    )


def _strings(values: list[str]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array
