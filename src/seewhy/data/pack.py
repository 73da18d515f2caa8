"""A pack: the images of a data set at one stored size, one after the other, and an index.

    FILE.pack                MAGIC, the images, the index
    FOLDER.pack/index.pack   MAGIC, the index; the images are in 00000.shard, 00001.shard, ... beside it

An image is the bytes of a JPEG file, or with `raw` its pixels. The index is a row an image (`ROW`), then what
all have in common as JSON (`About`), then `_END`. An image is read by one `pread`, when it is needed, and
compared with its checksum; nothing but the index is in memory. A pack never changes.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from glob import escape
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from seewhy.config.input_rule import InputRule
from seewhy.errors import ArchiveError
from seewhy.files import (
    READ,
    atomic_directory,
    atomic_file,
    clear_temporaries,
    from_json,
    require_new,
    to_json,
)
from seewhy.text import visible

INDEX = "index.pack"  # of a pack in several files
MAGIC = b"SeeWhy pack 1\n\0\0"
SPLITS = ("", "train", "val", "test", "added")
ROW = np.dtype(
    [
        *(("start", "<u8"), ("size", "<u4"), ("crc", "<u4")),  # of its bytes, through all shards
        ("hash", "u1", 16),  # `decode.content_hash` of the whole image that it was made from
        *(("width", "<u4"), ("height", "<u4")),  # of that image
        *(
            ("label", "<i4"),
            ("split", "u1"),
        ),  # numbers of `About.classes`, -1 for none, and `SPLITS`
    ]
)
_PACKED = struct.Struct("<QII16sIIiB")
_END = struct.Struct("<QQQ32s16s")  # start of the rows, their number, bytes of JSON, sha256, MAGIC


@dataclass(frozen=True)
class Shard:
    """A file of images: its bytes, and their sha256."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class About:
    """What is known of all images of a pack; `ids` and `groups` are one each, groups None for none.

    `corrections` are the right classes of wrong labels by content hash (`Source.corrections`).
    """

    rule: InputRule
    raw: bool
    layout: str
    classes: list[str]
    merged: list[str]
    ids: list[str]
    groups: list[str] | None
    corrections: dict[str, str | None] = field(default_factory=dict)
    shards: list[Shard] = field(default_factory=list)

    def json_form(self) -> dict[str, object]:
        return {**vars(self), "rule": self.rule.model_dump()}


class Shards(Protocol):
    """Where the files of images are: `open(n)` returns the n-th."""

    def open(self, number: int) -> "Handle": ...


class Handle:
    """An open file, closed when nobody reads from it any more."""

    def __init__(self, path: Path) -> None:
        self.number = os.open(path, READ)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


class Pack:
    """An open pack. Threads, and processes that are forked, may share it.

    Raises `ArchiveError` for a file that is damaged, cut short, no pack, or of a newer version.
    """

    def __init__(self, index: Path, name: str, shards: Callable[["Pack"], Shards]) -> None:
        self.name = name
        handle = Handle(index)
        self.rows, self.about, self.digest, end = _read_index(handle, name)
        alone = not self.about.shards
        self._ends = np.cumsum([end] if alone else [one.bytes for one in self.about.shards])
        try:
            sound = self._is_sound(len(MAGIC) if alone else 0)
        except (TypeError, AttributeError):
            sound = False
        if not sound:
            raise self.damaged("its index contradicts itself")
        self._open = (lambda _: handle) if alone else shards(self).open

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def _places(self) -> tuple[np.ndarray, ...]:
        """File, start, size and checksum of each image."""
        start = self.rows["start"].astype(np.int64)
        file = np.searchsorted(self._ends, start, "right")
        before = np.append(0, self._ends[:-1])[file]
        return file, start - before, self.rows["size"].astype(np.int64), self.rows["crc"].copy()

    def read(self, row: int) -> bytes:
        """Returns the bytes of an image; raises `ArchiveError` if they are not those that were packed."""
        file, start, size, crc = (int(column[row]) for column in self._places)
        handle = self._open(file)  # held, so that it stays open
        data = os.pread(handle.number, size, start)
        if len(data) != size or zlib.crc32(data) != crc:
            raise self.damaged(
                f"image {visible(self.about.ids[row])}: its bytes are not those packed"
            )
        return data

    def image(self, row: int) -> bytes | np.ndarray:
        """Returns what the decoder reads: the bytes of a JPEG, or pixels."""
        data = self.read(row)
        if not self.about.raw:
            return data
        side = self.about.rule.store
        return np.frombuffer(data, np.uint8).reshape(side, side, 3)

    def damaged(self, detail: str) -> ArchiveError:
        return ArchiveError(visible(self.name), "pack_damaged", detail)

    def _is_sound(self, first: int) -> bool:
        """Whether the index leads to nothing but its files, and has a text for each image."""
        rows, about, count = self.rows, self.about, len(self.rows)
        start, size = rows["start"].astype(np.float64), rows["size"].astype(np.float64)
        file = np.minimum(np.searchsorted(self._ends, rows["start"], "right"), len(self._ends) - 1)
        groups = about.groups or []
        texts = [*about.classes, *about.ids, *groups, *about.merged]
        return all(
            (
                isinstance(about.corrections, dict),
                len(about.ids) == count and len(groups) in (0, count),
                all(isinstance(text, str) for text in texts),
                (start >= first).all() and (start + size <= self._ends[file]).all(),
                (rows["size"] > 0).all(),
                ((rows["label"] >= -1) & (rows["label"] < len(about.classes))).all(),
                (rows["split"] < len(SPLITS)).all(),
                not about.raw or (rows["size"] == 3 * about.rule.store**2).all(),
            )
        )


def _read_index(handle: Handle, name: str) -> tuple[np.ndarray, About, str, int]:
    """Returns the rows, what is common to them, their sha256, and where the images end."""

    def refused(code: str, detail: str) -> ArchiveError:
        return ArchiveError(visible(name), code, detail)

    total = os.fstat(handle.number).st_size
    head = os.pread(handle.number, len(MAGIC), 0)
    if head != MAGIC:
        newer = head.startswith(b"SeeWhy pack ")
        raise refused(*(("pack_newer", "update SeeWhy") if newer else ("pack_foreign", "no pack")))
    tail = os.pread(handle.number, _END.size, max(total - _END.size, 0))
    start, count, length, sha256, magic = _END.unpack(tail.rjust(_END.size, b"\0"))
    if magic != MAGIC or start + count * ROW.itemsize + length + _END.size != total:
        raise refused("pack_damaged", "its end is missing: copy or pack it again")
    index = _read(handle, start, total - _END.size)
    if hashlib.sha256(index).digest() != sha256:
        raise refused("pack_damaged", "its index is not the one written: copy or pack it again")
    rows = np.frombuffer(index, ROW, count)
    try:
        facts = json.loads(index[count * ROW.itemsize :])
        rule = InputRule(**facts.pop("rule"))
        shards = [from_json(Shard, one) for one in facts.pop("shards")]
        about = About(rule=rule, shards=shards, **facts)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise refused("pack_damaged", "its index is not readable") from None
    return rows, about, sha256.hex(), start


def _read(handle: Handle, start: int, stop: int) -> bytes:
    """Returns a part of a file; one `pread` gives at most 2 GB."""
    blocks = []
    while start < stop and (block := os.pread(handle.number, min(stop - start, 1 << 30), start)):
        blocks.append(block)
        start += len(block)
    return b"".join(blocks)


# ------------------------------------------------------------------ writing


class Writer:
    """A pack that is being written."""

    def __init__(self, opened: Callable[[int], BinaryIO], shard_bytes: int | None) -> None:
        self._opened, self._shard_bytes = opened, shard_bytes
        self._file = opened(0)
        self._at = 0 if shard_bytes else self._file.write(MAGIC)
        self._rows = bytearray()
        self._shards: list[Shard] = []
        self._begin()

    def _begin(self) -> None:
        self._first, self._digest = self._at, hashlib.sha256()

    def add(
        self, data: bytes, digest: bytes, size: tuple[int, int], label: int, split: str
    ) -> None:
        """Adds an image: its bytes, and the hash and the size of that which it was made from."""
        full = self._shard_bytes and self._at - self._first + len(data) > self._shard_bytes
        if full and self._at > self._first:
            self._end_shard()
            self._file = self._opened(len(self._shards))
            self._begin()
        self._file.write(data)
        if self._shard_bytes:
            self._digest.update(data)
        crc, number = zlib.crc32(data), SPLITS.index(split)
        self._rows += _PACKED.pack(self._at, len(data), crc, digest, *size, label, number)
        self._at += len(data)

    def __len__(self) -> int:
        return len(self._rows) // ROW.itemsize

    def _end_shard(self) -> None:
        self._shards.append(Shard(self._at - self._first, self._digest.hexdigest()))

    def finish(self, about: About, labels: np.ndarray) -> None:
        """Writes the index; `labels` are the class of each label number that was added."""
        rows = np.frombuffer(self._rows, ROW)
        rows["label"] = labels[rows["label"]]
        start, file = self._at, self._file
        if self._shard_bytes:
            self._end_shard()
            about.shards.extend(self._shards)
            file = self._opened(-1)
            start = file.write(MAGIC)
        facts = json.dumps(to_json(about), allow_nan=False).encode("ascii")
        sha256 = hashlib.sha256(self._rows + facts).digest()
        file.write(self._rows + facts)
        file.write(_END.pack(start, len(rows), len(facts), sha256, MAGIC))


@contextmanager
def new_pack(out: Path, shard_bytes: int | None = None) -> Iterator[Writer]:
    """Yields a pack to be written; it is at `out` when the block succeeds, whole or not at all.

    With `shard_bytes` it is a folder, whose files of images have at most so many bytes, or one image.
    Raises `UsageError` if `out` exists, also where it was made meanwhile.
    """
    require_new(out)
    if shard_bytes is None:
        clear_temporaries(
            out.parent, f".{escape(out.name)}.*.tmp", below=False
        )  # large, if it was killed
        with atomic_file(out) as file:
            yield Writer(lambda _: file, None)
            require_new(out)
        return
    with atomic_directory(out, hidden=True) as folder, ExitStack() as files:

        def opened(number: int) -> BinaryIO:
            files.close()  # the one before
            name = INDEX if number < 0 else shard_name(number)
            return files.enter_context(open(folder / name, "wb"))

        yield Writer(opened, shard_bytes)


def shard_name(number: int) -> str:
    return f"{number:05}.shard"
