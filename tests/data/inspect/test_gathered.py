"""All images in one numbering, test among them by names and hashes alone."""

from dataclasses import replace

import numpy as np
from data.pictures import write_scenes

from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.images.near_duplicates import describe, look
from seewhy.data.inspect.gathered import gather


def test_all_images_are_numbered_and_test_is_covered(tmp_path):
    write_scenes(
        tmp_path, {f"{split}/{name}": 4 for split in ("train", "val", "test") for name in "ab"}
    )
    (tmp_path / "train/a/copy.png").write_bytes((tmp_path / "test/b/000.png").read_bytes())
    splits = load_data(tmp_path, DataConfig(size=32))
    found = gather(splits)
    assert len(found) == 25 and len(found.opened) == 17
    assert found.splits.tolist() == ["train"] * 8 + ["val"] * 8 + ["left_out"] + ["test"] * 8
    assert (
        found.labels[17:].tolist() == [-1] * 8 and found.label(17) == "" and found.label(0) == "a"
    )
    assert found.ids[16] == "train/a/copy.png"
    assert [name.split("/")[0] for name in found.ids[17:]] == ["test"] * 8
    whole = np.concatenate([found.opened.images[:], splits.test.unseal().images[:]])
    assert np.array_equal(found.hashes[17:], splits.test.hashes)
    assert np.array_equal(found.describe(), describe(whole))
    rows = np.array([20, 3, 17, 16])
    assert np.allclose(found.look(rows), look(whole[rows]))
    assert np.allclose(found.look(np.array([1, 2])), look(whole[[1, 2]]))


def test_images_of_no_class_are_not_among_them(tmp_path):
    write_scenes(tmp_path, {f"{split}/{name}": 4 for split in ("train", "val") for name in "ab"})
    splits = load_data(tmp_path, DataConfig(size=32, limit=5))
    labels = splits.left_out.labels.copy()
    labels[1] = -1
    found = gather(replace(splits, left_out=replace(splits.left_out, labels=labels)))
    assert len(splits.left_out) == 3 and len(found) == len(found.labels) == 15
    assert splits.left_out.ids[1] not in found.ids


def test_it_does_without_test(tmp_path):
    write_scenes(tmp_path, {"train/a": 2, "train/b": 2, "val/a": 1, "val/b": 1})
    found = gather(load_data(tmp_path))
    assert len(found) == len(found.opened) == 6 and found.sealed is None
    assert found.describe().shape == (6, 256)
