"""The colours of a set of images, which networks are centred by. Loads no torch."""

from typing import Protocol

import numpy as np

CHUNK_BYTES = 2**24  # of images read at a time; ten times as much is in memory then


class Images(Protocol):
    """uint8 `(N, H, W, 3)` with `len` and slices: an array or a lazy view."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: slice, /) -> np.ndarray: ...


def channel_statistics(images: Images) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and std `(3,)` over all pixels, in [0, 1], as float64."""
    assert len(images) > 0
    chunk = max(1, CHUNK_BYTES // images[:1].nbytes)
    total, squares, pixels = np.zeros(3, np.int64), np.zeros(3, np.int64), 0
    for start in range(0, len(images), chunk):
        rows = images[start : start + chunk]
        values = rows.reshape(len(rows), -1).astype(np.uint16)  # holds 255 squared
        total += values.sum(0, dtype=np.uint64).reshape(-1, 3).sum(0, dtype=np.int64)
        np.square(values, out=values)
        squares += values.sum(0, dtype=np.uint64).reshape(-1, 3).sum(0, dtype=np.int64)
        pixels += rows.size // 3
    mean = total / pixels
    return mean / 255, np.sqrt(np.maximum(squares / pixels - mean**2, 0)) / 255
