"""Writes an image again as its pixels alone: where and when it was taken, and by what, is not in it."""

import re
from io import BytesIO

from PIL import Image

from seewhy.data.images.colour import is_deep, to_srgb
from seewhy.data.images.decode import Limits, opened
from seewhy.errors import ImageError

QUALITY = 95  # of a JPEG
_PNG = b"\x89PNG"
_EXACT = re.compile(rb"\x89PNG|GIF8|BM|II|MM|P[1-6]")  # formats whose pixels are exact


def without_metadata(data: bytes, limits: Limits) -> bytes:
    """Returns the first frame of an image file, upright, as a file that holds nothing but its pixels.

    In sRGB of 8 bits: a JPEG of quality 95 where the image was lossy (JPEG, WebP, AVIF, HEIC), else a PNG of
    equal pixels; a grey PNG of 16 bits stays one. Raises `ImageError`, also for other pixels of 16 bits.
    """
    sink = BytesIO()
    with opened(data, limits) as image:
        if is_deep(image):
            if not (isinstance(image, Image.Image) and data.startswith(_PNG)):
                raise ImageError("unsupported_depth", "of 16 bits only grey PNGs are written")
            plain, exact = image.copy(), True
        else:
            plain, exact = to_srgb(image), _EXACT.match(data) is not None
        plain.info.clear()
        if exact:
            plain.save(sink, "PNG", compress_level=1)
        else:
            plain.save(sink, "JPEG", quality=QUALITY, subsampling=0)
    return sink.getvalue()
