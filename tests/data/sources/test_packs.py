"""A pack is a source like others: classes, ids, labels, splits, groups."""

import numpy as np
import pytest
from helpers import write_folder
from PIL import Image

import seewhy
from seewhy.config.data import DataConfig
from seewhy.data import load_data, sources
from seewhy.data.sources.corrected import Corrected, Correction
from seewhy.errors import DataError, UsageError


@pytest.fixture
def table(tmp_path):
    """Images with a table that says their class, split and group; some have no label."""
    root = write_folder(tmp_path / "data", ("all",), count=12, size=12)
    lines = ["path,label,split,group"]
    for number in range(12):
        label = ("=cmd", "b,c", "")[number % 3]
        split = ("train", "train", "val", "test")[number // 3]
        lines.append(f'all/{number:03}.png,"{label}",{split},scene {number // 2}')
    (root / "labels.csv").write_text("\n".join(lines))
    return root / "labels.csv"


def facts(data):
    return [record._replace(image=None) for record in sources.find(data).read().records]


@pytest.mark.parametrize("shard_bytes", [None, 1024])
def test_what_is_known_of_each_image_is_kept(tmp_path, table, shard_bytes):
    out = tmp_path / "x.pack"
    seewhy.pack_data(table, out, DataConfig(size=12), shard_bytes=shard_bytes)
    assert sources.find(out).layout == "pack" and facts(out) == facts(table)
    ours, theirs = (load_data(data, DataConfig(size=12)) for data in (out, table))
    assert ours.classes == theirs.classes == ("=cmd", "b,c")
    assert ours.sizes == theirs.sizes == {"train": 4, "val": 2, "test": 2}
    assert ours.train.groups.tolist() == theirs.train.groups.tolist()
    assert any("without a label" in note for note in ours.notes)


def test_a_pattern_of_groups_is_kept(tmp_path):
    root = write_folder(tmp_path / "data", ("a", "b"), count=8, size=8)
    config = DataConfig(size=8, group_from=r"\d(\d\d)\.png")
    seewhy.pack_data(root, tmp_path / "x.pack", config)
    splits = load_data(tmp_path / "x.pack", DataConfig(size=8))
    assert {*splits.train.groups, *splits.val.groups} < {f"{number:02}" for number in range(8)}


def test_corrected_labels_are_kept(tmp_path, photos):
    splits = load_data(photos)
    digest = splits.train.hashes[0].decode()
    version = tmp_path / "version"
    version.mkdir()
    right = Correction(hash=digest, id="x", was="ant", label="bee")
    listed = Corrected(source=str(photos), corrections=(right,))
    (version / "corrected.json").write_text(listed.model_dump_json())
    seewhy.pack_data(version, tmp_path / "x.pack", raw=True)
    ours, theirs = load_data(tmp_path / "x.pack"), load_data(version)
    assert ours.fingerprint == theirs.fingerprint != splits.fingerprint


def test_unlabelled_packs_and_columns_are_refused(tmp_path, photos):
    seewhy.pack_data(photos, tmp_path / "x.pack")
    with pytest.raises(UsageError, match="--label-column has no effect"):
        sources.find(tmp_path / "x.pack", DataConfig(label_column="a"))
    with pytest.raises(UsageError, match="is a pack: give the data"):
        seewhy.pack_data(tmp_path / "x.pack", tmp_path / "y.pack")


def test_unreadable_images_are_left_out_on_request(tmp_path):
    root = write_folder(tmp_path / "data", ("a", "b"), count=6, size=8)
    (root / "a" / "000.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    with pytest.raises(DataError, match=r"a/000.png.*--on-bad skip"):
        seewhy.pack_data(root, tmp_path / "x.pack")
    assert not (tmp_path / "x.pack").exists()
    done = seewhy.pack_data(root, tmp_path / "x.pack", DataConfig(on_bad="skip", max_bad=0.5))
    assert (done.images, done.bad) == (11, 1) and len(facts(tmp_path / "x.pack")) == 11


def test_more_than_8_bits_keep_the_range_of_the_training(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for number in range(10):
            pixels = rng.integers(1000, 3000, (16, 16)).astype(np.uint16)
            Image.fromarray(pixels).save(tmp_path / "data" / label / f"{number}.png")
    seewhy.pack_data(tmp_path / "data", tmp_path / "x.pack", DataConfig(size=16), raw=True)
    ours, theirs = (load_data(tmp_path / name, DataConfig(size=16)) for name in ("x.pack", "data"))
    assert ours.rule == theirs.rule and ours.rule.depth is not None
    assert np.array_equal(ours.train.images[:], theirs.train.images[:])
    with pytest.raises(DataError, match="more than 8 bits"):
        load_data(tmp_path / "x.pack", rule=ours.rule.model_copy(update={"depth": None}))
