"""How alike pictures look: a descriptor that finds the pairs, and pixels that confirm them.

The descriptor is a perceptual hash that is not rounded to bits: the 63 lowest frequencies of a picture's
grey levels (DCT), each weighted by its frequency because nature's fall off with it, as a vector of length
1. Of CIFAR-10's pairs 5 in a million have a cosine above `CANDIDATE`. Each of these is then looked at,
and confirmed where the grey levels agree in three quarters of all parts of the picture and in its middle,
shifted by up to a pixel of 32. Light, contrast and colour play no part.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from seewhy.events import OnEvent, Progress, ignore

SMALLEST = 16  # pixels a side; what is smaller has too little detail to tell pictures apart
CANDIDATE = (
    0.8  # cosine of two descriptors; pictures that have nothing to do with one another: 0.16 (sd)
)
CONFIRMED = 0.8  # agreement of grey levels, of 1
CROWD = 10  # look-alikes a picture; with more, pictures are alike by nature, or many times there

_LOW, _SIDE, _PARTS = 8, 32, 4
_FLAT = 0.02  # variance of two parts, of 2 for the two pictures; less is sky or paper, and noise
_BLOCK, _STRIPE, _CHUNK = 1024, 8192, 512
_SAMPLE = 2_000
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # grey of RGB, ITU-R BT.601


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs that look alike: rows `(M, 2)`, the lower first, agreement `(M,)`, whether mirrored `(M,)`.

    `crowd` is how many look-alikes a picture has on average where these are too many to be looked at;
    the pairs are then those of a sample.
    """

    rows: np.ndarray
    agreement: np.ndarray
    mirrored: np.ndarray
    crowd: float | None = None


def describe(images: np.ndarray) -> np.ndarray:
    """Returns the descriptors, float32 `(N, 63)`, of uint8 pictures `(N, S, S, 3)`, S >= `SMALLEST`."""
    cosines = waves(images.shape[1], _LOW)
    frequency = np.hypot(*np.mgrid[:_LOW, :_LOW]).astype(np.float32)
    spectrum = (cosines @ (images @ LUMA) @ cosines.T) * frequency
    vectors = spectrum.reshape(len(images), -1)[:, 1:]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-6), np.float32)


def look(images: np.ndarray) -> np.ndarray:
    """Returns grey levels, float32 `(N, s, s)`, s at most 32, of mean 0 and deviation 1."""
    side = min(images.shape[1], _SIDE)
    small = waves(side, side).T @ waves(images.shape[1], side)
    grey = small @ (images @ LUMA) @ small.T
    grey -= grey.mean((1, 2), keepdims=True)
    return np.asarray(grey / (grey.std((1, 2), keepdims=True) + 1e-3), np.float32)


def agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns how far two looks agree, `(N,)`, at most 1: at the best of nine shifts by a pixel.

    It is the lower quartile over 4x4 parts that are not flat, and no more than that of the middle, so
    that neither a frame nor a horizon makes two pictures one.
    """
    side = first.shape[1] - 2
    inner = first[:, 1:-1, 1:-1]
    shifts = [(y, x) for y in range(3) for x in range(3)]
    return np.max(
        [_agreement(inner, second[:, y : y + side, x : x + side]) for y, x in shifts], axis=0
    )


def near_pairs(
    vectors: np.ndarray,
    looks: Callable[[np.ndarray], np.ndarray],
    on_event: OnEvent = ignore,
) -> Pairs:
    """Finds all pairs of pictures that look alike, as they are or mirrored, among descriptors `(N, 63)`.

    `looks(rows)` gives what `look` gives of these rows. No pair is missed for speed; work grows with
    the square of N: 20 s for 60,000 on one core.
    """
    count = len(vectors)
    sample = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
    found = np.concatenate(list(_candidates(vectors[sample])), axis=0)
    crowd = _crowd(len(found), len(sample), count)
    if crowd > CROWD:
        some = found[:: -(-len(found) // _SAMPLE)]
        return _confirmed(vectors, looks, sample[some], crowd)
    parts = []
    for start, rows in zip(range(0, count, _BLOCK), _candidates(vectors), strict=True):
        parts.append(_confirmed(vectors, looks, rows))
        on_event(Progress("comparing", min(start + _BLOCK, count), count))
    return Pairs(
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.agreement for part in parts]),
        np.concatenate([part.mirrored for part in parts]),
    )


def are_crowded(sample: np.ndarray, count: int) -> bool:
    """Whether `count` pictures are alike by nature, as these descriptors `(N, 63)` of some of them tell.

    Then that two of them look alike does not make them one picture.
    """
    found = sum(len(pairs) for pairs in _candidates(sample))
    return _crowd(found, len(sample), count) > CROWD


def _crowd(found: int, sample: int, count: int) -> float:
    """How many look-alikes each of `count` pictures has, where a sample has `found` pairs of them."""
    return 2 * found / max(sample * (sample - 1), 1) * (count - 1)


def _candidates(vectors: np.ndarray) -> Iterator[np.ndarray]:
    """Yields for each block of rows the pairs `(M, 2)`, lower row first, that may look alike.

    A mirror changes the sign of the frequencies that are odd across, so the larger of the two cosines
    is the even part plus the odd one without its sign.
    """
    odd = _odd()
    evens, odds = (np.ascontiguousarray(vectors[:, part]) for part in (~odd, odd))
    for start in range(0, len(vectors), _BLOCK):
        parts = [np.empty((0, 2), np.int64)]
        rows = slice(start, start + _BLOCK)
        for stripe in range(start, len(vectors), _STRIPE):
            columns = slice(stripe, stripe + _STRIPE)
            cosine = odds[rows] @ odds[columns].T
            np.abs(cosine, out=cosine)
            cosine += evens[rows] @ evens[columns].T
            pairs = np.argwhere(cosine > CANDIDATE) + (start, stripe)
            parts.append(pairs[pairs[:, 0] < pairs[:, 1]])
        yield np.concatenate(parts)


def _confirmed(
    vectors: np.ndarray,
    looks: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
    crowd: float | None = None,
) -> Pairs:
    first, second = vectors[rows[:, 0]], vectors[rows[:, 1]]
    mirrored = (first * second)[:, _odd()].sum(1) < 0
    found = np.empty(len(rows))
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        one, other = looks(rows[part, 0]), looks(rows[part, 1])
        other = np.where(mirrored[part, None, None], other[:, :, ::-1], other)
        found[part] = agreement(one, other)
    kept = found >= CONFIRMED
    return Pairs(rows[kept], found[kept], mirrored[kept], crowd)


def _agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    parts, weight = _correlation(_cut(first), _cut(second))
    parts = np.sort(
        np.where(weight < _FLAT, np.nan, parts), axis=1
    )  # those that are flat come last
    textured = np.count_nonzero(weight >= _FLAT, axis=1)
    quartile = np.take_along_axis(parts, (np.maximum(textured - 1, 0) // 4)[:, None], axis=1)[:, 0]
    quarter = first.shape[1] // 4
    middle = slice(quarter, first.shape[1] - quarter)
    centres = (side[:, middle, middle].reshape(len(side), -1) for side in (first, second))
    return np.asarray(np.where(textured > 0, np.minimum(quartile, _correlation(*centres)[0]), -1))


def _correlation(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns how far values along the last axis agree, and the sum of their variances."""
    first, second = (side - side.mean(-1, keepdims=True) for side in (first, second))
    weight = np.square(first).mean(-1) + np.square(second).mean(-1)
    return 2 * (first * second).mean(-1) / np.maximum(weight, 1e-9), weight


def _cut(looks: np.ndarray) -> np.ndarray:
    """Cuts pictures `(N, s, s)` into 4x4 parts `(N, 16, pixels)`; what is left over at the end is dropped."""
    side = looks.shape[1] // _PARTS
    whole = looks[:, : side * _PARTS, : side * _PARTS].reshape(-1, _PARTS, side, _PARTS, side)
    return whole.swapaxes(2, 3).reshape(len(looks), _PARTS**2, side**2)


def _odd() -> np.ndarray:
    """Says of each value of a descriptor whether its wave across is odd."""
    return np.tile(np.arange(_LOW) % 2 == 1, _LOW)[1:]


@lru_cache
def waves(side: int, count: int) -> np.ndarray:
    """Returns the first `count` waves of the orthonormal DCT-II over `side` pixels, `(count, side)`."""
    place = (np.arange(side) + 0.5) * np.pi / side
    cosines = np.cos(np.arange(count)[:, None] * place) * np.sqrt(2 / side)
    cosines[0] /= np.sqrt(2)
    return cosines.astype(np.float32)
