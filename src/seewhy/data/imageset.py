"""Labelled images at their stored size, and subsets that copy no pixels."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from seewhy.data.packed import PackedImages

CHUNK_BYTES = 8 << 20  # of images processed together; about ten times as much is in memory then


class Stack:
    """Arrays of equal rows, read as one: the rows of the first, then those of the second, ..."""

    def __init__(self, parts: Sequence[np.ndarray]) -> None:
        self.parts = parts
        self._starts = np.cumsum([0, *map(len, parts)])
        self.shape = (int(self._starts[-1]), *parts[0].shape[1:])
        self.dtype, self.ndim = parts[0].dtype, parts[0].ndim

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Returns a row, or a copy of the rows in an array."""
        number = np.searchsorted(self._starts, rows, "right") - 1
        if np.ndim(rows) == 0:
            return np.asarray(self.parts[number][rows - self._starts[number]])
        picked = np.empty((len(rows), *self.shape[1:]), self.dtype)
        for part in np.unique(number):
            mine = number == part
            picked[mine] = self.parts[part][rows[mine] - self._starts[part]]
        return picked


class Rows:
    """A read-only view of some rows of an array, in any order.

    Indexing copies only the rows that are requested, so a memory-mapped file is never read whole.
    """

    def __init__(self, base: "np.ndarray | Stack | PackedImages", rows: np.ndarray) -> None:
        assert rows.dtype.kind in "iu", rows.dtype
        self.base, self.rows = base, rows

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.base.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.base.dtype

    @property
    def ndim(self) -> int:
        return self.base.ndim

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Any) -> np.ndarray:
        if not isinstance(key, tuple):
            key = (key,)
        picked = self.base[self.rows[key[0]]]
        if isinstance(key[0], (int, np.integer)):
            return picked[key[1:]]
        return picked[(slice(None), *key[1:])]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self.base[self.rows], dtype=dtype)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Labelled images.

    images: uint8 `(N, S, S, 3)` at the stored size, an array or `Rows` of one.
    labels: int64 `(N,)`, indices into `classes`; -1 is no class.
    ids: str `(N,)`, the path below the source or the row in it.
    hashes: bytes `(N,)`, 32 hex digits of each whole image (`decode.content_hash`).
    groups: str `(N,)` or None; images of one group are kept together in one split, "" is no group.
    sizes: int32 `(N, 2)` or None, width and height of each whole image in pixels.
    """

    images: np.ndarray | Rows
    labels: np.ndarray
    classes: tuple[str, ...]
    ids: np.ndarray
    hashes: np.ndarray
    groups: np.ndarray | None = None
    sizes: np.ndarray | None = None

    def __post_init__(self) -> None:
        assert len(self.images) == len(self.labels) == len(self.ids) == len(self.hashes)
        assert self.groups is None or len(self.groups) == len(self.labels)
        assert self.sizes is None or self.sizes.shape == (len(self.labels), 2)
        assert self.labels.dtype == np.int64 and self.images.dtype == np.uint8

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> "ImageSet":
        """Returns these rows (indices or a mask), in this order, without copying pixels."""
        index = np.arange(len(self))[rows]
        own = (
            self.images
            if isinstance(self.images, Rows)
            else Rows(self.images, np.arange(len(self)))
        )
        columns = {name: column[index] for name, column in self._columns.items()}
        return replace(self, images=Rows(own.base, own.rows[index]), **columns)

    def drawn_rows(self, count: int) -> np.ndarray:
        """The rows of `count` images, drawn alike each time and in order; of all if it has fewer."""
        return np.sort(np.random.default_rng(0).permutation(len(self))[:count])

    def joined(self, other: "ImageSet") -> "ImageSet":
        """Appends another part of the same set, without copying pixels."""
        mine, others = self.images, other.images
        assert isinstance(mine, Rows) and isinstance(others, Rows) and mine.base is others.base
        pairs = {name: [column, other._columns[name]] for name, column in self._columns.items()}
        columns: dict[str, Any] = {name: np.concatenate(pair) for name, pair in pairs.items()}
        return replace(
            self, images=Rows(mine.base, np.concatenate([mine.rows, others.rows])), **columns
        )

    @property
    def _columns(self) -> dict[str, Any]:
        """All that there is one of for each image, except the images."""
        columns = {
            name: getattr(self, name) for name in ("labels", "ids", "hashes", "groups", "sizes")
        }
        return {name: column for name, column in columns.items() if column is not None}

    def expect(self, rows: np.ndarray, place: int = 0) -> None:
        """Says which rows are read soon: those of a pack are decoded meanwhile.

        They replace those that were expected at the same `place` before.
        """
        own = self.images
        if isinstance(own, Rows) and not isinstance(own.base, np.ndarray | Stack):
            own.base.expect(own.rows[rows], place)

    def chunks(self) -> Iterator[np.ndarray]:
        """Yields the images in order, in chunks, uint8 `(n, S, S, 3)`."""
        step = max(1, CHUNK_BYTES // max(1, self.images[:1].nbytes))
        for start in range(0, len(self), step):
            yield self.images[start : start + step]

    @property
    def counts(self) -> np.ndarray:
        """Number of images of each class, int64 `(K,)`."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits: sha256 of the sorted (content hash, class name) pairs.

        It depends neither on the order of the images nor on their names.
        """
        names = [*(name.encode("utf-8", "surrogateescape") for name in self.classes), b""]
        pairs = zip(self.hashes.tolist(), self.labels.tolist(), strict=True)
        lines = sorted(digest + b" " + names[label] for digest, label in pairs)
        return hashlib.sha256(b"\n".join(lines)).hexdigest()


def numbered(groups: np.ndarray) -> np.ndarray:
    """Returns a number for each group, int64 `(N,)`, and one for each image of no group."""
    numbers: np.ndarray = np.unique(groups, return_inverse=True)[1]
    alone = groups == ""
    numbers[alone] = len(groups) + np.arange(np.count_nonzero(alone))
    return numbers
