"""The pictures that a report shows: which, how small, and where the network looked."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seewhy.evaluation.predictions import Predictions
from seewhy.text import visible

A_CELL = 12  # pictures of a cell of the confusion matrix
MOST = 720  # pictures in all, which keeps the page small
MOST_CLASSES = 24  # more classes have no matrix on the page
SIDE, MAP_SIDE = 96, 24  # pixels; larger pictures are made smaller, smaller ones stay as they are
STRONG = 0.95  # quantile of the maps' highest values that is drawn at full strength


@dataclass(frozen=True, eq=False)
class Pictures:
    """Some pictures of the validation split, with what the network said and where it looked.

    `rows` (N,) are their places among the `predictions`; `images` uint8 (N, H, W, 3) as the network
    sees them; `maps` (N, H, W), signed, for the class that was said. `near` are training pictures by
    their row in train, uint8 (H, W, 3).
    """

    rows: NDArray[np.int64]
    predictions: Predictions
    images: NDArray[np.uint8]
    maps: NDArray[np.float32]
    near: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)


def choose_rows(
    predictions: Predictions, mistakes: Sequence[int], pairs: Sequence[tuple[int, int]] | None
) -> NDArray[np.int64]:
    """The rows to show, by true class and answer: of each cell the surest mistakes, or least sure hits.

    `mistakes` are rows shown in any case; `pairs` the cells (true, predicted) that can be opened,
    None for all. When there are too many, each cell has its first before any has its second.
    """
    labels, predicted = predictions.labels, predictions.predicted
    assert labels is not None
    k = len(predictions.classes)
    cell = labels * k + predicted
    usable = (labels >= 0) & (predicted >= 0)
    if pairs is not None:
        usable &= np.isin(cell, [true * k + said for true, said in pairs])
    wrong = labels != predicted
    confidence = predictions.confidence()
    order = np.lexsort((np.where(wrong, -confidence, confidence), cell))
    order = order[usable[order]]
    starts = np.searchsorted(cell[order], cell[order])  # where each picture's cell begins
    place = np.arange(len(order)) - starts
    fair = order[np.argsort(place, kind="stable")][: int((place < A_CELL).sum())]
    kept = {*fair[:MOST].tolist(), *mistakes}
    shown = [*order.tolist(), *sorted(kept - set(order.tolist()))]
    return np.array([row for row in shown if row in kept], np.int64)


def packed(pictures: Pictures) -> list[list[object]]:
    """Each picture as [id, true class, said class, confidence, picture, map], the last two WebP in base64."""
    found = pictures.predictions.take(pictures.rows)
    assert found.labels is not None
    strengths = _strengths(pictures.maps)
    columns = zip(
        found.ids,
        found.labels.tolist(),
        found.predicted.tolist(),
        found.confidence().round(4).tolist(),
        pictures.images,
        strengths,
        strict=True,
    )
    return [
        [visible(str(name)), true, said, sure, thumbnail(image), _map(strength)]
        for name, true, said, sure, image, strength in columns
    ]


def _strengths(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """How strongly each place spoke for the answer, 0 to 1, on one scale for all pictures."""
    positive = np.clip(maps, 0, None)
    highest = positive.max((1, 2), initial=0)
    scale = float(np.quantile(highest, STRONG)) if len(highest) else 0.0
    return np.clip(positive / (scale or 1.0), 0, 1)


def thumbnail(image: NDArray[np.uint8]) -> str:
    """A picture, uint8 (H, W, 3), no larger than a page needs it: WebP in base64."""
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _webp(picture, 88)


def _map(strength: NDArray[np.float32]) -> str:
    """A map as a glow: from nothing over red to yellow."""
    mask = Image.fromarray(strength)
    mask.thumbnail((MAP_SIDE, MAP_SIDE), Image.Resampling.BILINEAR)
    s = np.asarray(mask)[..., None]
    glow = np.concatenate([220 + 35 * s, 40 + 190 * s**1.5, 20 + 60 * s**3, 235 * s**1.2], axis=2)
    return _webp(Image.fromarray(glow.astype(np.uint8), "RGBA"), 70)


def _webp(picture: Image.Image, quality: int) -> str:
    sink = io.BytesIO()
    picture.save(sink, "WEBP", quality=quality, method=4)
    return base64.b64encode(sink.getvalue()).decode()
