"""Converts an image of any mode to 8-bit sRGB, upright, on white.

- An image is rotated by its EXIF or XMP orientation.
- Transparent pixels are blended with white; palettes, grey, CMYK, YCbCr and Lab become RGB.
- A valid ICC profile of at most 1 MiB is converted to sRGB (perceptual); any other is ignored.
- Grey of more than 8 bits (12 or 16 bits, 32-bit integers, floats) goes by the depth of the input rule: its
  lower value becomes 0, its upper value 255, and those between in proportion. So do colours of 16 bits.
- Without a depth, 16-bit values keep their upper byte (`v >> 8`) and 12-bit ones their upper 8 bits. 32-bit
  integers, floats and arrays of uint16 have no defined scale, so their largest value decides: above
  255 they are read as 16 bits, otherwise as 8, and floats up to 1 as parts of 1.
- 32-bit values below 0, above 65,535 or NaN are refused.
- Of colours of 16 bits with a profile, and of 16 bits with transparency, the upper byte alone is read.
"""

import struct
from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from seewhy.errors import ImageError

Depth = tuple[float, float]  # the values that become 0 and 255

MAX_PROFILE = 1 << 20

# Pillow's errors for a damaged file; any other error is a bug and is not hidden.
FAULTS = (
    *(SyntaxError, OSError, ValueError, EOFError, LookupError, TypeError, struct.error),
    OverflowError,  # an offset in a TIFF that no file has
)

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION, _BITS_PER_SAMPLE = 0x0112, 0x0102
_SAYS_ORIENTATION = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}


def upright(image: Image.Image) -> Image.Image:
    """Returns a loaded image rotated by its EXIF or XMP orientation; a damaged one is ignored."""
    # Pillow rotates a TIFF while loading it, and then removes its orientation.
    if not _SAYS_ORIENTATION & image.info.keys():
        return image
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except FAULTS:
        return image
    return image if turn is None else image.transpose(turn)


def is_deep(image: Image.Image | np.ndarray) -> bool:
    """Says whether more than 8 bits of a channel are read."""
    if isinstance(image, np.ndarray):
        return image.dtype.type is np.uint16
    return image.mode.startswith("I;16") or image.mode in ("I", "F")


def deep_values(image: Image.Image | np.ndarray) -> np.ndarray:
    """Returns the values of a loaded deep image, float32 `(H, W)` or `(H, W, 3)`, exact up to 16 bits."""
    return np.asarray(image).astype(np.float32)


def to_srgb(image: Image.Image | np.ndarray, depth: Depth | None = None) -> Image.Image:
    """Returns a loaded image, or an array of uint16, in RGB; raises `ImageError` beyond 16 bits."""
    if isinstance(image, np.ndarray):
        return Image.fromarray(_scaled(image, depth)).convert("RGB")
    profile = image.info.get("icc_profile")
    image = _eight_bit(image, depth)
    if image.mode in ("La", "RGBa"):  # colours multiplied by their alpha
        image = image.convert(image.mode.upper())
    alpha = None
    if image.mode == "LA":
        image, alpha = image.getchannel("L"), image.getchannel("A")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image, alpha = image.convert("RGB"), image.getchannel("A")
    image = _srgb(image, profile)
    if alpha is not None:
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=alpha)
        image = white
    return image


def _eight_bit(image: Image.Image, depth: Depth | None) -> Image.Image:
    transparent = image.info.get("transparency")
    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        if depth is not None:
            grey = Image.fromarray(_scaled(values, depth))
        else:
            bits = 12 if getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE) == (12,) else 16
            grey = Image.fromarray((values >> (bits - 8)).astype(np.uint8))
        if not isinstance(transparent, int):
            return grey
        alpha = np.where(values == transparent, 0, 255).astype(np.uint8)
        return Image.merge("LA", (grey, Image.fromarray(alpha)))
    if image.mode in ("I", "F"):
        return Image.fromarray(_scaled(np.asarray(image), depth))
    if isinstance(transparent, tuple) and max(transparent) > 255:
        image = image.copy()  # the key of a 16-bit colour image; its lower bytes are gone
        del image.info["transparency"]
    return image


def _scaled(values: np.ndarray, depth: Depth | None) -> np.ndarray:
    lowest, highest = values.min(), values.max()
    if not (lowest >= 0 and highest <= 65_535):  # written so that NaN is refused, too
        raise ImageError("unsupported_depth")
    if depth is not None:
        if values.dtype.kind == "f":
            return _levels(values, depth)
        return _levels(np.arange(65_536), depth)[values]
    if highest > 255:
        return (values.astype(np.uint16) >> 8).astype(np.uint8)
    if values.dtype.kind == "f":
        values = np.rint(values * 255 if highest <= 1 else values)
    return values.astype(np.uint8)


def _levels(values: np.ndarray, depth: Depth) -> np.ndarray:
    """Returns the grey levels of values by a depth, uint8."""
    low, high = depth
    levels = (values.astype(np.float64) - low) * 255 / (high - low)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def _srgb(image: Image.Image, profile: object) -> Image.Image:
    """Converts to sRGB by a usable profile, or else by the default rule of the image's mode."""
    if image.mode not in ("L", "RGB", "CMYK", "LAB"):
        image = image.convert("RGB")
    if not isinstance(profile, bytes) or len(profile) > MAX_PROFILE:
        profile = None
    transform = _transform(profile, image.mode) if profile or image.mode == "LAB" else None
    if transform is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    return transform.apply(image)


@lru_cache(maxsize=16)
def _transform(profile: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Returns the transform from a profile (None: CIE Lab) to sRGB, or None if it does not fit."""
    try:
        if profile is None:
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.ImageCmsTransform(source, srgb, mode, "RGB")
    except (ImageCms.PyCMSError, *FAULTS):
        return None
