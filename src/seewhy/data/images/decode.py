"""From the bytes of an image to stored pixels: the only module that opens images.

Colours are converted in `colour`. Only the first frame is read, and rotated upright.
Only `ImageError` is raised for an image, and no global setting of Pillow is changed; its log and libtiff are
silent (`quiet`). What all threads decode at once is bounded by pixels (`at_once`).
"""

import hashlib
import os
import re
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import TiffImageFile

from seewhy.config.input_rule import PADDING, InputRule
from seewhy.data.images.at_once import decoding
from seewhy.data.images.colour import FAULTS, Depth, deep_values, is_deep, to_srgb, upright
from seewhy.data.images.deep_colour import choose_lower_byte, has_deep_colours, joined
from seewhy.data.images.formats import FORMATS, Reader, why_not
from seewhy.data.images.quiet import quiet_pillow
from seewhy.data.images.tiff import unread_layout
from seewhy.errors import ImageError
from seewhy.files import NO_LINKS, READ


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

    `source` is a path, the bytes of a file, a Pillow image, or an array `(H, W, 3)` or `(H, W)` of uint8 or
    uint16. Raises `ImageError`.
    """
    return read_sized(source, rule, limits)[0]


def read_sized(
    source: ImageLike, rule: InputRule, limits: Limits = LOCAL
) -> tuple[np.ndarray, tuple[int, int]]:
    """Returns what `read` does, and width and height of the whole image; raises `ImageError`."""
    with opened(source, limits) as image:
        rgb = _rgb(image, rule.depth)
        return store(rgb, rule), rgb.size


class Read(NamedTuple):
    """The stored pixels of an image, its content hash, and width and height of the whole image."""

    pixels: np.ndarray
    hash: str
    size: tuple[int, int]


def read_hashed(source: ImageLike, rule: InputRule) -> Read:
    """Returns the stored pixels of one image, its content hash and its size; raises `ImageError`.

    By a rule with a depth, the hash of an image of more than 8 bits is over all its bits: it is the same for
    every depth, and images are not taken for copies because they are dark.
    """
    with opened(source) as image:
        rgb = _rgb(image, rule.depth)
        pixels = store(rgb, rule)
        whole: Image.Image | np.ndarray = pixels if rgb.size == pixels.shape[:2] else rgb
        if rule.depth is not None and is_deep(image):
            whole = deep_values(image)
        return Read(pixels, content_hash(whole), rgb.size)


def open_image(
    source: ImageLike, limits: Limits = LOCAL, depth: Depth | None = None
) -> Image.Image:
    """Returns one image of any kind, upright and in 8-bit RGB; raises `ImageError`."""
    with opened(source, limits) as image:
        return _rgb(image, depth)


def values_of(source: ImageLike) -> np.ndarray:
    """Returns all that is read of one image, upright; raises `ImageError`.

    Of more than 8 bits float32 `(H, W)` or `(H, W, 3)`, else uint8 `(H, W, 3)` in RGB.
    """
    with opened(source) as image:
        return deep_values(image) if is_deep(image) else np.asarray(_rgb(image, None))


@contextmanager
def opened(source: ImageLike, limits: Limits = LOCAL) -> Iterator[Image.Image | np.ndarray]:
    """Yields one image of any kind, upright, in its own mode and depth; raises `ImageError`.

    Until the block ends, its pixels count among those that are decoded at once. Colours of 16 bits are an
    array of uint16, since Pillow has no mode for them.
    """
    if isinstance(source, ImageError):
        raise source
    if isinstance(source, np.ndarray):
        _check_array(source, limits)
        with decoding(source.shape[0] * source.shape[1]):
            yield source if is_deep(source) else Image.fromarray(source)
    elif isinstance(source, Image.Image):
        _check_size(source.size, limits)
        with decoding(source.width * source.height):
            yield _upright(source)
    else:
        with _turn_and_data(source, limits) as (image, data):
            if isinstance(image, JpegImageFile):
                _check_scans(data)
            if not has_deep_colours(image):
                yield _upright(image)
            else:
                lower = _header(BytesIO(data), limits)
                choose_lower_byte(lower)
                yield joined(_upright(image), _upright(lower))


_LARGE = 1 << 20  # bytes of a file that are not read before it is its turn


@contextmanager
def _turn_and_data(
    source: str | Path | bytes, limits: Limits
) -> Iterator[tuple[ImageFile.ImageFile, bytes]]:
    """Yields an image, whose pixels are not unpacked yet, and its bytes when it may be decoded."""
    with ExitStack() as turn:
        if isinstance(source, bytes):
            data = source
            if len(data) > limits.max_bytes:
                raise ImageError(
                    "too_large", f"{len(data):,} bytes; the limit is {limits.max_bytes:,}"
                )
            waited = False
        else:
            with regular_file(source) as file:
                if waited := os.fstat(file.fileno()).st_size > _LARGE:
                    turn.enter_context(decoding(_pixels(_header(file, limits))))
                data = _bytes(file, limits)
        image = _header(BytesIO(data), limits)
        if not waited:
            turn.enter_context(decoding(_pixels(image)))
        yield image, data


def decode(data: bytes, limits: Limits = LOCAL) -> Image.Image:
    """Returns the first frame of an image file, upright and in 8-bit RGB; raises `ImageError`.

    The size is checked from the header, before any pixel is unpacked.
    """
    return open_image(data, limits)


def read_file(path: str | Path, limits: Limits = LOCAL) -> bytes:
    """Returns the bytes of a regular file; a pipe or device is refused without waiting for it."""
    with regular_file(path) as file:
        return _bytes(file, limits)


@contextmanager
def regular_file(path: str | Path) -> Iterator[BinaryIO]:
    """Opens a regular file to read; a pipe or device is refused without waiting. Raises `ImageError`."""
    links = NO_LINKS if isinstance(path, ListedPath) else 0
    try:
        handle = os.open(path, READ | links)
    except (FileNotFoundError, NotADirectoryError):
        raise ImageError("not_found") from None
    except (OSError, ValueError):  # ValueError: a NUL in the name
        raise ImageError("unreadable") from None
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise ImageError("not_a_file", "a folder, not a file" if stat.S_ISDIR(mode) else "")
    with open(handle, "rb") as file:
        yield file


def _bytes(file: BinaryIO, limits: Limits) -> bytes:
    file.seek(0)
    try:
        # `read` allocates all bytes that are requested, here one more than there should be.
        data = file.read(min(os.fstat(file.fileno()).st_size, limits.max_bytes) + 1)
    except OSError:
        raise ImageError("unreadable") from None
    if len(data) > limits.max_bytes:
        raise ImageError("too_large", f"more than {limits.max_bytes:,} bytes")
    return data


def measure(source: ImageLike) -> tuple[tuple[int, int], bool]:
    """Returns the size of an image (before rotation), and whether it has more than 8 bits a channel.

    Only its header is read. Raises `ImageError`.
    """
    if isinstance(source, ImageError):
        raise source
    if isinstance(source, np.ndarray):
        return (source.shape[1], source.shape[0]), is_deep(source)
    if isinstance(source, Image.Image):
        return source.size, is_deep(source)
    with BytesIO(source) if isinstance(source, bytes) else regular_file(source) as file:
        image = _header(file, LOCAL)
        return image.size, is_deep(image) or has_deep_colours(image)


def has_more_frames(data: bytes) -> bool:
    """Says whether a file that was read has frames after the first; they are not counted, nor decoded."""
    with quiet_pillow():
        try:
            image = _plugin(data[:16])(BytesIO(data))
            if isinstance(image, TiffImageFile):
                return bool(image.tag_v2.next)  # where the next frame is
            return bool(getattr(image, "is_animated", False))
        except FAULTS:  # of what follows the first frame
            return False


def is_image(head: bytes) -> bool:
    """Says whether a file that starts with these (at least 16) bytes has an allowed format."""
    return any(magic.match(head) for magic, _ in FORMATS)


def _upright(image: Image.Image) -> Image.Image:
    with _as_image_error():
        image.load()
        return upright(image)


def _rgb(image: Image.Image | np.ndarray, depth: Depth | None) -> Image.Image:
    with _as_image_error():
        return to_srgb(image, depth)


def _check_array(array: np.ndarray, limits: Limits) -> None:
    if array.dtype.type not in (np.uint8, np.uint16):
        raise ImageError(
            "unsupported_depth", f"an array must be uint8 or uint16, this one is {array.dtype}"
        )
    if array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)) or 0 in array.shape:
        raise ImageError("undecodable", f"an array must be (H, W, 3) or (H, W), not {array.shape}")
    _check_size((array.shape[1], array.shape[0]), limits)


def store(rgb: Image.Image, rule: InputRule) -> np.ndarray:
    """Returns an image made square by a rule, uint8 `(store, store, 3)`.

    It is resized by the interpolation of the rule, antialiased when it shrinks.
    """
    across, down = rule.sides(*rgb.size)
    stored = (across.stored, down.stored)
    if rgb.size != stored:
        corner = (across.start, down.start)
        box = (*corner, across.start + across.length, down.start + down.length)
        rgb = rgb.resize(stored, Image.Resampling[rule.interpolation.upper()], box)
    if stored == (rule.store, rule.store):
        return np.asarray(rgb)
    square = np.full((rule.store, rule.store, 3), PADDING, np.uint8)
    top, left = down.offset, across.offset
    square[top : top + down.stored, left : left + across.stored] = np.asarray(rgb)
    return square


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


def _header(file: BinaryIO, limits: Limits) -> ImageFile.ImageFile:
    """Returns the image in a file without its pixels, its size checked; raises `ImageError`."""
    plugin = _plugin(file.read(16))
    file.seek(0)
    with _as_image_error():
        try:
            image = plugin(file)
        except FAULTS:
            layout = unread_layout(file) if plugin is TiffImageFile else None
            raise ImageError(
                "unsupported_layout" if layout else "undecodable", layout or ""
            ) from None
        _check_size(image.size, limits)
        if isinstance(image, TiffImageFile):
            _check_size(_tile(image), limits)
        return image


def _pixels(image: ImageFile.ImageFile) -> int:
    """Returns how many pixels are unpacked."""
    width, height = _tile(image) if isinstance(image, TiffImageFile) else (1, 1)
    return max(image.width * image.height, width * height)


def _tile(image: TiffImageFile) -> tuple[int, int]:
    """Returns the size of a tile: all of it is unpacked, even for a small image."""
    return image.tag_v2.get(322, 1), image.tag_v2.get(323, 1)


def _plugin(head: bytes) -> Reader:
    """Returns the reader for a file's first bytes, or raises `ImageError`.

    `Image.open(formats=...)` would do the same, but has a global limit of pixels.
    """
    for magic, plugin in FORMATS:
        if magic.match(head):
            return plugin
    raise ImageError("unsupported_format", why_not(head))


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
