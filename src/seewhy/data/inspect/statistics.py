"""What a data set holds, in figures."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from seewhy.data.imageset import ImageSet
from seewhy.data.split import Splits


@dataclass(frozen=True, eq=False)
class Statistics:
    """Counts of each split and class, and what the pictures outside test are like.

    counts: int64 `(classes,)` by split: train, val, test where there is one, left_out where any
        is of a class.
    sizes: int32 `(n, 2)`, width and height of the whole pictures of train and val, in pixels.
    mean, std: float64 `(3,)` over the stored pixels of train, RGB in [0, 1].
    """

    layout: str
    classes: tuple[str, ...]
    counts: dict[str, np.ndarray]
    sizes: np.ndarray
    stored: int
    mean: np.ndarray
    std: np.ndarray
    bad: int

    @property
    def smallest_and_largest(self) -> tuple[int, int]:
        """Pictures in the smallest and in the largest class of train."""
        return int(self.counts["train"].min()), int(self.counts["train"].max())

    def json_form(self) -> dict[str, Any]:
        """The numbers, those of splits by class."""
        width, height = self.sizes.T
        shape = width / height
        return {
            "layout": self.layout,
            "classes": self.classes,
            "splits": {
                name: {
                    "n": counts.sum(),
                    "per_class": dict(zip(self.classes, counts, strict=True)),
                }
                for name, counts in self.counts.items()
            },
            "sizes": {
                "distinct": len(np.unique(self.sizes, axis=0)),
                "width": _spread(width),
                "height": _spread(height),
                "width_by_height": _spread(shape),
            },
            "stored": self.stored,
            "mean": self.mean,
            "std": self.std,
            "bad": self.bad,
        }


def statistics(splits: Splits) -> Statistics:
    """Counts and measures a data set; of test only the numbers of its pictures."""
    counts = {"train": splits.train.counts, "val": splits.val.counts}
    if splits.test is not None:
        counts["test"] = splits.test.counts
    if splits.left_out.counts.any():
        counts["left_out"] = splits.left_out.counts
    mean, std = _channels(splits.train)
    seen = [images.sizes for images in (splits.train, splits.val) if images.sizes is not None]
    return Statistics(
        layout=splits.layout,
        classes=splits.classes,
        counts=counts,
        sizes=np.concatenate([np.empty((0, 2), np.int32), *seen]),
        stored=splits.rule.store,
        mean=mean,
        std=std,
        bad=len(splits.bad),
    )


def _channels(images: ImageSet) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and deviation of each channel over all pixels; not a number where there are none."""
    levels = np.arange(256) / 255
    seen = np.zeros((3, 256), np.int64)
    for chunk in images.chunks():
        for channel in range(3):
            seen[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    with np.errstate(invalid="ignore"):
        mean = seen @ levels / seen.sum(1)
        return mean, np.sqrt(np.maximum(seen @ levels**2 / seen.sum(1) - mean**2, 0))


def _spread(values: np.ndarray) -> dict[str, float]:
    """Returns the smallest, the middle and the largest value."""
    if not len(values):
        return {}
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "max": float(values.max()),
    }
