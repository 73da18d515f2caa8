"""An image as its pixels alone."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from seewhy.data.images.decode import UPLOAD, decode, values_of
from seewhy.data.images.metadata import without_metadata
from seewhy.errors import ImageError

NOISE = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def file(pixels, format, **options):
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, format, **options)
    return sink.getvalue()


def info():
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "somebody")
    return info


@pytest.mark.parametrize(
    ("format", "options", "kept"),
    [
        ("PNG", {"pnginfo": info()}, "PNG"),
        ("BMP", {}, "PNG"),
        ("PPM", {}, "PNG"),
        ("TIFF", {"description": "of somebody"}, "PNG"),
        ("JPEG", {"comment": b"of somebody"}, "JPEG"),
        ("WEBP", {"exif": b"Exif\0\0of somebody"}, "JPEG"),
    ],
)
def test_nothing_but_the_pixels_is_left(format, options, kept):
    data = file(NOISE, format, **options)
    assert b"somebody" in data or format in ("BMP", "PPM")
    plain = without_metadata(data, UPLOAD)
    assert b"somebody" not in plain
    with Image.open(io.BytesIO(plain)) as image:
        assert image.format == kept
        assert {*image.info} <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    before, after = (np.asarray(decode(one)).astype(int) for one in (data, plain))
    assert np.abs(before - after).mean() < (0.01 if kept == "PNG" else 3)


def test_grey_of_16_bits_keeps_its_bits():
    deep = NOISE[..., 0].astype(np.uint16) * 257
    assert np.array_equal(
        values_of(without_metadata(file(deep, "PNG"), UPLOAD)), deep.astype(np.float32)
    )
    with pytest.raises(ImageError):
        without_metadata(file(deep, "TIFF"), UPLOAD)


def test_what_is_no_image_is_refused():
    with pytest.raises(ImageError):
        without_metadata(b"no image", UPLOAD)
