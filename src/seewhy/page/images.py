"""The images of a report: their selection, thumbnails and attribution maps."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seewhy.evaluation.predictions import Predictions
from seewhy.text import visible

A_CELL = 12  # images per cell of the confusion matrix
MOST = 720  # images in all, which keeps the page small
MOST_CLASSES = 24  # with more classes, the page has no confusion matrix
SIDE, MAP_SIDE = 160, 40  # pixels; larger images are reduced, smaller ones stay unchanged
STRONG = 0.95  # quantile of the maps' maxima that is drawn at full strength


@dataclass(frozen=True, eq=False)
class ShownImages:
    """Some images of the validation split, with predictions and attribution maps.

    `rows` (N,) are their rows in `predictions`; `images` uint8 (N, H, W, 3) as the network sees them;
    `maps` (N, H, W), signed, for the predicted class. `near` are training images, uint8 (H, W, 3), by
    their row in train.
    """

    rows: NDArray[np.int64]
    predictions: Predictions
    images: NDArray[np.uint8]
    maps: NDArray[np.float32]
    near: Mapping[int, NDArray[np.uint8]] = field(default_factory=dict)


def choose_rows(
    predictions: Predictions, mistakes: Sequence[int], pairs: Sequence[tuple[int, int]] | None
) -> NDArray[np.int64]:
    """The rows to show, by true class and prediction.

    Each cell of the confusion matrix gets its most confident mistakes, or its least confident correct
    predictions. `mistakes` are rows that are always shown; `pairs` the cells (true, predicted) that can be
    opened, None for all. If there are too many, every cell gets its first image before any gets a second.
    """
    labels, predicted = predictions.labels, predictions.predicted
    assert labels is not None
    k = len(predictions.classes)
    cell = labels * k + predicted
    usable = (labels >= 0) & (predicted >= 0)
    if pairs is not None:
        usable &= np.isin(cell, [true * k + answer for true, answer in pairs])
    wrong = labels != predicted
    confidence = predictions.confidence()
    order = np.lexsort((np.where(wrong, -confidence, confidence), cell))
    order = order[usable[order]]
    starts = np.searchsorted(cell[order], cell[order])  # start of each image's cell
    place = np.arange(len(order)) - starts
    fair = order[np.argsort(place, kind="stable")][: int((place < A_CELL).sum())]
    kept = {*fair[:MOST].tolist(), *mistakes}
    shown = [*order.tolist(), *sorted(kept - set(order.tolist()))]
    return np.array([row for row in shown if row in kept], np.int64)


def packed(shown: ShownImages) -> list[list[object]]:
    """Each image as [id, true class, prediction, confidence, image, map]; the last two are base64 WebP."""
    predictions = shown.predictions.take(shown.rows)
    assert predictions.labels is not None
    columns = (
        [visible(str(name)) for name in predictions.ids],
        predictions.labels.tolist(),
        predictions.predicted.tolist(),
        predictions.confidence().round(4).tolist(),
        map(thumbnail, shown.images),
        map(_map, _strengths(shown.maps)),
    )
    return [list(row) for row in zip(*columns, strict=True)]


def _strengths(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The evidence for the prediction at each place, 0 to 1, on one scale for all images."""
    positive = np.clip(maps, 0, None)
    highest = positive.max((1, 2), initial=0)
    scale = float(np.quantile(highest, STRONG)) if len(highest) else 0.0
    return np.clip(positive / (scale or 1.0), 0, 1)


def thumbnail(image: NDArray[np.uint8]) -> str:
    """An image, uint8 (H, W, 3), reduced to the size that a page needs, as base64 WebP."""
    small = Image.fromarray(image)
    small.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return _webp(small, 80)


def _map(strength: NDArray[np.float32]) -> str:
    """A map as a glow from transparent over red to yellow, by the square root, which shows weak evidence."""
    mask = Image.fromarray(strength)
    mask.thumbnail((MAP_SIDE, MAP_SIDE), Image.Resampling.BILINEAR)
    s = np.sqrt(np.clip(np.asarray(mask), 0, 1))[..., None]
    glow = np.concatenate([220 + 35 * s, 40 + 190 * s**3, 20 + 60 * s**6, 235 * s], axis=2)
    return _webp(Image.fromarray(glow.astype(np.uint8), "RGBA"), 70)


def _webp(image: Image.Image, quality: int) -> str:
    sink = io.BytesIO()
    image.save(sink, "WEBP", quality=quality, method=4)
    return base64.b64encode(sink.getvalue()).decode()
