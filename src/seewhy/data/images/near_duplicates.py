"""Near-duplicates: a descriptor finds candidate pairs, and a comparison of pixels confirms them.

The descriptor is a perceptual hash that is not rounded to bits: the 63 lowest frequencies of an image's
grey levels (DCT), each weighted by its frequency because natural images have less of the higher ones, as
a vector of length 1. Of CIFAR-10's pairs 5 in a million have a cosine above `CANDIDATE`. Each of these is
then compared, and confirmed if the grey levels agree in three quarters of the parts of the image and in
its centre, shifted by up to a pixel of 32. Brightness, contrast and colour have no influence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from seewhy.events import OnEvent, Progress, ignore

SMALLEST = 16  # pixels a side; smaller images have too little detail to be compared
CANDIDATE = 0.8  # cosine of two descriptors; of unrelated images it has a std of 0.16
CONFIRMED = 0.8  # agreement of grey levels, of 1
CROWD = 10  # near-duplicates per image; with more, all images are similar, or there are many copies

_LOW, _SIDE, _PARTS = 8, 32, 4
_FLAT = 0.02  # variance of two parts, of 2 for the two images; less is sky or paper, and noise
_BLOCK, _STRIPE, _CHUNK = 1024, 8192, 512
_SAMPLE = 2_000
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # grey of RGB, ITU-R BT.601


@dataclass(frozen=True, eq=False)
class Pairs:
    """Near-duplicates: rows `(M, 2)`, the lower first, agreement `(M,)`, whether mirrored `(M,)`.

    `crowd` is the mean number of near-duplicates per image if these are too many to be listed; the pairs
    are then those of a sample.
    """

    rows: np.ndarray
    agreement: np.ndarray
    mirrored: np.ndarray
    crowd: float | None = None


def describe(images: np.ndarray) -> np.ndarray:
    """Returns the descriptors, float32 `(N, 63)`, of uint8 images `(N, S, S, 3)`, S >= `SMALLEST`."""
    cosines = waves(images.shape[1], _LOW)
    frequency = np.hypot(*np.mgrid[:_LOW, :_LOW]).astype(np.float32)
    spectrum = (cosines @ (images @ LUMA) @ cosines.T) * frequency
    vectors = spectrum.reshape(len(images), -1)[:, 1:]
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-6), np.float32)


def look(images: np.ndarray) -> np.ndarray:
    """Returns grey levels, float32 `(N, s, s)`, s at most 32, of mean 0 and standard deviation 1."""
    side = min(images.shape[1], _SIDE)
    small = waves(side, side).T @ waves(images.shape[1], side)
    grey = small @ (images @ LUMA) @ small.T
    grey -= grey.mean((1, 2), keepdims=True)
    return np.asarray(grey / (grey.std((1, 2), keepdims=True) + 1e-3), np.float32)


def agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the agreement of two results of `look`, `(N,)`, at most 1: the best of nine shifts by a pixel.

    It is the lower quartile over the 4x4 parts that are not flat, and at most that of the centre, so
    that a common frame or horizon is not enough.
    """
    side = first.shape[1] - 2
    inner = first[:, 1:-1, 1:-1]
    shifts = [(y, x) for y in range(3) for x in range(3)]
    shifted = (second[:, y : y + side, x : x + side] for y, x in shifts)
    return np.max([_agreement(inner, other) for other in shifted], axis=0)


def near_pairs(
    vectors: np.ndarray,
    looks: Callable[[np.ndarray], np.ndarray],
    on_event: OnEvent = ignore,
) -> Pairs:
    """Finds all near-duplicates, also mirrored ones, among descriptors `(N, 63)`.

    `looks(rows)` returns the result of `look` for these rows. All pairs are compared, so the time grows
    with the square of N: 20 s for 60,000 on one core.
    """
    count = len(vectors)
    sample = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
    candidates = np.concatenate(list(_candidates(vectors[sample])), axis=0)
    crowd = _crowd(len(candidates), len(sample), count)
    if crowd > CROWD:
        some = candidates[:: -(-len(candidates) // _SAMPLE)]
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
    """Whether `count` images are all similar, judged by the descriptors `(N, 63)` of a sample.

    If they are, two similar images need not be copies.
    """
    return _crowd(sum(map(len, _candidates(sample))), len(sample), count) > CROWD


def _crowd(pairs: int, sample: int, count: int) -> float:
    """The number of near-duplicates of each of `count` images, estimated from the pairs in a sample."""
    return 2 * pairs / max(sample * (sample - 1), 1) * (count - 1)


def _candidates(vectors: np.ndarray) -> Iterator[np.ndarray]:
    """Yields for each block of rows the candidate pairs `(M, 2)`, lower row first.

    Mirroring changes the sign of the horizontally odd frequencies, so the larger of the two cosines is
    the even part plus the absolute value of the odd part.
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
    agreements = np.empty(len(rows))
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        one, other = looks(rows[part, 0]), looks(rows[part, 1])
        other = np.where(mirrored[part, None, None], other[:, :, ::-1], other)
        agreements[part] = agreement(one, other)
    kept = agreements >= CONFIRMED
    return Pairs(rows[kept], agreements[kept], mirrored[kept], crowd)


def _agreement(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    parts, weight = _correlation(_cut(first), _cut(second))
    parts = np.sort(np.where(weight < _FLAT, np.nan, parts), axis=1)  # flat ones come last
    textured = np.count_nonzero(weight >= _FLAT, axis=1)
    quartile = np.take_along_axis(parts, (np.maximum(textured - 1, 0) // 4)[:, None], axis=1)[:, 0]
    quarter = first.shape[1] // 4
    middle = slice(quarter, first.shape[1] - quarter)
    centres = (side[:, middle, middle].reshape(len(side), -1) for side in (first, second))
    return np.asarray(np.where(textured > 0, np.minimum(quartile, _correlation(*centres)[0]), -1))


def _correlation(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the agreement of values along the last axis, and the sum of their variances."""
    first, second = (side - side.mean(-1, keepdims=True) for side in (first, second))
    weight = np.square(first).mean(-1) + np.square(second).mean(-1)
    return 2 * (first * second).mean(-1) / np.maximum(weight, 1e-9), weight


def _cut(looks: np.ndarray) -> np.ndarray:
    """Cuts images `(N, s, s)` into 4x4 parts `(N, 16, pixels)`; remaining pixels are dropped."""
    side = looks.shape[1] // _PARTS
    whole = looks[:, : side * _PARTS, : side * _PARTS].reshape(-1, _PARTS, side, _PARTS, side)
    return whole.swapaxes(2, 3).reshape(len(looks), _PARTS**2, side**2)


def _odd() -> np.ndarray:
    """Says for each value of a descriptor whether its horizontal wave is odd."""
    return np.tile(np.arange(_LOW) % 2 == 1, _LOW)[1:]


@lru_cache
def waves(side: int, count: int) -> np.ndarray:
    """Returns the first `count` waves of the orthonormal DCT-II over `side` pixels, `(count, side)`."""
    place = (np.arange(side) + 0.5) * np.pi / side
    cosines = np.cos(np.arange(count)[:, None] * place) * np.sqrt(2 / side)
    cosines[0] /= np.sqrt(2)
    return cosines.astype(np.float32)
