"""The average map of each class: evidence that is always in one place may be a shortcut."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.attribution.method import Method

BORDER = 8  # side of the picture by width of its border


@dataclass(frozen=True, eq=False)
class ClassAverages:
    """The mean map of each of K classes.

    `maps` (K, H, W), zeros for a class without pictures; `counts` (K,) pictures; `border` (K,) the
    share of a map's positive evidence that lies in the outer eighth all round, NaN where there is
    none. Evenly spread it would be `even_border`; well above, the class is told by what is beside
    the thing: a watermark, a frame, a scanner's edge, the sky or the grass.
    """

    maps: NDArray[np.float32]
    counts: NDArray[np.int64]
    border: NDArray[np.float64]
    even_border: float

    def to_json(self, classes: Sequence[str]) -> dict[str, Any]:
        """The figures without the maps, as JSON values."""
        border = {
            name: None if np.isnan(share) else float(share)
            for name, share in zip(classes, self.border, strict=True)
        }
        counts = dict(zip(classes, self.counts.tolist(), strict=True))
        return {"even_border": self.even_border, "border": border, "counts": counts}


def class_averages(
    model: nn.Module, images: Tensor, labels: Tensor, method: Method, num_classes: int
) -> ClassAverages:
    """Averages the maps of pictures (N, 3, H, W) for their own classes `labels` (N,)."""
    maps = method(model, images, labels).cpu().numpy()
    owners = labels.cpu().numpy()
    counts = np.bincount(owners, minlength=num_classes)
    sums = np.zeros((num_classes, *maps.shape[1:]), np.float64)
    np.add.at(sums, owners, maps)
    averages = sums / np.maximum(counts, 1)[:, None, None]
    outer = _border(*maps.shape[1:])
    positive = averages.clip(min=0)
    whole = positive.sum((1, 2))
    border = np.divide(
        positive[:, outer].sum(1), whole, out=np.full(num_classes, np.nan), where=whole > 0
    )
    return ClassAverages(averages.astype(np.float32), counts, border, float(outer.mean()))


def _border(height: int, width: int) -> NDArray[np.bool_]:
    down, across = max(1, height // BORDER), max(1, width // BORDER)
    outer = np.ones((height, width), bool)
    outer[down : height - down, across : width - across] = False
    return outer
