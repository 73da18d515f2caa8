"""Statistics of a data set: counts, sizes, mean and std."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from seewhy.data.imageset import ImageSet
from seewhy.data.split import Splits


@dataclass(frozen=True, eq=False)
class Statistics:
    """Counts of each split and class, and statistics of the images outside test.

    counts: int64 `(classes,)` by split: train, val, test if there is one, left_out if it has labelled images.
    sizes: int32 `(n, 2)`, width and height of the whole images of train and val, in pixels.
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
        """The numbers of images in the smallest and in the largest class of train."""
        return int(self.counts["train"].min()), int(self.counts["train"].max())

    def json_form(self) -> dict[str, Any]:
        """All numbers; those of splits by class."""
        width, height = self.sizes.T
        return {
            "layout": self.layout,
            "classes": self.classes,
            "splits": {
                name: {"n": counts.sum(), "per_class": dict(zip(self.classes, counts, strict=True))}
                for name, counts in self.counts.items()
            },
            "sizes": {
                "distinct": len(np.unique(self.sizes, axis=0)),
                "width": _spread(width),
                "height": _spread(height),
                "width_by_height": _spread(width / height),
            },
            "stored": self.stored,
            "mean": self.mean,
            "std": self.std,
            "bad": self.bad,
        }


def statistics(splits: Splits) -> Statistics:
    """Computes the statistics of a data set; of test, only the numbers of images."""
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
    """Returns mean and std of each channel over all pixels; NaN without images."""
    levels = np.arange(256) / 255
    histogram = np.zeros((3, 256), np.int64)
    for chunk in images.chunks():
        for channel in range(3):
            histogram[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    with np.errstate(invalid="ignore"):
        pixels = histogram.sum(1)
        mean = histogram @ levels / pixels
        return mean, np.sqrt(np.maximum(histogram @ levels**2 / pixels - mean**2, 0))


def _spread(values: np.ndarray) -> dict[str, float]:
    """Returns the smallest, the median and the largest value."""
    if not len(values):
        return {}
    low, middle, high = map(float, (values.min(), np.median(values), values.max()))
    return {"min": low, "median": middle, "max": high}
