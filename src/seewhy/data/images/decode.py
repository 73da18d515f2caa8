"""From the bytes of an image to stored pixels: the only module that opens images.

Colours are converted in `colour`. Only the first frame is read, and rotated upright.
Only `ImageError` is raised for an image, and no global setting of Pillow is changed.
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
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from seewhy.config.input_rule import InputRule
from seewhy.data.images.colour import FAULTS, to_srgb, upright
from seewhy.data.images.formats import FORMATS, Reader, why_not
from seewhy.errors import ImageError


class ListedPath(type(Path())):  # type: ignore[misc]
    """A path without links, found by listing a folder; a link that takes its place is not followed."""


# The last is the reason why there is no image; it is raised when the image is read.
ImageLike = str | Path | bytes | Image.Image | np.ndarray | ImageError


@dataclass(frozen=True)
class Limits:
    """Limits of an image: file size in bytes, pixels, and the longer side in pixels."""

    max_bytes: int
    max_pixels: int
    max_side: int


LOCAL = Limits(max_bytes=2 << 30, max_pixels=200_000_000, max_side=65_500)
UPLOAD = Limits(max_bytes=10 << 20, max_pixels=25_000_000, max_side=16_384)

# Of a progressive JPEG; encoders write about ten, and each costs a pass over the pixels.
MAX_SCANS = 100


def read(source: ImageLike, rule: InputRule, limits: Limits = LOCAL) -> np.ndarray:
    """Returns the stored pixels of one image, uint8 `(store, store, 3)`, equal for every kind of source.

    `source` is a path, the bytes of a file, a Pillow image, or a uint8 array `(H, W, 3)` or `(H, W)`.
    Raises `ImageError`.
    """
    return store(open_image(source, limits), rule.store)


def open_image(source: ImageLike, limits: Limits = LOCAL) -> Image.Image:
    """Returns one image of any kind, upright and in RGB; raises `ImageError`."""
    if isinstance(source, ImageError):
        raise source
    if isinstance(source, Image.Image):
        return to_rgb(source, limits)
    if isinstance(source, np.ndarray):
        return from_array(source, limits)
    return decode(source if isinstance(source, bytes) else read_file(source, limits), limits)


def read_file(path: str | Path, limits: Limits = LOCAL) -> bytes:
    """Returns the bytes of a regular file; a pipe or device is refused without waiting for it."""
    links = os.O_NOFOLLOW if isinstance(path, ListedPath) else 0
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | links)
        with open(handle, "rb") as file:
            seen = os.fstat(handle)
            if not stat.S_ISREG(seen.st_mode):
                raise ImageError("not_a_file")
            # `read` allocates all bytes that are requested, here one more than there should be.
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
    """Returns the first frame of an image file, upright and in RGB; raises `ImageError`.

    The size is checked from the header, before any pixel is unpacked.
    """
    if len(data) > limits.max_bytes:
        raise ImageError("too_large", f"{len(data):,} bytes; the limit is {limits.max_bytes:,}")
    plugin = _plugin(data)
    with _as_image_error():
        image = plugin(BytesIO(data))
        _check_size(image.size, limits)
        if isinstance(image, TiffImageFile):  # a whole tile is unpacked, even for a small image
            _check_size((image.tag_v2.get(322, 1), image.tag_v2.get(323, 1)), limits)
        if plugin is JpegImageFile:
            _check_scans(data)
        return _rgb(image)


def measure(source: ImageLike) -> tuple[int, int]:
    """Returns width and height from an image's header (before rotation); raises `ImageError`."""
    if isinstance(source, ImageError):
        raise source
    if isinstance(source, Image.Image):
        return source.size
    if isinstance(source, np.ndarray):
        return source.shape[1], source.shape[0]
    data = source if isinstance(source, bytes) else read_file(source)
    plugin = _plugin(data)
    with _as_image_error():
        return plugin(BytesIO(data)).size


def is_image(head: bytes) -> bool:
    """Says whether a file that starts with these (at least 16) bytes has an allowed format."""
    return any(magic.match(head) for magic, _ in FORMATS)


def to_rgb(image: Image.Image, limits: Limits = LOCAL) -> Image.Image:
    """Returns a Pillow image upright and in RGB; raises `ImageError`."""
    with _as_image_error():
        _check_size(image.size, limits)
        return _rgb(image)


def _rgb(image: Image.Image) -> Image.Image:
    image.load()
    return to_srgb(upright(image))


def from_array(array: np.ndarray, limits: Limits = LOCAL) -> Image.Image:
    """Returns a uint8 array `(H, W, 3)` or grey `(H, W)` as an image; raises `ImageError`."""
    if array.dtype != np.uint8:
        raise ImageError("unsupported_depth", f"an array must be uint8, this one is {array.dtype}")
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or 0 in array.shape:
        raise ImageError("undecodable", f"an array must be (H, W, 3) or (H, W), not {array.shape}")
    _check_size((array.shape[1], array.shape[0]), limits)
    return Image.fromarray(array).convert("RGB")


def store(rgb: Image.Image, side: int) -> np.ndarray:
    """Returns the centre square of an image at `side` pixels, uint8 `(side, side, 3)`.

    The shorter side is resized to `side` by bicubic interpolation, antialiased when it shrinks.
    """
    short = min(rgb.size)
    left, top = (rgb.width - short) // 2, (rgb.height - short) // 2
    if rgb.size != (side, side):
        box = (left, top, left + short, top + short)
        rgb = rgb.resize((side, side), Image.Resampling.BICUBIC, box)
    return np.asarray(rgb)


def centre(images: np.ndarray, size: int) -> np.ndarray:
    """Returns the centre `size` x `size` of stored images `(..., S, S, 3)`, as a view."""
    start = (images.shape[-2] - size) // 2
    return images[..., start : start + size, start : start + size, :]


def content_hash(rgb: Image.Image | np.ndarray) -> str:
    """Returns 32 hex digits of the sha256 over the size and the pixels of a whole upright image.

    The image may come as its pixels, uint8 `(H, W, 3)`.
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


# ------------------------------------------------------------------ opening, and its errors


def _plugin(data: bytes) -> Reader:
    """Returns the reader for a file's first bytes, or raises `ImageError`.

    `Image.open(formats=...)` would do the same, but has a global limit of pixels.
    """
    for magic, plugin in FORMATS:
        if magic.match(data):
            return plugin
    raise ImageError("unsupported_format", why_not(data))


def _check_size(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.max_pixels or max(size) > limits.max_side:
        raise ImageError(
            "too_many_pixels",
            f"{width:,} x {height:,} pixels; at most {limits.max_pixels:,} are allowed, "
            f"and {limits.max_side:,} per side",
        )
    if width < 1 or height < 1:
        raise ImageError("undecodable", "an image without pixels")


_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def _check_scans(data: bytes) -> None:
    """Refuses a JPEG with more than `MAX_SCANS` scans: each costs a pass over all the pixels."""
    if data.count(b"\xff\xda") <= MAX_SCANS:  # nearly always; the rest ignores metadata
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
        raise ImageError("undecodable", f"{scans:,} scans in a JPEG; at most {MAX_SCANS} are read")


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
    """Hides Pillow's warnings about odd files from the user: an image is read or refused.

    `warnings.catch_warnings` is global and not thread-safe, so the first decoder to start enters it
    and the last one to finish leaves it. Nesting is cheap.
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
