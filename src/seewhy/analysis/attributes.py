"""Measured attributes of images, by which weak slices are found."""

import numpy as np
from numpy.typing import NDArray

from seewhy.data import ImageSet
from seewhy.data.inspect.quality import measure_all


def attributes(images: ImageSet) -> dict[str, NDArray[np.floating]]:
    """Brightness, contrast, sharpness, colourfulness and size of each image, (N,) by name.

    All but the size are measured on the stored image: mean and std of its grey levels and
    `colourfulness` in [0, 1]; sharpness as in `data.inspect.quality`. Size is the shorter side of the whole
    image in pixels.
    """
    measures = measure_all(images)
    values: dict[str, NDArray[np.floating]] = {
        "brightness": measures.brightness,
        "contrast": measures.contrast,
        "sharpness": measures.sharpness,
        "colourfulness": np.concatenate([np.empty(0), *map(colourfulness, images.chunks())]),
    }
    if images.sizes is not None:
        values["size"] = images.sizes.min(1).astype(np.float64)
    return values


def colourfulness(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """How colourful uint8 images (N, H, W, 3) are, (N,): 0 is grey, above 0.43 is extremely so.

    Their measure M3 ("Measuring colourfulness in natural images", 2003), of light in [0, 1].
    """
    red, green, blue = np.moveaxis(
        images.reshape(len(images), -1, 3).astype(np.float32) / 255, 2, 0
    )
    first, second = red - green, (red + green) / 2 - blue
    spread = np.hypot(first.std(1), second.std(1))
    return np.asarray(spread + 0.3 * np.hypot(first.mean(1), second.mean(1)), np.float64)
