"""Near-duplicates: descriptors find candidate pairs, and a comparison of their detail confirms them.

The descriptor of an image is its spectrum: the 16x16 lowest frequencies of its grey levels (DCT). From it
follow those of its *views*: windows of it, and the image mirrored or turned, each described by its 35
lowest frequencies, weighted by frequency because natural images have less of the higher ones. Two images
are candidates if one looks like a view of the other, by the cosine of these. So copies are found that are
mirrored, turned by quarters or by up to some 12 degrees, framed, or cropped to two thirds of a side.
Candidates are aligned and confirmed by their detail (`alignment`). Brightness, contrast and colour have
no influence.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from seewhy.data.images.alignment import (
    Placement,
    agreement,
    correlation,
    joined,
    refined,
    without_smooth,
)
from seewhy.events import OnEvent, Progress, ignore

SMALLEST = 16  # pixels a side; smaller images have too little detail to be compared
CANDIDATE = 0.86  # cosine of two views; of a million pairs of CIFAR-10 and of views, one has more
CONFIRMED = 0.85  # agreement of details, of 1
CROWD = 10  # near-duplicates per image; with more, all images are similar, or there are many copies
MOST = 32  # candidates per image, the most similar ones

_WAVES, _LOW = 16, 6
_SIDE, _HALF = 64, 48  # largest side that is compared; from which half of it is compared first
_FLAT = 1.0  # std of grey levels without noise; less is paper or sky, and says nothing
_PROBES = 3  # clusters searched for each view
_COARSE = 0.74  # correlation of middle frequencies, aligned; less is no near-duplicate
_BLOCK, _CHUNK = 1024, 256
_CELLS = 4_000_000  # cosines held at once
_SAMPLE = 2_000
# Windows of an image: side, number of places a side, and distance of the farthest from the centre.
_WINDOWS = (0.92, 2, 0.02), (0.85, 3, 0.06), (0.77, 4, 0.09), (0.69, 5, 0.14)
_FOUND = np.dtype([("first", "i8"), ("second", "i8"), ("view", "i4"), ("cosine", "f4")])
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # grey of RGB, ITU-R BT.601


@dataclass(frozen=True, eq=False)
class Pairs:
    """Near-duplicates: rows `(M, 2)`, agreement `(M,)`, and how the second lies in the first.

    `crowd` is the mean number of near-duplicates per image if these are too many to be listed; the pairs
    are then those of a sample.
    """

    rows: np.ndarray
    agreement: np.ndarray
    placement: Placement
    crowd: float | None = None


def describe(images: np.ndarray) -> np.ndarray:
    """Returns the descriptors, float32 `(N, 256)`, of uint8 images `(N, S, S, 3)`, S >= `SMALLEST`.

    They have length 1, or 0 where an image is flat.
    """
    cosines = waves(images.shape[1], _WAVES)
    spectra = (cosines @ (images @ LUMA) @ cosines.T / images.shape[1]).reshape(len(images), -1)
    spectra[:, 0] = 0
    std = np.linalg.norm(spectra, axis=1, keepdims=True)
    return np.where(std < _FLAT, np.float32(0), spectra / np.maximum(std, 1e-6))


def look(images: np.ndarray) -> np.ndarray:
    """Returns grey levels without their mean, float32 `(N, s, s)`, s at most 64."""
    side = min(images.shape[1], _SIDE)
    small = waves(side, side).T @ waves(images.shape[1], side) * np.sqrt(side / images.shape[1])
    grey = small @ (images @ LUMA) @ small.T
    return np.asarray(grey - grey.mean((1, 2), keepdims=True), np.float32)


def near_pairs(
    spectra: np.ndarray, looks: Callable[[np.ndarray], np.ndarray], on_event: OnEvent = ignore
) -> Pairs:
    """Finds the near-duplicates among descriptors `(N, 256)`.

    `looks(rows)` returns the result of `look` for these rows. Each image is searched for in the clusters
    nearest to its views, so the time grows as N to the power of 1.5, and has `MOST` candidates at most, so
    that a set of similar images takes no longer.
    """
    count = len(spectra)
    sample = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64))
    some = _crowd(spectra[sample], lambda rows: looks(sample[rows]), count)
    if some.crowd is not None and some.crowd > CROWD:
        return replace(some, rows=sample[some.rows])
    pairs, views = _candidates(spectra, on_event)
    return _confirmed(spectra, looks, pairs, views, on_event)


def are_crowded(spectra: np.ndarray, looks: Callable[[np.ndarray], np.ndarray], count: int) -> bool:
    """Whether `count` images are all similar, judged by a sample of them.

    If they are, two similar images need not be copies.
    """
    crowd = _crowd(spectra, looks, count).crowd
    return crowd is not None and crowd > CROWD


def are_near(
    spectra: tuple[np.ndarray, np.ndarray], looks: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Whether two images are near-duplicates, (N,), by descriptors `(N, 256)` and results of `look`."""
    near = np.zeros(len(spectra[0]), bool)
    for one, other in ((0, 1), (1, 0)):
        first, second = spectra[one], spectra[other]
        plain = _unit(second @ _maps()[0].T)
        cosines = np.stack([(_unit(first @ view.T) * plain).sum(1) for view in _maps()])
        rows = np.flatnonzero(cosines.max(0) > CANDIDATE)
        if not len(rows):
            continue
        placement, kept = _placed(first[rows], second[rows], cosines.argmax(0)[rows])
        rows = rows[kept]
        if len(rows):
            agreed = _compared(looks[one][rows], looks[other][rows], placement[kept])[0]
            near[rows] |= agreed >= CONFIRMED
    return near


def _crowd(spectra: np.ndarray, looks: Callable[[np.ndarray], np.ndarray], count: int) -> Pairs:
    """The near-duplicates in a sample of `count` images, and how many each of these has on average.

    Of many candidates some are compared, and stand for the others.
    """
    plain = _unit(spectra @ _maps()[0].T)
    pairs = np.argwhere(np.triu(plain @ plain.T > CANDIDATE, 1))
    some = pairs[:: -(-len(pairs) // _SAMPLE) or 1]
    found = _confirmed(spectra, looks, some, np.zeros(len(some), np.int64))
    similar = len(pairs) * len(found.rows) / max(len(some), 1)
    others = 2 * similar / max(len(spectra) * (len(spectra) - 1), 1)
    return replace(found, crowd=others * (count - 1))


def _confirmed(
    spectra: np.ndarray,
    looks: Callable[[np.ndarray], np.ndarray],
    pairs: np.ndarray,
    views: np.ndarray,
    on_event: OnEvent = ignore,
) -> Pairs:
    """The near-duplicates among pairs of which the second looks like a view of the first."""
    rows, agreements, placements = [pairs[:0]], [np.empty(0)], [_placement(views[:0])]
    for start in range(0, len(pairs), _CHUNK):
        part, view = pairs[start : start + _CHUNK], views[start : start + _CHUNK]
        placement, kept = _placed(spectra[part[:, 0]], spectra[part[:, 1]], view)
        part = part[kept]
        if not len(part):
            continue
        used, (first, second) = np.unique(part.T, return_inverse=True)
        seen = looks(used)
        agreed, placement = _compared(seen[first], seen[second], placement[kept])
        near = agreed >= CONFIRMED
        rows.append(part[near])
        agreements.append(agreed[near])
        placements.append(placement[near])
        on_event(Progress("comparing", min(start + _CHUNK, len(pairs)), len(pairs)))
    return Pairs(np.concatenate(rows), np.concatenate(agreements), joined(placements))


def _placed(
    first: np.ndarray, second: np.ndarray, views: np.ndarray
) -> tuple[Placement, np.ndarray]:
    """Aligns spectra by their middle frequencies; says which of them agree in these."""
    frequency = np.hypot(*np.mgrid[:_WAVES, :_WAVES])
    middle = (frequency * np.exp(-np.square(frequency / 9) / 2)).astype(np.float32)
    one, other = (
        waves(side, _WAVES).T @ (spectra.reshape(-1, _WAVES, _WAVES) * middle) @ waves(side, _WAVES)
        for spectra, side in ((first, 24), (second, _WAVES))
    )
    placement = refined(one, other, _placement(views), steps=1)
    return placement, correlation(one, other, placement) >= _COARSE


def _compared(
    first: np.ndarray, second: np.ndarray, placement: Placement
) -> tuple[np.ndarray, Placement]:
    """The agreement of results of `look`, (N,), and how the second then lies in the first."""
    agreed = np.zeros(len(first))
    rows = np.arange(len(first))
    if first.shape[1] >= _HALF:
        one, other = _half(first), _half(second)
        placement = refined(without_smooth(one), without_smooth(other), placement, steps=3)
        rows = np.flatnonzero(agreement(one, other, placement) >= CONFIRMED - 0.05)
    if len(rows):
        one, other = first[rows], second[rows]
        nearer = refined(without_smooth(one), without_smooth(other), placement[rows], steps=3)
        agreed[rows] = agreement(one, other, nearer)
        placement.centre[rows], placement.matrix[rows] = nearer.centre, nearer.matrix
    return agreed, placement


def _half(images: np.ndarray) -> np.ndarray:
    side = images.shape[1] // 2
    even = images[:, : 2 * side, : 2 * side]
    return np.asarray(even.reshape(-1, side, 2, side, 2).mean((2, 4)))


def _candidates(spectra: np.ndarray, on_event: OnEvent) -> tuple[np.ndarray, np.ndarray]:
    """Returns pairs `(M, 2)` of which the second looks like a view of the first, and the views `(M,)`.

    The views of an image are compared with the images of the clusters that they are nearest to.
    """
    rows = np.flatnonzero(spectra.any(axis=1))
    if len(rows) < 2:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64)
    maps = _maps()
    plain = np.concatenate([_unit(part @ maps[0].T) for part in _blocks(spectra[rows])])
    centres = _centres(plain)
    home = np.concatenate([_nearest(part, centres, 1)[:, 0] for part in _blocks(plain)])
    members = [np.flatnonzero(home == cluster) for cluster in range(len(centres))]
    found = [np.empty(0, _FOUND)]
    for block in _blocks(np.arange(len(rows))):
        views = _unit(
            (spectra[rows[block]] @ maps.reshape(-1, spectra.shape[1]).T).reshape(
                -1, plain.shape[1]
            )
        )
        near = _nearest(views, centres, _PROBES)
        order = np.argsort(near.ravel(), kind="stable")
        ends = np.searchsorted(near.ravel()[order], np.arange(len(centres) + 1))
        parts = [np.empty(0, _FOUND)]
        for cluster, own in enumerate(members):
            queries = order[ends[cluster] : ends[cluster + 1]] // near.shape[1]
            parts.append(_alike(views, queries, plain, own))
        alike = np.concatenate(parts)
        alike["first"] += block[0]
        found.append(_best(alike[alike["first"] != alike["second"]]))
        on_event(Progress("searching", int(block[-1]) + 1, len(rows)))
    return _once(np.concatenate(found), rows)


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    return (values[start : start + _BLOCK] for start in range(0, len(values), _BLOCK))


def _centres(plain: np.ndarray) -> np.ndarray:
    """The centres of up to sqrt(N) clusters of vectors `(N, 35)`, by three steps of k-means on a sample."""
    count = max(1, min(len(plain) // 256, int(np.sqrt(len(plain)))))
    sample = plain[:: max(1, len(plain) // (50 * count))]
    centres = sample[np.linspace(0, len(sample) - 1, count).astype(int)]
    for _ in range(3):
        home = (sample @ centres.T).argmax(1)
        sums = np.zeros_like(centres)
        np.add.at(sums, home, sample)
        centres = np.where(sums.any(1, keepdims=True), _unit(sums), centres)
    return centres


def _nearest(vectors: np.ndarray, centres: np.ndarray, most: int) -> np.ndarray:
    """The `most` nearest centres of each vector, (N, most)."""
    cosines = vectors @ centres.T
    nearest = np.empty((len(vectors), min(most, len(centres))), np.int32)
    for place in range(nearest.shape[1]):
        nearest[:, place] = cosines.argmax(1)
        cosines[np.arange(len(vectors)), nearest[:, place]] = -2
    return nearest


def _alike(
    views: np.ndarray, queries: np.ndarray, plain: np.ndarray, own: np.ndarray
) -> np.ndarray:
    """Which images `own` look like which of these views; of each view at most `MOST`."""
    images = plain[own]
    step = max(1, _CELLS // max(len(own), 1))
    parts = [np.empty(0, _FOUND)]
    for start in range(0, len(queries), step):
        some = queries[start : start + step]
        cosines = (views[some] @ images.T).ravel()
        at = np.flatnonzero(cosines > CANDIDATE)
        query, image = np.divmod(at, max(len(own), 1))
        found = np.empty(len(at), _FOUND)
        found["first"], found["view"] = np.divmod(some[query], len(_maps()))
        found["second"], found["cosine"] = own[image], cosines[at]
        if len(at) > MOST:
            order = np.lexsort((-cosines[at], query))
            starts = np.searchsorted(query, query)
            found = found[order[np.arange(len(at)) - starts < MOST]]
        parts.append(found)
    return np.concatenate(parts)


def _best(found: np.ndarray) -> np.ndarray:
    """The best view of each pair, and of each first image the `MOST` best pairs."""
    found = found[np.lexsort((-found["cosine"], found["second"], found["first"]))]
    pair = found[["first", "second"]]
    found = found[np.append(True, pair[1:] != pair[:-1])[: len(found)]]
    found = found[np.lexsort((-found["cosine"], found["first"]))]
    starts = np.searchsorted(found["first"], found["first"])
    return found[np.arange(len(found)) - starts < MOST]


def _once(found: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each pair once, in the direction that is more similar, by the rows of the images."""
    low = np.minimum(found["first"], found["second"])
    high = np.maximum(found["first"], found["second"])
    order = np.lexsort((-found["cosine"], high, low))
    low, high, found = low[order], high[order], found[order]
    new = np.append(True, (low[1:] != low[:-1]) | (high[1:] != high[:-1]))[: len(found)]
    pairs = np.stack([rows[found["first"][new]], rows[found["second"][new]]], axis=1)
    return pairs, found["view"][new]


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-6), np.float32)


def _placement(views: np.ndarray) -> Placement:
    return _views()[views]


@lru_cache
def _views() -> Placement:
    """The views: an image as it is, mirrored, turned by quarters or a little, and windows of it."""
    one, mirror, quarter = np.eye(2), np.diag([1, -1]), np.array([[0, 1], [-1, 0]])
    turns = [one, quarter, quarter @ quarter, quarter.T]
    views = [(0.0, 0.0, turn @ side) for side in (one, mirror) for turn in turns]
    for angle in np.radians([-9, 9]):
        c, s = np.cos(angle), np.sin(angle)
        views.append((0.0, 0.0, np.array([[c, -s], [s, c]])))
    for scale, count, farthest in _WINDOWS:
        places = np.linspace(-farthest, farthest, count)
        views += [(y, x, scale * one) for y in places for x in places]
    return Placement(
        np.array([(y, x) for y, x, _ in views]), np.stack([matrix for *_, matrix in views])
    )


@lru_cache
def _maps() -> np.ndarray:
    """The linear maps from the spectrum of an image to the descriptor of each view, (views, 35, 256)."""
    side = 4 * _LOW
    place = (np.arange(side) + 0.5) / side - 0.5
    at = np.stack(np.meshgrid(place, place, indexing="ij"))
    frequency = np.arange(_WAVES)
    height = np.where(frequency, np.sqrt(2), 1)
    low = waves(side, _LOW)
    weight = np.hypot(*np.mgrid[:_LOW, :_LOW]).reshape(-1, 1)
    maps = []
    for centre, matrix in zip(_views().centre, _views().matrix, strict=True):
        where = centre[:, None, None] + np.einsum("ij,jyx->iyx", matrix, at)
        phase = np.pi * (np.clip(where, -0.5, 0.5)[..., None] + 0.5) * frequency
        down, across = np.cos(phase) * height
        shown = (down[..., :, None] * across[..., None, :]).reshape(side, side, -1)
        spectrum = np.einsum("ay,bx,yxk->abk", low, low, shown, optimize=True)
        maps.append((spectrum.reshape(_LOW**2, -1) * weight)[1:])
    return np.stack(maps).astype(np.float32)


@lru_cache
def waves(side: int, count: int) -> np.ndarray:
    """Returns the first `count` waves of the orthonormal DCT-II over `side` pixels, `(count, side)`."""
    place = (np.arange(side) + 0.5) * np.pi / side
    cosines = np.cos(np.arange(count)[:, None] * place) * np.sqrt(2 / side)
    cosines[0] /= np.sqrt(2)
    return cosines.astype(np.float32)
