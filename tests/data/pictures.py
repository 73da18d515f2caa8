"""Images and image files made on the spot, for tests; and what must happen to bad ones."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seewhy.data.images.decode import decode
from seewhy.errors import ImageError

LOSSLESS = ("PNG", "TIFF", "WEBP", "BMP")
RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)

# How an upright image lies in the file, by its orientation tag (TIFF 6.0, EXIF 2.3).
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


def exif(orientation: object) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def noise(height: int = 12, width: int = 16, seed: int = 0) -> np.ndarray:
    """Random colours, uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def blocks(height: int = 24, width: int = 32) -> np.ndarray:
    """Flat 8x8 blocks of random colours: what JPEG keeps within 2 levels."""
    return noise(height // 8, width // 8, 1).repeat(8, 0).repeat(8, 1)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of a file; exact where the format can be."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    if kind == "WEBP":
        options = {"lossless": True, "exact": True, **options}
    if kind == "JPEG":
        options = {"quality": 100, "subsampling": 0, **options}
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG written by hand; `rows` begin with a filter byte each, `extra` are chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows)) if rows else b""
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + extra + pixels + chunk(b"IEND", b"")


def tiff(
    pixels: np.ndarray,
    bits: int,
    photometric: int,
    form: int = 1,
    order: str = "<",
    deflate: bool = False,
) -> bytes:
    """A TIFF written by hand, from (H, W) or (H, W, C) values or ready bytes (H, n)."""
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if bits == 12:
        width = width * 2 // 3
    data = pixels.tobytes()
    if pixels.dtype.itemsize > 1:
        data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    data = zlib.compress(data) if deflate else data
    data += b"\0" * (len(data) % 2)
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 1, bits),
        (259, 3, 1, 8 if deflate else 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 8),
        (277, 3, 1, channels),
        (278, 4, 1, height),
        (279, 4, 1, len(data)),
        (339, 3, 1, form),
    ]
    end = 8 + len(data)
    extra = b""
    if channels > 1:  # the bits and formats of each channel lie behind the directory
        place = end + 2 + 12 * len(tags) + 4
        tags[2] = (258, 3, channels, place)
        tags[9] = (339, 3, channels, place + 2 * channels)
        if channels == 2:  # both fit into the directory
            tags[2], tags[9] = (258, 3, 2, bits << 16 | bits), (339, 3, 2, form << 16 | form)
        extra = struct.pack(order + f"{2 * channels}H", *[bits] * channels, *[form] * channels)
    directory = struct.pack(order + "H", len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        packed = struct.pack(order + ("HH" if short else "I"), *((value, 0) if short else (value,)))
        directory += struct.pack(order + "HHI", tag, kind, count) + packed
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(order + "I", end) + data + directory + b"\0\0\0\0" + extra


def profile(red: int = 0, green: int = 1, blue: int = 2, size: int = 0) -> bytes:
    """An RGB ICC profile with sRGB's primaries, given out in this order, and its curve.

    `size` pads it to that many bytes.
    """
    primaries = [(0.4360, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)]

    def xyz(values: tuple[float, float, float]) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    terms = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1
    curve = b"para\0\0\0\0\0\3\0\0" + struct.pack(">5i", *(round(x * 65536) for x in terms))
    text = (
        b"mluc\0\0\0\0" + struct.pack(">II4sII", 1, 12, b"enUS", 8, 28) + "test".encode("utf-16-be")
    )
    bodies = {
        b"desc": text,
        b"cprt": text,
        b"wtpt": xyz((0.9642, 1.0, 0.8249)),
        b"rXYZ": xyz(primaries[red]),
        b"gXYZ": xyz(primaries[green]),
        b"bXYZ": xyz(primaries[blue]),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    table, data = struct.pack(">I", len(bodies)), b""
    start = 128 + 4 + 12 * len(bodies)
    for name, body in bodies.items():
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    total = max(start + len(data), size)
    header = struct.pack(">I4sI4s4s4s", total, b"\0\0\0\0", 0x04000000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return (header.ljust(128, b"\0") + table + data).ljust(total, b"\0")


def code(action: object, *arguments: object) -> str:
    """The code of the `ImageError` that a call must raise."""
    with pytest.raises(ImageError) as caught:
        action(*arguments)
    return caught.value.code


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode(data))


def near(data: bytes, expected: object, within: int = 2) -> None:
    found = pixels(data).astype(int)
    expected = np.broadcast_to(expected, found.shape)
    assert np.abs(found - expected).max() <= within


def class_folders(root: Path, counts: dict[str, int], side: int = 8, start: int = 0) -> Path:
    """Writes `counts[name]` different images to each folder `root/name`, PNG."""
    seed = start
    for name, count in counts.items():
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (folder / f"{number:05}.png").write_bytes(encoded(noise(side, side, seed)))
            seed += 1
    return root


def put(root: Path, *names: str, data: bytes | None = None) -> Path:
    """Writes a file (the same image, or `data`) under each of these names."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(noise()) if data is None else data)
    return root


def scenes(count: int, side: int = 32, seed: int = 0) -> np.ndarray:
    """Images with as much detail of each size as nature's (amplitude 1/f), uint8 (N, side, side, 3)."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(count, 3, side, side))) / frequency
    grey = np.fft.irfft2(spectrum, (side, side))
    grey[:, 1:] += 2 * grey[:, :1]  # colours go together
    grey /= grey.std((1, 2, 3), keepdims=True)
    return np.clip(127 + 45 * grey, 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def write_scenes(root: Path, counts: dict[str, int], side: int = 32, seed: int = 0) -> Path:
    """Writes `counts[folder]` different scenes to each folder below `root`, PNG."""
    pictures = iter(scenes(sum(counts.values()), side, seed))
    for folder, count in counts.items():
        for number in range(count):
            put(root, f"{folder}/{number:03}.png", data=encoded(next(pictures)))
    return root
