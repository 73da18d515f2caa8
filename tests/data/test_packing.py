"""How images are encoded when they are packed."""

import io

import numpy as np
import pytest
from PIL import Image

from seewhy.config.input_rule import InputRule
from seewhy.data.images.decode import read
from seewhy.data.packing import encode
from seewhy.errors import ImageError

RULE = InputRule(size=8, store=10)


def encoded(kind, size, **settings):
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3))
    Image.fromarray(pixels.astype(np.uint8)).save(file, kind, **settings)
    return file.getvalue()


def test_a_jpeg_of_the_stored_size_is_copied():
    data = encoded("JPEG", (10, 10), quality=40)
    assert encode(data, RULE).data == data
    assert encode(encoded("JPEG", (12, 10)), RULE).data != data


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_others_become_jpegs_of_the_stored_size(kind):
    one = encode(encoded(kind, (40, 30)), RULE)
    with Image.open(io.BytesIO(one.data)) as image:
        assert image.size == (10, 10) and image.format == "JPEG"
    assert one.size == (40, 30) and len(one.hash) == 32


def test_pixels_are_those_of_the_cache():
    data = encoded("PNG", (40, 30))
    assert encode(data, RULE, raw=True).data == read(data, RULE).tobytes()


def test_a_turned_jpeg_is_turned_once():
    data = encoded(
        "JPEG",
        (10, 10),
        exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
    )
    assert np.array_equal(read(encode(data, RULE).data, RULE), read(data, RULE))


def test_what_is_no_image():
    with pytest.raises(ImageError):
        encode(b"\xff\xd8\xffno", RULE)
