"""Figures of a data set are those of its images, and nothing of test but its number."""

import json
from dataclasses import replace

import numpy as np
import pytest
from data.inspect.sets import a_set
from data.pictures import encoded, noise, put, write_scenes

from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.inspect.statistics import statistics
from seewhy.files import to_json


@pytest.fixture
def splits(tmp_path):
    write_scenes(tmp_path, {"train/a": 6, "train/b": 3, "val/a": 2, "val/b": 1, "test/b": 4})
    put(tmp_path, "val/b/long.png", data=encoded(noise(40, 90)))
    return load_data(tmp_path, DataConfig(size=32))


def test_counts_and_colours_are_those_of_the_images(splits):
    found = statistics(splits)
    assert {name: counts.tolist() for name, counts in found.counts.items()} == {
        "train": [6, 3],
        "val": [2, 2],
        "test": [0, 4],
    }
    pixels = splits.train.images[:].reshape(-1, 3) / 255
    assert np.allclose(found.mean, pixels.mean(0)) and np.allclose(found.std, pixels.std(0))
    assert len(found.sizes) == 13 and found.sizes.max(0).tolist() == [90, 40]
    assert (found.stored, found.bad, found.layout) == (32, 0, "split-folders")


def test_json_has_all_of_it(splits):
    found = json.loads(json.dumps(to_json(statistics(splits)), allow_nan=False))
    assert found["splits"]["train"] == {"n": 9, "per_class": {"a": 6, "b": 3}}
    assert found["sizes"]["distinct"] == 2 and found["sizes"]["width"]["max"] == 90
    assert found["sizes"]["width_by_height"] == {"min": 1, "median": 1, "max": 2.25}
    assert len(found["mean"]) == len(found["std"]) == 3


def test_chunks_play_no_part(splits, monkeypatch):
    whole = statistics(splits)
    monkeypatch.setattr("seewhy.data.imageset.CHUNK_BYTES", 2 * 32 * 32 * 3)
    cut = statistics(splits)
    assert np.array_equal(whole.mean, cut.mean) and np.array_equal(whole.std, cut.std)


def test_what_is_left_out_is_counted(tmp_path):
    write_scenes(tmp_path, {"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1})
    put(tmp_path, "train/a/x.png", data=(tmp_path / "val/a/000.png").read_bytes())
    splits = load_data(tmp_path)
    assert statistics(splits).counts["left_out"].tolist() == [1, 0]
    of_no_class = replace(splits.left_out, labels=np.array([-1]))
    assert "left_out" not in statistics(replace(splits, left_out=of_no_class)).counts


def test_without_training_images_there_is_no_colour(tmp_path):
    write_scenes(tmp_path, {"test/a": 2, "test/b": 2})
    found = to_json(statistics(load_data(tmp_path, trainable=False)))
    assert found["mean"] == [None] * 3 and found["sizes"]["width"] == {}
    assert len(a_set(noise(8, 8)[None])) == 1
