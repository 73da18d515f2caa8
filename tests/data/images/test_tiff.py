"""TIFFs that Pillow does not read although they are whole: named, without a word on the terminal."""

import numpy as np
import pytest
from data.pictures import encoded, noise, tiff

from seewhy.data.images.decode import decode
from seewhy.errors import ImageError


def refusal(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        decode(data)
    return caught.value


def of_bands(count: int, kind: type) -> bytes:
    values = np.ones((4, 5, count), kind)
    form = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    return tiff(values, values.itemsize * 8, 2 if count >= 3 else 1, form)


@pytest.mark.parametrize(
    "count, kind, named",
    [
        (2, np.uint16, "2 bands of 16 bits,"),
        (5, np.uint16, "5 bands of 16 bits,"),
        (7, np.uint8, "7 bands of 8 bits,"),
        (13, np.uint16, "13 bands of 16 bits,"),
        (3, np.float32, "3 bands of 32 bits as floats,"),
        (4, np.int16, "4 bands of 16 bits with a sign,"),
    ],
)
def test_bands_are_counted_and_the_remedy_named(count, kind, named, capfd):
    error = refusal(of_bands(count, kind))
    assert error.code == "unsupported_layout"
    assert named in str(error) and "save three bands as 8-bit RGB" in str(error)
    assert "gdal_translate" in str(error)
    assert capfd.readouterr() == ("", "")


def test_a_compression_that_is_not_read_is_named():
    data = tiff(noise(4, 5), 8, 2)
    tag = (259).to_bytes(2, "little") + (3).to_bytes(2, "little") + (1).to_bytes(4, "little")
    assert data.count(tag) == 1
    place = data.index(tag) + len(tag)
    error = refusal(data[:place] + (34_887).to_bytes(2, "little") + data[place + 2 :])
    assert error.code == "unsupported_layout" and "compression 34887" in str(error)


def test_a_damaged_tiff_is_still_damaged():
    data = of_bands(13, np.uint16)
    nowhere = b"II+\0\10\0\0\0" + b"\xff" * 8 + bytes(20)  # a BigTIFF whose tags no file can have
    for cut in (data[:9], data[: len(data) // 2], data[:8] + bytes(len(data) - 8), nowhere):
        assert refusal(cut).code == "undecodable"


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_libtiff_writes_nothing_about_a_damaged_file(compression, capfd):
    data = bytearray(encoded(noise(64, 64), "TIFF", compression=compression))
    data[300:2_000] = bytes(1_700)
    assert refusal(bytes(data)).code == "undecodable"
    assert capfd.readouterr() == ("", "")
