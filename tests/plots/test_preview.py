"""The drawings of a preview show the images that they are given, framed and named."""

import io

import numpy as np
import pytest
from data.inspect.sets import a_set
from data.pictures import noise, scenes
from PIL import Image
from plots.test_data import ODD
from plots.test_metrics import drawn as laid_out

from seewhy.augment.preview import ladders, versions
from seewhy.config.augment import AugmentConfig
from seewhy.config.input_rule import InputRule
from seewhy.data.originals import Original
from seewhy.plots.preview import input_sheet, ladder_sheet
from seewhy.plots.style import VERMILION

RED = tuple(bytes.fromhex(VERMILION[1:]))


def drawn(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def sheet(config: AugmentConfig, classes=("a", "b")) -> np.ndarray:
    count = len(classes)
    examples = a_set(scenes(count, 20), range(count), classes)
    originals = [Original(noise(30, 40, seed), 40, 30) for seed in range(count)]
    rule = InputRule(size=16, store=20)
    found = versions(examples.images, examples.labels, 16, config, 2, seed=0)
    return drawn(input_sheet(examples, originals, rule, found))


def test_each_way_station_of_an_image_is_drawn():
    picture = sheet(AugmentConfig())
    for colour in np.unique(scenes(2, 20)[0, 2:18, 2:18].reshape(-1, 3), axis=0)[::20]:
        assert (picture == colour).all(2).any()


def test_the_frame_is_as_large_as_what_evaluation_sees():
    red = (sheet(AugmentConfig()) == RED).all(2)
    rows = red.sum(1)
    framed = np.flatnonzero(rows > 0.5 * rows.max())  # upper and lower edges of two frames
    tile = 1.2 * 150
    side = 30 * 16 / 20 / 40 * tile  # of an original 40 wide
    edges = framed[np.diff(framed, prepend=-9) > 5]
    assert len(edges) == 4 and abs(edges[1] - edges[0] - side) < 4


@pytest.mark.parametrize("classes", [("a", "b"), ODD])
def test_names_of_any_kind_and_mixed_targets_are_written(classes):
    mixed = sheet(AugmentConfig(mixup=1), classes)
    assert mixed.std() > 10 and len(mixed) > len(sheet(AugmentConfig(), classes))


def test_each_step_of_each_augmentation_is_drawn():
    images = scenes(2, 16)
    found = ladders(images, 16, AugmentConfig(brightness=0.3, flip=0.5))
    picture = drawn(ladder_sheet(images[0], found))
    for ladder in found:
        for step in ladder.images:
            assert (picture == step[8, 8]).all(2).sum() > 50


def test_long_names_neither_cover_images_nor_run_into_each_other():
    examples = a_set(scenes(2, 20), range(2), ("W" * 30, "great spotted woodpecker"))
    originals = [Original(noise(30, 40, seed), 40, 30) for seed in range(2)]
    mixed = versions(examples.images, examples.labels, 16, AugmentConfig(mixup=1), 3, seed=0)
    figure = laid_out(input_sheet, examples, originals, InputRule(size=16, store=20), mixed)
    boxes = [text.get_window_extent() for text in figure.texts[5:]]
    boxes += [axes.get_window_extent() for axes in figure.axes]
    for number, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[:number])
