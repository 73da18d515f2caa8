"""The formats of images that are read, by their first bytes: a closed list."""

import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import BinaryIO

import PIL
from PIL import ImageFile, features
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from seewhy.floors import require

require(PIL)

Reader = Callable[[BinaryIO], ImageFile.ImageFile]

_AVIF = re.compile(rb"....ftypavi[fs]", re.DOTALL)
_HEIC = re.compile(rb"....ftyp(hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)


def _heif(file: BinaryIO) -> ImageFile.ImageFile:
    from pillow_heif.as_plugin import HeifImageFile

    image: ImageFile.ImageFile = HeifImageFile(file)
    return image


def _avif(file: BinaryIO) -> ImageFile.ImageFile:
    from PIL.AvifImagePlugin import AvifImageFile

    return AvifImageFile(file)


# Formats that not every installation reads.
OPTIONAL = {
    **({"AVIF": (_AVIF, _avif)} if features.check("avif") else {}),
    **({"HEIC": (_HEIC, _heif)} if find_spec("pillow_heif") else {}),
}
FORMATS: tuple[tuple[re.Pattern[bytes], Reader], ...] = (
    (re.compile(rb"\xff\xd8\xff"), JpegImageFile),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImageFile),
    (re.compile(rb"GIF8[79]a"), GifImageFile),
    (re.compile(rb"BM"), BmpImageFile),
    (re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"), TiffImageFile),
    (re.compile(rb"P[1-6]\s+[#\d]"), PpmImageFile),
    *OPTIONAL.values(),
)

# Formats of photographs that are not read here, and what the user can do.
_OTHERS = (
    (_HEIC, 'HEIC needs `pip install "seewhy[heic]"`: do that, or save the image as JPEG'),
    (_AVIF, "this Pillow cannot read AVIF: update it, or save the image as JPEG"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "JPEG XL is not read: save it as JPEG or PNG"),
    (
        re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"),
        "JPEG 2000 is not read: save it as JPEG or PNG",
    ),
)


def why_not(head: bytes) -> str:
    """Returns what to say of an empty file or a known format that is not read; "" for any other."""
    if not head:
        return "an empty file (0 bytes)"
    return next((remedy for magic, remedy in _OTHERS if magic.match(head)), "")
