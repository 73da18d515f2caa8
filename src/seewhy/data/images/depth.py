"""Which values of more than 8 bits become black and white: one range for a whole training set."""

import math
from collections.abc import Sequence

import numpy as np

from seewhy.data.images.colour import Depth, deep_values, is_deep
from seewhy.data.images.decode import ImageLike, opened

OUTLIERS = 0.001  # of the pixels of an image at either end: dead and hot ones
OUTLYING = 0.01  # of the images at either end


def value_range(source: ImageLike) -> Depth | None:
    """Returns the range of an image's values without `OUTLIERS`; None for 8 bits. Raises `ImageError`."""
    with opened(source) as image:
        if not is_deep(image):
            return None
        ends = np.quantile(deep_values(image), (OUTLIERS, 1 - OUTLIERS), method="nearest")
    low, high = map(float, ends)
    # Images with values that are not taken (NaN, too) decide nothing: they will be bad files.
    return (low, high) if 0 <= low <= high <= 65_535 else None


def common_depth(ranges: Sequence[Depth]) -> Depth | None:
    """Returns a range that holds those of nearly all images, None for no images.

    It is rounded outwards to a sixteenth of itself, so that parts of one data set mostly share it.
    """
    if not ranges:
        return None
    lows, highs = np.array(ranges).T
    low = float(np.quantile(lows, OUTLYING, method="lower"))
    high = float(np.quantile(highs, 1 - OUTLYING, method="higher"))
    step = 2.0 ** math.floor(math.log2((high - low or 1) / 16))
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    if low == high:
        high += step
    return (low, high) if high <= 65_535 else (min(low, 65_534.0), 65_535.0)
