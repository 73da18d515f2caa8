"""What the values of an image mean: golden pixels for every orientation, mode, depth and profile (R5)."""

import struct

import numpy as np
import pytest
from data.pictures import (
    LOSSLESS,
    RAMP,
    STORED,
    blocks,
    chunk,
    code,
    encoded,
    exif,
    near,
    noise,
    pixels,
    png,
    profile,
    tiff,
)
from PIL import Image

from seewhy.data.images.colour import MAX_PROFILE
from seewhy.data.images.decode import decode, measure, open_image

# ------------------------------------------------------------------ orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_turned_images_come_out_upright(kind, orientation):
    upright = blocks()
    stored = np.ascontiguousarray(STORED[orientation](upright))
    options = {"tiffinfo": {274: orientation}} if kind == "TIFF" else {"exif": exif(orientation)}
    data = encoded(stored, kind, **options)
    near(data, upright, 2 if kind == "JPEG" else 0)
    assert sorted(measure(data)[0]) == sorted(upright.shape[:2])


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_a_compressed_tiff_is_turned_once(compression):
    stored = np.ascontiguousarray(STORED[6](blocks()))
    near(encoded(stored, "TIFF", tiffinfo={274: 6}, compression=compression), blocks(), 0)


@pytest.mark.parametrize(
    "bad",
    [
        b"Exif\0\0garbage",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        exif(9),
        exif(0),
        b"Exif\0\0" + exif(6)[6:20],
        b"",
    ],
    ids=["garbage", "far offset", "nine", "zero", "cut", "empty"],
)
def test_a_damaged_orientation_is_ignored(bad):
    near(encoded(noise(), "PNG", exif=bad), noise(), 0)


def test_an_orientation_in_xmp_counts():
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    near(encoded(blocks(), "JPEG", xmp=packet), blocks()[::-1, ::-1])


# ------------------------------------------------------------------ colours


@pytest.mark.parametrize("kind", LOSSLESS)
def test_plain_colours_are_kept(kind):
    near(encoded(noise(), kind), noise(), 0)


CMYK = [(0, 0, 0, 0), (255, 0, 0, 0), (0, 128, 255, 0), (40, 80, 120, 60), (0, 0, 0, 255)]


@pytest.mark.parametrize("inks", CMYK)
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_inks_multiply_with_black(kind, inks):
    image = Image.new("CMYK", (16, 16), inks)
    near(encoded(image, kind), [(255 - ink) * (255 - inks[3]) / 255 for ink in inks[:3]])


def test_a_jpeg_of_ycck_is_turned_into_inks_first():
    y, cb, cr, k = 90, 150, 110, 30  # as they lie in the file, where Adobe keeps all inverted
    image = Image.new("CMYK", (16, 16), tuple(255 - value for value in (y, cb, cr, k)))
    data = encoded(image, "JPEG")
    place = data.index(b"Adobe\0") + 11
    assert data[place] == 0
    data = data[:place] + b"\2" + data[place + 1 :]
    red, green, blue = (
        y + 1.402 * (cr - 128),
        y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
        y + 1.772 * (cb - 128),
    )
    # The inks are 255 - (255 - rgb), black is 255 - k: each colour is what both let through.
    near(data, [(255 - ink) * k / 255 for ink in (red, green, blue)])


def test_lab_becomes_srgb():
    image = Image.new("LAB", (4, 4), (138, 128 + 81, 128 + 70))  # sRGB's red under D50
    near(encoded(image, "TIFF"), [255, 0, 0], 6)


def test_a_palette_and_black_and_white_become_colours():
    image = Image.fromarray(blocks()).quantize(8)
    near(encoded(image, "PNG"), np.asarray(image.convert("RGB")), 0)
    near(encoded(image, "GIF"), np.asarray(image.convert("RGB")), 0)
    bits = np.arange(64).reshape(8, 8) % 3 == 0
    near(encoded(Image.fromarray(bits), "PNG"), np.where(bits, 255, 0)[..., None], 0)
    near(encoded(Image.fromarray(bits), "TIFF"), np.where(bits, 255, 0)[..., None], 0)


# ------------------------------------------------------------------ transparency

ALPHA = np.linspace(0, 255, 12 * 16).round().astype(np.uint8).reshape(12, 16, 1)


def on_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.rint(colour * (alpha / 255.0) + 255 - alpha.astype(float))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_transparent_colours_lie_on_white(kind):
    image = Image.fromarray(np.concatenate([noise(), ALPHA], 2))
    near(encoded(image, kind), on_white(noise(), ALPHA), 1)


def test_transparent_grey_lies_on_white():
    grey = noise()[..., :1]
    image = Image.fromarray(np.concatenate([grey, ALPHA], 2), "LA")
    near(encoded(image, "PNG"), on_white(grey, ALPHA), 1)


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_colours_multiplied_by_alpha_lie_on_white(mode):
    image = Image.new(mode.upper(), (4, 4), (200, 100) if mode == "La" else (200, 10, 0, 100))
    found = np.asarray(open_image(image.convert(mode)))[0, 0].astype(int)
    colour = np.array([200, 200, 200] if mode == "La" else [200, 10, 0])
    assert np.abs(found - on_white(colour, np.array([100]))).max() <= 2


def test_a_palette_with_alpha_lies_on_white():
    image = Image.new("P", (4, 4))
    image.putpalette([200, 10, 0] * 256)
    image = image.convert("PA")
    image.putalpha(Image.new("L", (4, 4), 100))
    assert image.mode == "PA"
    assert (
        np.abs(
            np.asarray(open_image(image))[0, 0] - on_white(np.array([200, 10, 0]), np.array([100]))
        ).max()
        <= 1
    )


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_one_transparent_colour_of_a_palette_is_white(kind):
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    assert pixels(encoded(image, kind, transparency=1)).tolist() == [[[10, 20, 30], [255] * 3]]


def test_a_palette_with_many_alphas_lies_on_white():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    found = pixels(encoded(image, "PNG", transparency=bytes([255, 51])))
    assert found.tolist() == [[[10, 20, 30], [212, 214, 216]]]


@pytest.mark.parametrize(
    "image, key",
    [(Image.new("L", (2, 1), 9), 9), (Image.new("RGB", (2, 1), (1, 2, 3)), (1, 2, 3))],
    ids=["grey", "colour"],
)
def test_the_one_transparent_colour_of_a_png_is_white(image, key):
    image.putpixel((1, 0), 7 if image.mode == "L" else (7, 7, 7))
    assert pixels(encoded(image, "PNG", transparency=key)).tolist() == [[[255] * 3, [7] * 3]]


def test_a_transparent_16_bit_grey_is_compared_in_full():
    rows = b"\0" + struct.pack(">4H", 0, 256, 257, 65535)
    found = pixels(png(4, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 257))))
    assert found[0, :, 0].tolist() == [0, 1, 255, 255]


def test_a_transparent_16_bit_colour_is_ignored():
    rows = b"\0" + struct.pack(">6H", 256, 256, 256, 257, 257, 257)
    found = pixels(png(2, 1, 16, 2, rows, chunk(b"tRNS", struct.pack(">3H", 257, 257, 257))))
    assert found.tolist() == [[[1] * 3, [1] * 3]]


# ------------------------------------------------------------------ depth


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_16_bit_ramp_keeps_256_levels(kind):
    found = pixels(encoded(Image.fromarray(RAMP), kind))
    assert np.array_equal(found, (RAMP >> 8)[..., None].repeat(3, 2))
    assert len(np.unique(found)) == 256


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("colour", [False, True])
def test_a_16_bit_tiff_keeps_its_upper_byte(order, colour):
    values = np.stack([RAMP, RAMP.T, RAMP[::-1]], 2) if colour else RAMP
    found = pixels(tiff(values, 16, 2 if colour else 1, order=order))
    assert np.array_equal(found, np.broadcast_to((values >> 8).reshape(256, 256, -1), found.shape))


def test_a_16_bit_png_in_colour_keeps_its_upper_byte():
    values = np.stack([RAMP, RAMP.T, RAMP[::-1]], 2)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    assert np.array_equal(pixels(png(256, 256, 16, 2, rows)), values >> 8)


def test_a_16_bit_png_with_alpha_lies_on_white():
    rows = b"\0" + struct.pack(">4H", 0x1234, 0xFFFF, 0x1234, 0)
    assert pixels(png(2, 1, 16, 4, rows)).tolist() == [[[0x12] * 3, [255] * 3]]


def test_a_12_bit_tiff_keeps_its_upper_8_bits():
    packed = np.array([[0x12, 0x3F, 0xFF]], np.uint8)  # 0x123 and 0xFFF
    assert pixels(tiff(packed, 12, 1))[0, :, 0].tolist() == [0x12, 0xFF]


@pytest.mark.parametrize(
    "values, expected",
    [
        ([0, 256, 65535], [0, 1, 255]),
        ([0, 100, 255], [0, 100, 255]),
        ([0, 255, 256], [0, 0, 1]),
    ],
    ids=["16 bits", "8 bits", "just above 8 bits"],
)
@pytest.mark.parametrize("kind", [np.int32, np.float32, np.int16])
def test_the_largest_value_says_the_scale_of_a_deep_image(kind, values, expected):
    if kind is np.int16 and max(values) > 32767:
        values, expected = [0, 256, 32767], [0, 1, 127]
    form = 3 if kind is np.float32 else 2
    data = tiff(np.array([values], kind), np.dtype(kind).itemsize * 8, 1, form)
    assert pixels(data)[0, :, 0].tolist() == expected


def test_floats_within_one_are_parts_of_one():
    data = tiff(np.array([[0, 0.5, 1]], np.float32), 32, 1, 3)
    assert pixels(data)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [-1, 65536, np.nan, np.inf, -0.001, 65535.5])
def test_values_beyond_16_bits_are_refused(value):
    data = tiff(np.array([[0, value]], np.float32), 32, 1, 3)
    assert code(decode, data) == "unsupported_depth"


@pytest.mark.parametrize("value", [-1, 65536])
def test_integers_beyond_16_bits_are_refused(value):
    assert code(decode, tiff(np.array([[0, value]], np.int32), 32, 1, 2)) == "unsupported_depth"


# ------------------------------------------------------------------ profiles


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_profile_is_converted_to_srgb(kind):
    swapped = profile(red=2, blue=0)
    near(encoded(blocks(), kind, icc_profile=swapped), blocks()[..., ::-1], 4)


def test_a_profile_of_srgb_changes_nothing_much():
    near(encoded(blocks(), "PNG", icc_profile=profile()), blocks(), 1)


@pytest.mark.parametrize(
    "bad",
    [b"garbage", profile(2, 1, 0)[:200], profile(2, 1, 0).replace(b"RGB ", b"GRAY"), b"\0" * 500],
    ids=["garbage", "cut", "of grey", "zeros"],
)
def test_a_bad_profile_is_ignored(bad):
    near(encoded(noise(), "PNG", icc_profile=bad), noise(), 0)


def test_a_profile_is_taken_up_to_its_limit():
    # TIFF alone: the others cut or compress profiles.
    swapped = noise()[..., ::-1].astype(int)
    at_limit = pixels(encoded(noise(), "TIFF", icc_profile=profile(2, 1, 0, size=MAX_PROFILE)))
    assert np.abs(at_limit - swapped).max() <= 2
    near(encoded(noise(), "TIFF", icc_profile=profile(2, 1, 0, size=MAX_PROFILE + 1)), noise(), 0)


def test_colours_are_converted_before_they_lie_on_white():
    image = Image.new("RGBA", (2, 2), (255, 0, 0, 51))
    near(encoded(image, "PNG", icc_profile=profile(red=2, blue=0)), [204, 204, 255], 2)
