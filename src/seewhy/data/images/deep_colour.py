"""Colours of 16 bits in PNG and TIFF: Pillow keeps one byte of each value.

The order of the bytes that its decoder expects decides which one, so a second reading gives the other.
"""

import sys

import numpy as np
from PIL import Image, ImageFile

_OTHER_BYTE = {
    "RGB;16B": "RGB;16L",
    "RGB;16L": "RGB;16B",
    "RGB;16N": "RGB;16B" if sys.byteorder == "little" else "RGB;16L",
}


def has_deep_colours(image: ImageFile.ImageFile) -> bool:
    """Says whether a file that is opened, but not loaded, has colours of 16 bits without a known scale.

    With a profile they have one, so that the upper byte suffices; it is kept with transparency, too.
    """
    raw_mode = next((tile.args for tile in image.tile), None)
    raw_mode = raw_mode[0] if isinstance(raw_mode, tuple) else raw_mode
    known = "icc_profile" in image.info or "transparency" in image.info
    return raw_mode in _OTHER_BYTE and not known


def choose_lower_byte(image: ImageFile.ImageFile) -> None:
    """Makes Pillow keep the lower byte of each value when it loads the image."""
    image.tile = [
        tile._replace(args=tuple(_OTHER_BYTE.get(one, one) for one in tile.args))
        if isinstance(tile.args, tuple)
        else tile._replace(args=_OTHER_BYTE[str(tile.args)])
        for tile in image.tile
    ]


def joined(upper: Image.Image, lower: Image.Image) -> np.ndarray:
    """Returns the values, uint16 `(H, W, 3)`, of two loaded images that hold a byte of each."""
    return np.asarray(upper).astype(np.uint16) << 8 | np.asarray(lower)
