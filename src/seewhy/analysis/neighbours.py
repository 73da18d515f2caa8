"""Nearest neighbours: the training images most similar to an image by the features of a network."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAREST = 4
_BLOCK = 256  # images compared with all others at a time, which bounds memory


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest of a set to each of M images, the nearest first.

    `rows` (M, k) are places in the set; `similarity` (M, k) the cosine of the features once the set's
    mean is taken off, so that images that have nothing in common have 0, and the same image 1.
    """

    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]


def nearest(
    embeddings: NDArray[np.float32], others: NDArray[np.float32], count: int = NEAREST
) -> Neighbours:
    """The `count` of `others` (N, D) nearest to each of `embeddings` (M, D); fewer where N is less."""
    count = min(count, len(others))
    mean = others.mean(0, keepdims=True)
    base = _directions(others, mean)
    rows = np.empty((len(embeddings), count), np.int64)
    similarity = np.empty((len(embeddings), count), np.float32)
    for start in range(0, len(embeddings), _BLOCK):
        block = slice(start, start + _BLOCK)
        cosine = _directions(embeddings[block], mean) @ base.T
        candidates = np.argpartition(-cosine, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(cosine, candidates, axis=1)
        order = np.argsort(-values, axis=1, kind="stable")
        rows[block] = np.take_along_axis(candidates, order, axis=1)
        similarity[block] = np.take_along_axis(values, order, axis=1)
    return Neighbours(rows, similarity)


def _directions(vectors: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors (N, D) from the mean (1, D); no more than one copy is made."""
    directions = vectors - mean
    directions /= np.maximum(np.sqrt(np.einsum("nd,nd->n", directions, directions)), 1e-9)[:, None]
    return directions
