"""A preview shows some of each class, and the numbers that a network gets."""

import json

import numpy as np
import pytest
from data.pictures import write_scenes

import seewhy
from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.files import to_json
from seewhy.models.registry import build


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("d"), {"ant": 20, "bee": 20, "fly": 20}, 48)


def found_in(root, **overrides):
    return seewhy.preview(root, "regularized-cnn", overrides={"data.size": 16, **overrides})


def test_each_class_comes_in_turn_and_its_files_whole(root):
    found = found_in(root)
    assert found.examples.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert all(original.image.shape == (48, 48, 3) for original in found.originals)
    assert found.versions.varied.shape == (6, 6, 16, 16, 3)
    assert [ladder.name for ladder in found.ladders] == ["flip", "crop_padding"]
    assert found.examples.ids.tolist() == found_in(root).examples.ids.tolist()


def test_channels_are_those_that_the_network_normalises_by(root):
    found = found_in(root)
    splits = load_data(root, DataConfig(size=16))
    network = build("regularized_cnn", num_classes=3, size=16)
    network.fit_input(splits.train.images)
    assert np.allclose(found.taken_off[0], network.mean) and np.allclose(
        found.taken_off[1], network.std
    )
    assert np.allclose(found.evaluation[0], 0, atol=1e-9)  # all of train is the sample
    assert np.allclose(found.evaluation[1], 1)


def test_what_an_augmentation_does_to_the_channels_shows(root):
    black = found_in(root, **{"augment.crop_padding": 12})
    assert max(black.training[0]) < -0.2
    none = found_in(
        root, **{f"augment.{name}": None for name in ("flip", "crop_padding", "padding_mode")}
    )
    assert none.training == none.evaluation and none.ladders == []


def test_a_preview_is_json_without_pixels(root):
    said = json.loads(json.dumps(to_json(found_in(root))))
    assert said["input"]["size"] == 16 and said["augmentation"] == {"flip": 0.5, "crop_padding": 4}
    assert said["pictures"][0]["label"] == "ant" and said["pictures"][0]["width"] == 48
    assert set(said["channels"]) == {"taken_off", "evaluation", "training"}
