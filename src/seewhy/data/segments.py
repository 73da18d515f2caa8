"""Decoded images in the cache, each kept once, however many sets it is in.

    pixels/<rule>/<segment>/    images.npy facts.npy checksums.json stamps.json

A segment holds what one reading of a source added. It never changes; it is removed when no set uses it, and
nothing is being read (`cache_sets.adding`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple
from uuid import uuid4

import numpy as np

from seewhy.data.checksums import intact, write_checksums
from seewhy.data.imageset import CHUNK_BYTES, Rows, Stack
from seewhy.files import atomic_directory

MOST = 32  # segments of one set, since each is an open file


class Facts(NamedTuple):
    """What is known of an image: 32 hex digits of the bytes that it was decoded from, the hash of the
    whole image (`decode.content_hash`), and its width and height."""

    source: bytes
    hash: bytes
    width: int
    height: int


_FACTS = np.dtype([("source", "S32"), ("hash", "S32"), ("width", "<i4"), ("height", "<i4")])


def open_images(segments: Sequence[Path], rows: np.ndarray) -> np.ndarray | Rows | None:
    """Returns these rows of the images in segments; None if a segment is missing or damaged."""
    if not all(map(intact, segments)):
        return None
    images = _stacked(segments)
    in_order = len(rows) == len(images) and np.array_equal(rows, np.arange(len(rows)))
    return images if isinstance(images, np.ndarray) and in_order else Rows(images, rows)


def _stacked(segments: Sequence[Path]) -> np.ndarray | Stack:
    files = [np.load(path / "images.npy", mmap_mode="r", allow_pickle=False) for path in segments]
    images = [np.asarray(file) for file in files]
    return images[0] if len(images) == 1 else Stack(images)


class Segment:
    """A segment that is being written."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self._file = path, file
        self.facts: list[Facts] = []

    def add(self, pixels: np.ndarray, facts: Facts) -> None:
        self._file.write(pixels.tobytes())
        self.facts.append(facts)


@contextmanager
def new_segment(home: Path, side: int) -> Iterator[Segment]:
    """Yields a segment to add images of `side` pixels to; nothing is kept after an error, or of no image."""
    path = home / uuid4().hex
    with suppress(_NothingAddedError), atomic_directory(path) as directory:
        with open(directory / "images.npy", "wb") as file:
            _write_header(file, 0, side)
            start = file.tell()
            segment = Segment(path, file)
            yield segment
            file.seek(0)
            _write_header(file, len(segment.facts), side)
            assert file.tell() == start, "the header of an .npy grew"
        if not segment.facts:
            raise _NothingAddedError
        np.save(directory / "facts.npy", np.array(segment.facts, _FACTS))
        write_checksums(directory)


class _NothingAddedError(Exception):
    """A new segment holds no image."""


def _write_header(file: BinaryIO, rows: int, side: int) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (rows, side, side, 3)}
    np.lib.format.write_array_header_1_0(file, header)


class Pixels:
    """The images in all segments below `home`, and in the new one while a source is read.

    A row counts through all of these segments, the new one last.
    """

    def __init__(self, home: Path, new: Segment) -> None:
        self._home, self._new = home, new
        self._segments = [
            path for path in sorted(home.iterdir()) if path.suffix != ".tmp" and intact(path)
        ]
        stored = [np.load(path / "facts.npy", allow_pickle=False) for path in self._segments]
        self._starts = np.cumsum([0, *map(len, stored)])
        self._facts = np.concatenate([np.empty(0, _FACTS), *stored])
        self._order = np.argsort(self._facts["source"])
        self._sources = self._facts["source"][self._order]
        self._added: dict[bytes, int] = {}

    def find(self, source: bytes) -> int | None:
        """Returns the row of the image that was decoded from these bytes; None if there is none."""
        if source in self._added:
            return self._added[source]
        place = int(np.searchsorted(self._sources, source))
        there = place < len(self._sources) and self._sources[place] == source
        return int(self._order[place]) if there else None

    def facts(self, row: int) -> Facts:
        old = len(self._facts)
        return self._new.facts[row - old] if row >= old else Facts(*self._facts[row].tolist())

    def add(self, pixels: np.ndarray, facts: Facts) -> int:
        """Returns the row of an image, which is written if it is new."""
        row = self.find(facts.source)
        if row is None:
            row = self._added[facts.source] = len(self._facts) + len(self._new.facts)
            self._new.add(pixels, facts)
        return row

    def used(self, rows: np.ndarray) -> tuple[list[Path], np.ndarray]:
        """Returns the segments that hold these rows, and each row's place in them.

        To be called when the new segment is written. Copies the images into one segment if they are in
        more than `MOST`.
        """
        segments = [*self._segments, self._new.path]
        starts = np.append(self._starts, self._starts[-1] + len(self._new.facts))
        numbers, part = np.unique(np.searchsorted(starts, rows, "right") - 1, return_inverse=True)
        lengths = np.diff(starts)[numbers]
        places = rows - starts[numbers][part] + (np.cumsum(lengths) - lengths)[part]
        paths = [segments[number] for number in numbers]
        return (
            (paths, places) if len(paths) <= MOST else self._copied(_stacked(paths), rows, places)
        )

    def _copied(
        self, images: np.ndarray | Stack, rows: np.ndarray, places: np.ndarray
    ) -> tuple[list[Path], np.ndarray]:
        _, first, copy = np.unique(rows, return_index=True, return_inverse=True)
        side = images.shape[1]
        step = max(1, CHUNK_BYTES // (3 * side * side))
        with new_segment(self._home, side) as segment:
            for start in range(0, len(first), step):
                chunk = first[start : start + step]
                for row, pixels in zip(rows[chunk].tolist(), images[places[chunk]], strict=True):
                    segment.add(pixels, self.facts(row))
        return [segment.path], copy
