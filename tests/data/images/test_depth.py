"""Values of more than 8 bits: one range for a training set, by which every image is read."""

import zlib

import numpy as np
import pytest
from data.pictures import RAMP, chunk, encoded, noise, png, profile, tiff
from PIL import Image

from seewhy.config.input_rule import InputRule
from seewhy.data.images.colour import to_srgb
from seewhy.data.images.decode import measure, read, read_hashed, values_of
from seewhy.data.images.depth import common_depth, value_range


def grey(values: np.ndarray, depth) -> np.ndarray:
    return np.asarray(to_srgb(values.astype(np.uint16), depth))[..., 0]


@pytest.mark.parametrize(
    "low, high", [(0, 65_535), (0, 4_095), (241, 441), (1_000, 1_300), (61_000, 65_535), (7, 9_001)]
)
def test_a_ramp_over_a_files_own_range_keeps_200_levels(low, high):
    """R5."""
    ramp = np.linspace(low, high, 256 * 256).round().reshape(256, 256).astype(np.uint16)
    data = encoded(ramp)
    depth = common_depth([value_range(data)])
    assert depth[0] <= low + 1 and depth[1] >= high - 1
    stored = read(data, InputRule(size=256, store=256, depth=depth))
    assert len(np.unique(stored)) >= min(200, high - low)
    assert np.all(np.diff(stored[..., 0].ravel().astype(int)) >= 0)


def test_a_depth_is_rounded_to_a_sixteenth_so_that_subsets_share_it():
    depths = {common_depth([(low, high)]) for low in range(5) for high in range(3_970, 4_090, 7)}
    assert depths == {(0, 4_096)}
    assert common_depth([(240.0, 398.0)]) == (240, 400)
    assert common_depth([(0.001, 0.99)]) == (0, 1)
    assert common_depth([(0, 65_500)]) == (0, 65_535)
    assert common_depth([]) is None


@pytest.mark.parametrize("value", [0, 7, 0.5, 65_535])
def test_images_of_one_value_have_a_depth(value):
    low, high = common_depth([(value, value)] * 3)
    assert 0 <= low < high <= 65_535 and low <= value <= high


def test_hot_pixels_and_a_hundredth_of_the_images_do_not_decide():
    image = np.full((100, 100), 1_000, np.uint16)
    image[:50] = 3_000
    image[0, :5], image[1, :5] = 65_535, 0
    assert value_range(image) == (1_000, 3_000)
    assert common_depth([(0, 4_000)] * 299 + [(0, 65_535)]) == (0, 4_096)


def test_dark_images_stay_dark_beside_bright_ones():
    """A range for each image would make all alike."""
    depth = (0.0, 4_096.0)
    dark, bright = (read(np.full((4, 4), v, np.uint16), InputRule(size=4, store=4, depth=depth))
                    for v in (300, 3_000))  # fmt: skip
    assert dark.max() == 19 and bright.max() == 187


def test_what_lies_outside_becomes_black_or_white():
    assert grey(np.array([[0, 99, 100, 150, 200, 201, 65_535]]), (100.0, 200.0)).tolist() == [
        [0, 0, 0, 128, 255, 255, 255]
    ]


DEEP = (RAMP[:40, :50] * 7 % 4_096).astype(np.uint16)


@pytest.mark.parametrize("depth", [(0.0, 4_096.0), (100.0, 3_000.5), None])
def test_one_image_is_the_same_by_every_way_in(depth, tmp_path):
    rule = InputRule(size=30, store=30, depth=depth)
    (tmp_path / "a.png").write_bytes(encoded(DEEP))
    expected = read(tmp_path / "a.png", rule)
    big_endian = DEEP.astype(">u2")
    ways = [encoded(DEEP), encoded(DEEP, "TIFF"), Image.fromarray(DEEP), DEEP, big_endian]
    ways += [tiff(DEEP, 16, 1, order=">"), tiff(DEEP.astype(np.int32), 32, 1, 2)]
    ways += [tiff(DEEP.astype(np.float32), 32, 1, 3)]
    for image in ways:
        assert np.array_equal(read(image, rule), expected)
    hashes = {read_hashed(image, rule).hash for image in ways}
    assert len(hashes) == 1


def test_a_depth_leaves_8_bits_alone():
    for image in (encoded(noise()), encoded(noise()[..., 0]), noise(), encoded(noise(), "JPEG")):
        plain = InputRule(size=12, store=12)
        found = read_hashed(image, plain.model_copy(update={"depth": (3.0, 77.0)}))
        assert np.array_equal(found.pixels, read_hashed(image, plain).pixels)
        assert found.hash == read_hashed(image, plain).hash
        assert value_range(image) is None


def test_images_that_differ_below_the_upper_byte_are_no_copies():
    rule = InputRule(size=4, store=4)
    deep = rule.model_copy(update={"depth": (0.0, 65_535.0)})
    one, other = np.full((4, 4), 300, np.uint16), np.full((4, 4), 301, np.uint16)
    assert read_hashed(one, rule).hash == read_hashed(other, rule).hash, "as ever"
    assert read_hashed(one, deep).hash != read_hashed(other, deep).hash
    narrow = rule.model_copy(update={"depth": (5.0, 9.0)})
    assert read_hashed(one, deep).hash == read_hashed(one, narrow).hash, "of any depth"


def test_16_bit_colours_of_an_array_go_by_the_depth():
    values = np.stack([DEEP, DEEP[::-1], DEEP], 2)
    stored = read(values, InputRule(size=40, store=40, depth=(0.0, 4_096.0)))
    levels = [read(band, InputRule(size=40, store=40, depth=(0.0, 4_096.0)))[..., 0]
              for band in values.transpose(2, 0, 1)]  # fmt: skip
    assert np.array_equal(stored, np.stack(levels, 2))


@pytest.mark.parametrize("kind", ["png", "tiff <", "tiff >", "deflate <", "deflate >"])
def test_16_bit_colours_of_a_file_are_read_in_full(kind):
    values = np.stack([RAMP, RAMP.T, RAMP[::-1]], 2) >> 4  # a camera of 12 bits
    if kind == "png":
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        data = png(256, 256, 16, 2, rows)
    else:
        data = tiff(values, 16, 2, order=kind[-1], deflate="deflate" in kind)
    assert measure(data) == ((256, 256), True)
    assert np.array_equal(values_of(data), values)
    depth = common_depth([value_range(data)])
    stored = read(data, InputRule(size=256, store=256, depth=depth))
    assert np.array_equal(stored, read(values, InputRule(size=256, store=256, depth=depth)))
    assert len(np.unique(stored)) >= 200


def test_16_bit_colours_with_a_profile_keep_their_upper_byte():
    values = np.stack([RAMP, RAMP.T, RAMP[::-1]], 2)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    icc = chunk(b"iCCP", b"x\0\0" + zlib.compress(profile()))
    data = png(256, 256, 16, 2, rows, icc)
    assert measure(data) == ((256, 256), False) and value_range(data) is None


def test_values_that_are_not_taken_decide_nothing():
    negative = tiff(np.full((4, 4), -5.0, np.float32), 32, 1, 3)
    missing = tiff(np.full((4, 4), np.nan, np.float32), 32, 1, 3)
    assert value_range(negative) is None and value_range(missing) is None
