"""From the bytes of a picture to stored pixels: the only place that opens an image.

What its colours mean is said in `colour`. The first frame alone is taken, turned upright.
Nothing but `ImageError` is raised for a picture, and no global setting of Pillow is changed.
"""

import hashlib
import os
import re
import stat
import struct
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from seewhy.config.input_rule import InputRule
from seewhy.data.images.colour import FAULTS, to_srgb, upright
from seewhy.errors import ImageError

# The last is why there is no picture, where a source knows; it is raised when it should be read.
Picture = str | Path | bytes | Image.Image | np.ndarray | ImageError


@dataclass(frozen=True)
class Limits:
    """What a picture may cost: file size in bytes, pixels, and the longer side in pixels."""

    max_bytes: int
    max_pixels: int
    max_side: int


LOCAL = Limits(max_bytes=2 << 30, max_pixels=200_000_000, max_side=65_500)
UPLOAD = Limits(max_bytes=10 << 20, max_pixels=25_000_000, max_side=16_384)

MAX_SCANS = (
    100  # of a progressive JPEG; encoders write about ten, each costs a pass over the pixels
)


def read(source: Picture, rule: InputRule, limits: Limits = LOCAL) -> np.ndarray:
    """Returns the stored pixels of one picture, uint8 `(store, store, 3)`, by every way in the same.

    `source` is a path, the bytes of a file, a Pillow image, or a uint8 array `(H, W, 3)` or `(H, W)`.
    Raises `ImageError`.
    """
    return store(open_picture(source, limits), rule.store)


def open_picture(source: Picture, limits: Limits = LOCAL) -> Image.Image:
    """Returns one picture, whatever it comes as, upright and in RGB; raises `ImageError`."""
    if isinstance(source, ImageError):
        raise source
    if isinstance(source, Image.Image):
        return to_rgb(source, limits)
    if isinstance(source, np.ndarray):
        return from_array(source, limits)
    return decode(source if isinstance(source, bytes) else read_file(source, limits), limits)


def read_file(path: str | Path, limits: Limits = LOCAL) -> bytes:
    """Returns the bytes of a regular file; a pipe or device is refused without waiting for it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            seen = os.fstat(handle)
            if not stat.S_ISREG(seen.st_mode):
                raise ImageError("not_a_file")
            # `read` makes room for all that it is asked for, here for one byte more than should come.
            data = file.read(min(seen.st_size, limits.max_bytes) + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("not_found") from None
    except IsADirectoryError:
        raise ImageError("not_a_file") from None
    except (OSError, ValueError):  # ValueError: a NUL in the name
        raise ImageError("unreadable") from None
    if len(data) > limits.max_bytes:
        raise ImageError("too_large", f"more than {limits.max_bytes:,} bytes")
    return data


def decode(data: bytes, limits: Limits = LOCAL) -> Image.Image:
    """Returns the first frame of a picture file, upright and in RGB; raises `ImageError`.

    The size is checked from the header, before any pixel is unpacked.
    """
    if len(data) > limits.max_bytes:
        raise ImageError("too_large", f"{len(data):,} bytes; the limit is {limits.max_bytes:,}")
    plugin = _plugin(data)
    if plugin is None:
        raise ImageError("unsupported_format")
    with _as_image_error():
        image = plugin(BytesIO(data))
        _check_size(image.size, limits)
        if isinstance(image, TiffImageFile):  # a tile is unpacked whole, however small the picture
            _check_size((image.tag_v2.get(322, 1), image.tag_v2.get(323, 1)), limits)
        if plugin is JpegImageFile:
            _check_scans(data)
        return _rgb(image)


def measure(source: Picture) -> tuple[int, int]:
    """Returns the width and height in a picture's header (before it is turned); raises `ImageError`."""
    if isinstance(source, ImageError):
        raise source
    if isinstance(source, Image.Image):
        return source.size
    if isinstance(source, np.ndarray):
        return source.shape[1], source.shape[0]
    data = source if isinstance(source, bytes) else read_file(source)
    plugin = _plugin(data)
    if plugin is None:
        raise ImageError("unsupported_format")
    with _as_image_error():
        return plugin(BytesIO(data)).size


def is_picture(head: bytes) -> bool:
    """Says whether a file that starts with these (at least 16) bytes has an allowed format."""
    return _plugin(head) is not None


def to_rgb(image: Image.Image, limits: Limits = LOCAL) -> Image.Image:
    """Returns a Pillow image upright and in RGB; raises `ImageError`."""
    with _as_image_error():
        _check_size(image.size, limits)
        return _rgb(image)


def _rgb(image: Image.Image) -> Image.Image:
    image.load()
    return to_srgb(upright(image))


def from_array(array: np.ndarray, limits: Limits = LOCAL) -> Image.Image:
    """Returns a uint8 array `(H, W, 3)` or grey `(H, W)` as a picture; raises `ImageError`."""
    if array.dtype != np.uint8:
        raise ImageError("unsupported_depth", f"an array must be uint8, this one is {array.dtype}")
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or 0 in array.shape:
        raise ImageError("undecodable", f"an array must be (H, W, 3) or (H, W), not {array.shape}")
    _check_size((array.shape[1], array.shape[0]), limits)
    return Image.fromarray(array).convert("RGB")


def store(rgb: Image.Image, side: int) -> np.ndarray:
    """Returns the centre square of a picture at `side` pixels, uint8 `(side, side, 3)`.

    The shorter side is brought to `side` by bicubic interpolation, antialiased when it shrinks.
    """
    short = min(rgb.size)
    left, top = (rgb.width - short) // 2, (rgb.height - short) // 2
    if rgb.size != (side, side):
        box = (left, top, left + short, top + short)
        rgb = rgb.resize((side, side), Image.Resampling.BICUBIC, box)
    return np.asarray(rgb)


def centre(images: np.ndarray, size: int) -> np.ndarray:
    """Returns the centre `size` x `size` of stored pictures `(..., S, S, 3)`, as a view."""
    start = (images.shape[-2] - size) // 2
    return images[..., start : start + size, start : start + size, :]


def content_hash(rgb: Image.Image | np.ndarray) -> str:
    """Returns 32 hex digits of the sha256 over the size and the pixels of a whole upright picture.

    The picture may come as its pixels, uint8 `(H, W, 3)`.
    """
    if isinstance(rgb, np.ndarray):
        height, width = rgb.shape[:2]
        bands: Iterable[Any] = (np.ascontiguousarray(rgb),)
    else:
        width, height = rgb.size
        rows = max(1, (1 << 20) // width)  # a few MB at a time
        tops = range(0, height, rows)
        bands = (rgb.crop((0, y, width, min(y + rows, height))).tobytes() for y in tops)
    digest = hashlib.sha256(struct.pack("<II", width, height))
    for band in bands:
        digest.update(band)
    return digest.hexdigest()[:32]


# ------------------------------------------------------------------ opening, and what may go wrong


_FORMATS: tuple[tuple[re.Pattern[bytes], type[ImageFile.ImageFile]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), JpegImageFile),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImageFile),
    (re.compile(rb"GIF8[79]a"), GifImageFile),
    (re.compile(rb"BM"), BmpImageFile),
    (re.compile(rb"II\*\0|MM\0\*|II\+\0|MM\0\+"), TiffImageFile),
)


def _plugin(data: bytes) -> type[ImageFile.ImageFile] | None:
    """Names the reader by the first bytes alone.

    `Image.open(formats=...)` would do the same, but has its own limit of pixels, a global one.
    """
    return next((plugin for magic, plugin in _FORMATS if magic.match(data)), None)


def _check_size(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels or max(size) > limits.max_side:
        raise ImageError(
            "too_many_pixels",
            f"{width:,} x {height:,} pixels; at most {limits.max_pixels:,} are taken, "
            f"and {limits.max_side:,} a side",
        )
    if width < 1 or height < 1:
        raise ImageError("undecodable", "a picture without pixels")


_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def _check_scans(data: bytes) -> None:
    """Refuses a JPEG with more than `MAX_SCANS` scans: each costs a pass over all the pixels."""
    if data.count(b"\xff\xda") <= MAX_SCANS:  # the rule; what follows passes over metadata
        return
    scans, position = 0, 2
    while marker := _MARKER.search(data, position):
        position, kind = marker.end(), data[marker.end() - 1]
        if kind == 0xD9:
            break
        scans += kind == 0xDA
        if kind != 0x01 and len(data) >= position + 2:
            position += int.from_bytes(data[position : position + 2], "big")
    if scans > MAX_SCANS:
        raise ImageError(
            "undecodable", f"{scans:,} scans in one JPEG; at most {MAX_SCANS} are taken"
        )


@contextmanager
def _as_image_error() -> Iterator[None]:
    with quiet_pillow():
        try:
            yield
        except ImageError:
            raise
        except Image.DecompressionBombError:
            raise ImageError("too_many_pixels") from None
        except FAULTS:
            raise ImageError("undecodable") from None


_quiet_lock = threading.Lock()
_quiet_users = 0
_quiet_filters = warnings.catch_warnings()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keeps Pillow's own warnings about odd files from the user: a picture is taken or refused.

    `warnings.catch_warnings` is global and not made for threads, so the first decoder in enters it
    and the last one out leaves it. Entering again inside is cheap.
    """
    global _quiet_users, _quiet_filters
    with _quiet_lock:
        _quiet_users += 1
        if _quiet_users == 1:
            _quiet_filters = warnings.catch_warnings()
            _quiet_filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if _quiet_users == 0:
                _quiet_filters.__exit__(None, None, None)
