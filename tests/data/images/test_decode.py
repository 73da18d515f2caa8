"""What an image means: golden pixels for every mode and format, and every refusal (R4, R5, R7)."""

import hashlib
import io
import os
import struct
import threading
import warnings
from importlib.util import find_spec
from pathlib import Path

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
)
from PIL import GifImagePlugin, Image, ImageFile
from pydantic import ValidationError

from seewhy.data.images.decode import (
    MAX_SCANS,
    InputRule,
    Limits,
    centre,
    content_hash,
    decode,
    is_image,
    measure,
    open_image,
    read,
    read_file,
    store,
)
from seewhy.data.images.formats import OPTIONAL
from seewhy.data.images.quiet import quiet_pillow
from seewhy.errors import ImageError


def square(side: int, **fields: object) -> InputRule:
    """The rule that stores squares of `side` pixels, and shows all of them."""
    return InputRule(size=side, store=side, **fields)


# ------------------------------------------------------------------ frames


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_is_taken_and_none_are_counted(kind, monkeypatch):
    first, second = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    data = encoded(first, kind, save_all=True, append_images=[second] * 20)
    monkeypatch.setattr(GifImagePlugin.GifImageFile, "n_frames", property(lambda self: 1 / 0))
    monkeypatch.setattr(GifImagePlugin.GifImageFile, "is_animated", property(lambda self: 1 / 0))
    near(data, [255, 0, 0], 0)


# ------------------------------------------------------------------ refusals

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_cut_short_is_refused(kind):
    data = encoded(noise(40, 40), kind)
    for part in (0.3, 0.6, 0.9):
        assert code(decode, data[: int(len(data) * part)]) == "undecodable"


@pytest.mark.parametrize("kind", FORMATS)
def test_only_a_head_is_refused(kind):
    data = encoded(noise(), kind)
    assert is_image(data[:16])
    for size in range(16):
        assert code(decode, data[:size]) in ("unsupported_format", "undecodable")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><body>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x76\x2f\x31\x01",  # EXR
        b"\x80\x02}q\x00.",  # pickle
        b"PK\x03\x04",
        b"8BPS\0\x01",
        b"P6 is a processor",
        b"P7\nWIDTH 1\n",  # PAM
        b"\0\0\1\0\1\0",  # ICO
        b"RIFF\0\0\0\0WAVE",
        b"\0\0\0\x1cftypmp42",
    ],
)
def test_other_formats_are_refused_by_their_first_bytes(data):
    assert code(decode, data) == "unsupported_format"
    assert code(measure, data) == "unsupported_format"
    assert not is_image(data)


@pytest.mark.parametrize(
    "data, remedy",
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", r'HEIC needs `pip install "seewhy\[heic\]"`'),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL is not read: save it as JPEG or PNG"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000 is not read"),
    ],
)
def test_photographs_in_other_formats_are_refused_with_the_remedy(data, remedy):
    if b"heic" in data and find_spec("pillow_heif"):
        pytest.skip("pillow-heif is installed")
    with pytest.raises(ImageError, match=remedy) as caught:
        decode(data)
    assert caught.value.code == "unsupported_format"


@pytest.mark.parametrize("magic", [b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"])
def test_pnm_is_read(magic):
    bits = {b"P1": b"0 1", b"P2": b"255 0", b"P3": b"255 255 255 0 0 0", b"P4": b"\x40"}
    body = {**bits, b"P5": b"\xff\0", b"P6": b"\xff\xff\xff\0\0\0"}[magic]
    depth = b"" if magic in (b"P1", b"P4") else b"255\n"
    assert pixels(magic + b"\n# made by hand\n2 1\n" + depth + body).tolist() == [
        [[255, 255, 255], [0, 0, 0]]
    ]


@pytest.mark.skipif("AVIF" not in OPTIONAL, reason="this Pillow has no AVIF")
def test_avif_is_read():
    near(encoded(blocks(), "AVIF", quality=100, subsampling="4:4:4"), blocks(), within=6)


def test_formats_that_pillow_knows_but_we_do_not_are_refused():
    for kind in ("ICO", "TGA", "PCX", "SGI", "JPEG2000", "DDS"):
        assert code(decode, encoded(noise(16, 16), kind)) == "unsupported_format"


def test_bytes_up_to_the_limit_are_read(tmp_path):
    data = encoded(noise())
    path = tmp_path / "a.png"
    path.write_bytes(data)
    at, below = (Limits(len(data) - less, 10**6, 10**3) for less in (0, 1))
    assert np.array_equal(np.asarray(decode(data, at)), noise())
    assert read_file(path, at) == data
    assert code(decode, data, below) == code(read_file, path, below) == "too_large"


@pytest.mark.parametrize("kind", FORMATS)
def test_pixels_and_sides_up_to_the_limit_are_read(kind):
    data = encoded(noise(10, 20), kind)
    for limits in (Limits(10**6, 200, 100), Limits(10**6, 10**4, 20)):
        assert decode(data, limits).size == (20, 10)
    for limits in (Limits(10**6, 199, 100), Limits(10**6, 10**4, 19)):
        assert code(decode, data, limits) == "too_many_pixels"
        assert code(open_image, Image.fromarray(noise(10, 20)), limits) == "too_many_pixels"
        assert code(open_image, noise(10, 20), limits) == "too_many_pixels"


def test_the_size_is_refused_before_pixels_are_looked_for():
    assert code(decode, png(20_000, 20_000, 8, 2, b"")) == "too_many_pixels"
    bmp = bytearray(encoded(noise(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    assert code(decode, bytes(bmp)) == "too_many_pixels"
    webp = b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\xff" * 2
    assert code(decode, webp) == "too_many_pixels"


def test_large_images_are_ours_to_allow():
    assert decode(encoded(Image.new("1", (9_000, 10_001)), "PNG")).size == (9_000, 10_001)


def scans(data: bytes, more: int) -> bytes:
    """Repeats the last scan of a JPEG."""
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start:-2] * more + data[-2:]


def test_a_jpeg_may_have_so_many_scans_and_no_more():
    data = encoded(blocks(), "JPEG", progressive=True)
    first = data.count(b"\xff\xda")
    assert 5 < first < 20
    near(scans(data, MAX_SCANS - first), pixels(data), 0)
    assert code(decode, scans(data, MAX_SCANS + 1 - first)) == "undecodable"


def test_what_looks_like_scans_in_metadata_or_behind_the_image_does_not_count():
    data = encoded(blocks(), "JPEG")
    comment = b"\xff\xda" * 300
    within = data[:2] + b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment + data[2:]
    for harmless in (within, data + b"\0\2" + b"\xff\xda\0\2" * 300):
        near(harmless, blocks())


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt"])
def test_text_that_unpacks_without_end_is_refused(kind):
    bomb = zlib_bomb(2 << 20)
    text = b"a\0\0" + bomb if kind == b"zTXt" else b"a\0\1\0\0\0" + bomb
    assert code(decode, png(1, 1, 8, 0, b"\0\0", chunk(kind, text))) == "undecodable"


def zlib_bomb(size: int) -> bytes:
    import zlib

    return zlib.compress(bytes(size))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5_000), (5_000, 1), (16_384, 1), (1, 16_384)])
def test_thin_images_are_read(shape):
    picture = noise(*shape)
    assert np.array_equal(pixels(encoded(picture)), picture)
    assert read(picture, InputRule(size=4, store=4)).shape == (4, 4, 3)


@pytest.mark.parametrize(
    "array, expected",
    [
        (np.zeros((4, 4, 3), np.float32), "unsupported_depth"),
        (np.zeros((4, 4), np.int32), "unsupported_depth"),
        (np.zeros((4, 4, 4), np.uint8), "undecodable"),
        (np.zeros((4, 0, 3), np.uint8), "undecodable"),
        (np.zeros(4, np.uint8), "undecodable"),
        (np.zeros((1, 4, 4, 3), np.uint8), "undecodable"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array, expected):
    assert code(open_image, array) == expected


def test_a_message_holds_no_path(tmp_path):
    path = tmp_path / "secret-name.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    for where in (path, tmp_path / "secret-missing.png", tmp_path):
        with pytest.raises(ImageError) as caught:
            read(where, InputRule(size=4, store=4))
        assert "secret" not in str(caught.value) and str(tmp_path) not in str(caught.value)


# ------------------------------------------------------------------ files


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert code(read_file, tmp_path / "pipe") == "not_a_file"
    assert code(read_file, tmp_path) == "not_a_file"
    assert code(read_file, "/dev/zero") == "not_a_file"
    assert code(read_file, tmp_path / "none") == "not_found"
    assert code(read_file, tmp_path / "none" / "below") == "not_found"
    assert code(read_file, "nul\0byte") == "unreadable"
    (tmp_path / "loop").symlink_to("loop")
    assert code(read_file, tmp_path / "loop") == "unreadable"


# ------------------------------------------------------------------ warnings


def odd_tiff() -> bytes:
    """A good TIFF that Pillow warns of: its number of channels is given twice."""
    data = encoded(noise(), "TIFF")
    once, twice = (struct.pack("<HHI", 277, 3, count) for count in (1, 2))
    assert data.count(once) == 1
    return data.replace(once, twice)


def test_pillow_keeps_its_warnings_to_itself():
    with pytest.warns(UserWarning), Image.open(io.BytesIO(odd_tiff())) as image:
        image.load()
    near(odd_tiff(), noise(), 0)  # a warning would be an error here


def test_warnings_are_heard_again_when_the_last_thread_is_out():
    before = list(warnings.filters)
    inside, leave = threading.Barrier(3), threading.Event()

    def hold() -> None:
        with quiet_pillow():
            inside.wait(10)
            leave.wait(10)

    threads = [threading.Thread(target=hold) for _ in range(2)]
    for thread in threads:
        thread.start()
    inside.wait(10)
    for _ in range(2):  # leaving once does not end it for the others
        near(odd_tiff(), noise(), 0)
    with pytest.raises(UserWarning):  # those of others are heard all the while
        warnings.warn("of ours", stacklevel=1)
    leave.set()
    for thread in threads:
        thread.join(10)
    assert warnings.filters == before


def test_no_setting_of_pillow_is_changed():
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    assert Image.MAX_IMAGE_PIXELS == 1024**3 // 4 // 3


# ------------------------------------------------------------------ the stored image


def test_every_way_in_gives_the_same_pixels(tmp_path):
    rule = InputRule(size=7, store=9)
    for number, image in enumerate(odd_modes()):
        for kind in ("PNG", "TIFF"):
            path = tmp_path / f"{number}.{kind.lower()}"
            path.write_bytes(encoded(image, kind, icc_profile=profile(2, 1, 0), exif=exif(6)))
            expected = read(path.read_bytes(), rule)
            assert expected.shape == (9, 9, 3) and expected.dtype == np.uint8
            assert np.array_equal(read(path, rule), expected)
            assert np.array_equal(read(str(path), rule), expected)
            with Image.open(io.BytesIO(path.read_bytes())) as opened:
                assert np.array_equal(read(opened, rule), expected)
            assert np.array_equal(read(np.asarray(decode(path.read_bytes())), rule), expected)


def odd_modes() -> list[Image.Image]:
    rgb = Image.fromarray(noise(20, 14))
    rgba = rgb.copy()
    rgba.putalpha(77)
    deep = Image.fromarray(RAMP[:20, :14] * 18)
    return [
        rgb,
        rgba,
        rgb.convert("L"),
        rgba.convert("LA"),
        rgb.quantize(9),
        rgb.convert("1"),
        deep,
    ]


def test_an_image_given_is_left_as_it_was():
    image = Image.open(io.BytesIO(encoded(noise(), exif=exif(6), icc_profile=profile(2, 1, 0))))
    image.load()
    info, before = dict(image.info), image.tobytes()
    first = np.asarray(open_image(image))
    assert image.info == info and image.tobytes() == before
    assert np.array_equal(np.asarray(open_image(image)), first)


def test_the_centre_square_is_kept():
    picture = np.zeros((10, 31, 3), np.uint8)
    picture[:, 10:20] = noise(10, 10)  # left of the middle, which 21 spare columns do not have
    assert np.array_equal(store(Image.fromarray(picture), square(10)), noise(10, 10))
    assert np.array_equal(
        store(Image.fromarray(picture.swapaxes(0, 1).copy()), square(10)),
        noise(10, 10).swapaxes(0, 1),
    )
    assert np.array_equal(store(Image.fromarray(noise(9, 9)), square(9)), noise(9, 9))


@pytest.mark.parametrize("width, height", [(96, 64), (64, 96), (64, 64), (160, 32)])
def test_the_shorter_side_is_resized_as_the_whole_image_would_be(width, height):
    picture = Image.fromarray(noise(height, width))
    whole = picture.resize((width // 4, height // 4), Image.Resampling.BICUBIC)
    side = min(whole.size)
    left, top = (whole.width - side) // 2, (whole.height - side) // 2
    expected = np.asarray(whole)[top : top + side, left : left + side]
    assert np.array_equal(store(picture, square(side)), expected)


@pytest.mark.parametrize("height, width", [(96, 64), (64, 96), (160, 32), (1, 200), (64, 64)])
def test_squash_resizes_the_whole_image(height, width):
    picture = Image.fromarray(noise(height, width))
    expected = np.asarray(picture.resize((16, 16), Image.Resampling.BICUBIC))
    assert np.array_equal(store(picture, square(16, fit="squash")), expected)


@pytest.mark.parametrize(
    "height, width, inner", [(96, 48, (16, 8)), (48, 96, (8, 16)), (1, 200, (1, 16))]
)
def test_pad_keeps_the_shape_between_bars_of_grey(height, width, inner):
    picture = Image.fromarray(noise(height, width))
    whole = np.asarray(picture.resize(inner[::-1], Image.Resampling.BICUBIC))
    top, left = (16 - inner[0]) // 2, (16 - inner[1]) // 2
    expected = np.full((16, 16, 3), 128, np.uint8)
    expected[top : top + inner[0], left : left + inner[1]] = whole
    assert np.array_equal(store(picture, square(16, fit="pad")), expected)


def test_a_square_image_is_the_same_by_every_fit():
    picture = Image.fromarray(noise(40, 40))
    for side in (40, 16, 57):
        found = [store(picture, square(side, fit=fit)) for fit in ("crop", "pad", "squash")]
        assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_the_box_that_is_said_to_be_seen_is_what_is_seen():
    """Resizing the box itself gives the same pixels, up to what lies just outside it."""
    smooth = Image.fromarray(noise(6, 9)).resize((270, 180), Image.Resampling.BICUBIC)
    for fit in ("crop", "squash"):
        rule = InputRule(size=80, store=92, fit=fit)
        box = rule.seen(*smooth.size)
        expected = np.asarray(smooth.resize((80, 80), Image.Resampling.BICUBIC, box)).astype(int)
        assert np.abs(centre(store(smooth, rule), 80) - expected).max() <= 3


def test_shrinking_averages():
    checks = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    found = store(open_image(checks), square(8))
    assert np.abs(found.astype(int) - 127).max() <= 2


def test_the_centre_is_a_view():
    images = noise(5 * 7, 7).reshape(5, 7, 7, 3)
    found = centre(images, 4)
    assert np.shares_memory(found, images)
    assert np.array_equal(found, images[:, 1:5, 1:5])
    assert np.array_equal(centre(images, 7), images)
    assert np.array_equal(centre(images[0], 4), images[0, 1:5, 1:5])


def test_the_hash_is_over_the_size_and_the_pixels():
    picture = noise(5, 7)
    expected = hashlib.sha256(struct.pack("<II", 7, 5) + picture.tobytes()).hexdigest()[:32]
    assert content_hash(Image.fromarray(picture)) == content_hash(picture) == expected
    assert content_hash(noise(7, 5).reshape(5, 7, 3)) != content_hash(noise(7, 5))
    wide = noise(3, 700_000)  # more than one band
    assert content_hash(Image.fromarray(wide)) == content_hash(wide)


def test_the_hash_is_of_the_image_not_of_the_file():
    upright = {content_hash(decode(encoded(noise(), kind))) for kind in LOSSLESS}
    turned = encoded(np.ascontiguousarray(STORED[6](noise())), exif=exif(6))
    assert upright == {content_hash(decode(turned))}


@pytest.mark.parametrize(
    "size, side, expected",
    [
        (32, 32, (32, 32)),
        (64, 500, (64, 64)),
        (65, 500, (65, 75)),
        (224, 500, (224, 258)),
        (224, 250, (224, 250)),
        (224, 200, (200, 200)),
        (32, 8, (8, 8)),
        (1, 1, (1, 1)),
    ],
)
def test_the_rule_enlarges_nothing(size, side, expected):
    rule = InputRule.resolve(size, side)
    assert (rule.size, rule.store) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 0, "store": 1},
        {"size": 1025, "store": 1025},
        {"size": 9, "store": 8},
        {"size": 1, "store": 2049},
        {"size": 8, "store": 8, "version": 2},
        {"size": 8, "store": 8, "x": 1},
    ],
)
def test_a_rule_out_of_bounds_is_refused(fields):
    with pytest.raises(ValidationError):
        InputRule(**fields)


def test_a_real_photograph_is_read_as_pillow_reads_it(shared_data: Path):
    path = sorted((shared_data / "hymenoptera" / "val" / "ants").glob("*.jpg"))[0]
    with Image.open(path) as image:
        plain = np.asarray(image.convert("RGB"))
        if "icc_profile" not in image.info:
            assert np.array_equal(np.asarray(decode(path.read_bytes())), plain)
    assert read(path, InputRule(size=32, store=37)).shape == (37, 37, 3)
