"""The images of a pack are those that the cache holds of the same bytes."""

import os

import numpy as np
import pytest
from helpers import write_folder

import seewhy
from seewhy.config.data import DataConfig
from seewhy.config.input_rule import InputRule
from seewhy.data import load_data
from seewhy.data.imageset import Rows
from seewhy.data.packed import PackedImages
from seewhy.data.shards import open_pack
from seewhy.errors import ArchiveError, DataError

SIZE = DataConfig(size=80)  # stored at 92 pixels


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "photos", ("ant", "bee"), count=9, size=100)


def unpacked(pack, root):
    """The images of a pack as files, in the folders of their classes."""
    for row, key in enumerate(pack.about.ids):
        path = (root / key).with_suffix(".jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pack.read(row))
    return root


@pytest.mark.parametrize("side", [92, 50])
def test_the_bits_of_the_cache_for_the_same_bytes(tmp_path, folder, side):
    seewhy.pack_data(folder, tmp_path / "x.pack", SIZE)
    files = unpacked(open_pack(tmp_path / "x.pack"), tmp_path / "files")
    rule = InputRule(size=40, store=side)
    ours, theirs = (load_data(data, rule=rule) for data in (tmp_path / "x.pack", files))
    stored = {
        key.removesuffix(".jpg"): pixels
        for part in (theirs.train, theirs.val)
        for key, pixels in zip(part.ids, part.images, strict=True)
    }
    compared = 0
    for key, pixels in zip(ours.train.ids, ours.train.images, strict=True):
        if (there := stored.get(key.removesuffix(".png"))) is not None:
            assert np.array_equal(pixels, there)
            compared += 1
    assert compared > 4


def test_splits_hashes_and_sizes_are_those_of_the_source(tmp_path, folder):
    seewhy.pack_data(folder, tmp_path / "x.pack", SIZE)
    ours, theirs = load_data(tmp_path / "x.pack", SIZE), load_data(folder, SIZE)
    assert ours.rule == theirs.rule and ours.fingerprint == theirs.fingerprint
    assert ours.classes == theirs.classes and ours.drawn
    for a, b in ((ours.train, theirs.train), (ours.val, theirs.val), (ours.test, theirs.test)):
        assert a.ids.tolist() == b.ids.tolist() and a.hashes.tolist() == b.hashes.tolist()
    assert ours.train.sizes.tolist() == theirs.train.sizes.tolist()
    assert ours.test.describe().shape == theirs.test.describe().shape


def test_pixels_lose_nothing_and_a_jpeg_little(tmp_path, folder):
    theirs = load_data(folder, SIZE).train.images[:]
    for raw, most in ((True, 0), (False, 12)):
        seewhy.pack_data(folder, tmp_path / f"{raw}.pack", SIZE, raw=raw)
        ours = load_data(tmp_path / f"{raw}.pack", SIZE).train.images[:]
        assert np.abs(ours.astype(int) - theirs).mean() <= most


def test_rows_that_are_expected_are_those_read(tmp_path, folder, monkeypatch):
    monkeypatch.setattr("seewhy.data.packed.SMALL", 0)  # threads, as for photographs
    seewhy.pack_data(folder, tmp_path / "x.pack", SIZE)
    train = load_data(tmp_path / "x.pack", SIZE).train
    plain = train.images[:]
    rows = np.array([3, 1, 3, 0])
    train.expect(rows)
    assert np.array_equal(train.images[rows], plain[rows])
    train.expect(rows)
    train.expect(rows[:2], 1)  # another shard
    assert np.array_equal(train.images[rows], plain[rows])
    assert np.array_equal(train.images[rows[:2]], plain[rows[:2]])
    train.expect(rows)
    train.expect(rows[:1])
    assert np.array_equal(train.images[rows[::-1]], plain[rows[::-1]])
    assert len(train.images.base._expected) == 1
    assert np.array_equal(train.images[2], plain[2])


def test_a_process_that_is_forked_reads(tmp_path, folder, monkeypatch):
    monkeypatch.setattr("seewhy.data.packed.SMALL", 0)
    seewhy.pack_data(folder, tmp_path / "x.pack", SIZE)
    train = load_data(tmp_path / "x.pack", SIZE).train
    plain = train.images[:]
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(train.images[:], plain) else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_damaged_image_stops_with_its_name(tmp_path, folder):
    seewhy.pack_data(folder, tmp_path / "x.pack", SIZE)
    data = bytearray((tmp_path / "x.pack").read_bytes())
    data[200] ^= 1
    (tmp_path / "x.pack").write_bytes(data)
    pack = open_pack(tmp_path / "x.pack")
    with pytest.raises(ArchiveError, match=f"image {pack.about.ids[0]}"):
        Rows(PackedImages(pack, pack.about.rule), np.arange(18))[:]


def test_another_fit_is_refused_unless_all_are_square(tmp_path, folder):
    seewhy.pack_data(folder, tmp_path / "x.pack", SIZE)
    assert load_data(tmp_path / "x.pack", DataConfig(size=80, fit="pad")).rule.fit == "pad"
    from PIL import Image

    Image.new("RGB", (200, 100)).save(folder / "ant" / "wide.png")
    seewhy.pack_data(folder, tmp_path / "y.pack", SIZE)
    assert load_data(tmp_path / "y.pack", SIZE).rule.fit == "squash"
    with pytest.raises(DataError, match="squash, and pad is asked for"):
        load_data(tmp_path / "y.pack", DataConfig(size=80, fit="pad"))
