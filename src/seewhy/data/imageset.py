"""Labelled pictures at their stored size, and parts of them that copy nothing."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

CHUNK_BYTES = 8 << 20  # of pictures worked on together; some ten times as much is in memory then


class Rows:
    """Some rows of an array, in an order of their own, as an array to read: a part without a copy.

    Indexing copies only what is asked for, so a file mapped into memory is never read whole.
    """

    def __init__(self, base: np.ndarray, rows: np.ndarray) -> None:
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
    """Labelled pictures.

    images: uint8 `(N, S, S, 3)` at the stored size, an array or `Rows` of one.
    labels: int64 `(N,)`, indices into `classes`; -1 is none.
    ids: str `(N,)`, the path below the source or the row in it.
    hashes: bytes `(N,)`, 32 hex digits of each whole picture (`decode.content_hash`).
    groups: str `(N,)` or None; pictures of one group are never parted by a split, "" is no group.
    sizes: int32 `(N, 2)` or None, width and height of each whole picture in pixels.
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
        """Returns these rows (indices or a mask), in this order, without copying a picture."""
        index = np.arange(len(self))[rows]
        if isinstance(self.images, Rows):
            images = Rows(self.images.base, self.images.rows[index])
        else:
            images = Rows(self.images, index)
        return replace(
            self,
            images=images,
            labels=self.labels[index],
            ids=self.ids[index],
            hashes=self.hashes[index],
            groups=None if self.groups is None else self.groups[index],
            sizes=None if self.sizes is None else self.sizes[index],
        )

    def joined(self, other: "ImageSet") -> "ImageSet":
        """Returns these pictures and then those of another part of the same set, without copying one."""
        mine, others = self.images, other.images
        assert isinstance(mine, Rows) and isinstance(others, Rows) and mine.base is others.base

        def both(one: np.ndarray | None, two: np.ndarray | None) -> np.ndarray | None:
            return None if one is None or two is None else np.concatenate([one, two])

        return ImageSet(
            images=Rows(mine.base, np.concatenate([mine.rows, others.rows])),
            labels=np.concatenate([self.labels, other.labels]),
            classes=self.classes,
            ids=np.concatenate([self.ids, other.ids]),
            hashes=np.concatenate([self.hashes, other.hashes]),
            groups=both(self.groups, other.groups),
            sizes=both(self.sizes, other.sizes),
        )

    def chunks(self) -> Iterator[np.ndarray]:
        """Yields the pictures in order, some at a time, uint8 `(n, S, S, 3)`."""
        step = max(1, CHUNK_BYTES // max(1, self.images[:1].nbytes))
        for start in range(0, len(self), step):
            yield self.images[start : start + step]

    @property
    def counts(self) -> np.ndarray:
        """Pictures of each class, int64 `(K,)`."""
        return np.bincount(self.labels[self.labels >= 0], minlength=len(self.classes))

    @cached_property
    def fingerprint(self) -> str:
        """64 hex digits: sha256 of the sorted (content hash, class name) pairs.

        Neither the order of the pictures nor their names count.
        """
        names = [*(name.encode("utf-8", "surrogateescape") for name in self.classes), b""]
        pairs = zip(self.hashes.tolist(), self.labels.tolist(), strict=True)
        lines = sorted(digest + b" " + names[label] for digest, label in pairs)
        return hashlib.sha256(b"\n".join(lines)).hexdigest()
