"""Arrays and tensors as images: the same rule for training data, prediction and `.npz` files.

Integers are grey levels from 0 to 255; uint16 is left to the input rule. Floats are from 0 to 1, rounded to
grey levels, or whole numbers from 0 to 255; one source holds one kind. Channels may come first: (3, H, W) is
an image as (H, W, 3) is.
"""

from collections.abc import Mapping
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from seewhy.errors import ImageError
from seewhy.text import visible

CHANNELS = (1, 2, 3, 4)  # grey, grey and alpha, RGB, RGB and alpha
_FIRST = (1, 3, 4)  # channels that may come first
_SLACK = 1e-6  # of a rounding error beyond 0 or 1


class Scale:
    """What the floats of one source mean: 0 to 1, or 0 to 255; the first ones that tell decide."""

    def __init__(self) -> None:
        self._whole: bool | None = None

    def levels(self, values: np.ndarray) -> np.ndarray:
        """Returns grey levels, uint8, or uint16 as it is; raises `ImageError` for others, with the remedy."""
        if values.dtype == np.uint16:
            return values
        if values.dtype == np.uint8 or not values.size:
            return values.astype(np.uint8, copy=False)
        low, high = values.min(), values.max()  # NaN if any is
        if values.dtype.kind != "f":
            if low < 0 or high > 255:
                raise _no_levels(values, "integers from 0 to 255", _advice(low, high))
            return values.astype(np.uint8)
        whole = bool(high > 1 + _SLACK)
        if not np.isfinite(low + high) or low < -_SLACK or high > 255:
            raise _no_levels(values, _FLOATS, _advice(low, high))
        if whole and not np.array_equal(values, np.rint(values)):
            raise _no_levels(values, _FLOATS, _advice(low, high))
        if high > 0:  # black is black in both
            if self._whole not in (None, whole):
                other = "floats from 0 to 1" if whole else "values up to 255"
                raise _no_levels(values, f"{other}, as before", "Save all of them as uint8")
            self._whole = whole
        scaled = values if whole else np.clip(values.astype(np.float64), 0, 1) * 255
        return np.rint(scaled).astype(np.uint8)


def image_of(value: Any, scale: Scale) -> Path | bytes | Image.Image | np.ndarray | ImageError:
    """Returns an image of any form for the decoder; raises `ImageError` for what is none."""
    if isinstance(value, Mapping):  # of Hugging Face, not yet decoded
        value = value.get("bytes") or value.get("path") or value
    if isinstance(value, str):
        return Path(value)
    if isinstance(value, Path | bytes | Image.Image | ImageError):
        return value
    if value is None or isinstance(value, Mapping | Number):
        raise ImageError("undecodable", no_image(value))
    return image_of_array(value, scale)


def no_image(value: Any) -> str:
    """Says what a value is that is no image, and what is expected."""
    return (
        f"the value {visible(repr(value)[:60])} of type {type(value).__name__}; expected a path, the bytes "
        "of a file, a Pillow image, an array or a tensor"
    )


def image_of_array(array: Any, scale: Scale) -> np.ndarray | Image.Image:
    """Returns one array or tensor as an image: (H, W, 3) or (H, W), or a Pillow image if it has alpha.

    Raises `ImageError` that says what to do.
    """
    pixels = as_array(array)
    if pixels.dtype.kind not in "uif":
        kind = type(array).__name__ if pixels.dtype.kind == "O" else pixels.dtype
        advice = ". Give x.astype(np.uint8) * 255" if pixels.dtype.kind == "b" else ""
        detail = f"values of type {kind}: expected uint8, or floats from 0 to 1{advice}"
        raise ImageError("unsupported_depth", detail)
    if pixels.ndim == 3 and pixels.shape[2] not in CHANNELS and pixels.shape[0] in _FIRST:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.shape[2:] == (1,):
        pixels = pixels[..., 0]
    levels = np.ascontiguousarray(scale.levels(pixels))
    has_alpha = levels.shape[2:] in ((2,), (4,)) and levels.size
    if has_alpha and levels.dtype == np.uint16:
        raise ImageError(
            "unsupported_depth", "16 bits with an alpha channel: give the colours alone"
        )
    return Image.fromarray(levels) if has_alpha else levels


def as_array(array: Any) -> np.ndarray:
    """Returns an array or a tensor, on any device, as a NumPy array."""
    return np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)


_FLOATS = "floats from 0 to 1, or whole numbers from 0 to 255"


def _no_levels(values: np.ndarray, expected: str, advice: str) -> ImageError:
    low, high = values.min(), values.max()
    detail = f"{values.dtype} values from {low:g} to {high:g}: expected {expected}. {advice}"
    return ImageError("unsupported_depth", detail)


def _advice(low: Any, high: Any) -> str:
    """Returns how such values become grey levels, the same for every image: contrast is never stretched."""
    if not np.isfinite(low + high):
        return "Remove NaN and infinite values first"
    if low >= -1 and high <= 1:
        return "If -1 is black and 1 is white, save np.rint(127.5 * (x + 1)).astype(np.uint8)"
    if low >= -64 and 8 < high <= 320:  # with what resizing adds at edges
        return "If 255 is white, save np.rint(np.clip(x, 0, 255)).astype(np.uint8)"
    if low >= 0 and 320 < high <= 65_535:
        return "If 65,535 is white, save (x // 257).astype(np.uint8)"
    return (
        "Undo the normalisation, such as x * std + mean, and save np.rint(255 * x).astype(np.uint8)"
    )
