"""The average attribution map of each class: evidence always in one place may be a shortcut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.attribution.faithfulness import BY_SIZE
from seewhy.attribution.method import Method

BORDER = 8  # side of the image by width of its border


@dataclass(frozen=True, eq=False)
class ClassAverages:
    """The mean map of each of K classes.

    `maps` (K, H, W), zeros for a class without images; `counts` (K,) images; `border` (K,) the
    share of a map's positive evidence that lies in the outer eighth all round, NaN where there is
    none. Evenly spread it would be `even_border`; well above, the class is told by what is beside
    the thing: a watermark, a frame, a scanner's edge, the sky or the grass. Where the maps are not `signed`,
    their size is averaged: brighter and darker pixels would cancel out, and neither is for the class.
    """

    classes: tuple[str, ...]
    maps: NDArray[np.float32]
    counts: NDArray[np.int64]
    border: NDArray[np.float64]
    even_border: float
    signed: bool = True

    def json_form(self) -> dict[str, Any]:
        """The numbers without the maps, by class."""
        border = dict(zip(self.classes, self.border, strict=True))
        counts = dict(zip(self.classes, self.counts, strict=True))
        return {"even_border": self.even_border, "border": border, "counts": counts}


def class_averages(
    model: nn.Module, images: Tensor, labels: Tensor, method: Method, classes: Sequence[str]
) -> ClassAverages:
    """Averages the maps of images (N, 3, H, W) for their own classes `labels` (N,)."""
    k = len(classes)
    signed = method not in BY_SIZE
    made = method(model, images, labels)
    maps = (made if signed else made.abs()).cpu().numpy()
    owners = labels.cpu().numpy()
    counts = np.bincount(owners, minlength=k)
    sums = np.zeros((k, *maps.shape[1:]), np.float64)
    np.add.at(sums, owners, maps)
    averages = sums / np.maximum(counts, 1)[:, None, None]
    outer = _border(*maps.shape[1:])
    positive = averages.clip(min=0)
    whole = positive.sum((1, 2))
    border = np.divide(positive[:, outer].sum(1), whole, out=np.full(k, np.nan), where=whole > 0)
    return ClassAverages(
        tuple(classes), averages.astype(np.float32), counts, border, float(outer.mean()), signed
    )


def _border(height: int, width: int) -> NDArray[np.bool_]:
    down, across = max(1, height // BORDER), max(1, width // BORDER)
    outer = np.ones((height, width), bool)
    outer[down : height - down, across : width - across] = False
    return outer
