"""What shows little is found, at the limits that are documented, and nature is left alone."""

from dataclasses import fields

import numpy as np
import pytest
from data.inspect.sets import a_set
from data.pictures import scenes
from PIL import Image, ImageFilter

from seewhy.config.input_rule import InputRule
from seewhy.data.inspect import quality
from seewhy.data.inspect.quality import (
    Measures,
    elongated_findings,
    measure,
    measure_all,
    quality_findings,
)


def kinds(
    images: np.ndarray, sizes=None, stored: int = 32, fit: str = "crop"
) -> dict[str, list[int]]:
    found = a_set(images, sizes=sizes)
    rule = InputRule(size=stored, store=stored, fit=fit)
    return {
        finding.kind: [example.rows[0] for example in finding.examples]
        for finding in quality_findings(found, measure_all(found), rule)
    }


def with_one(picture: np.ndarray) -> np.ndarray:
    return np.concatenate([scenes(9, picture.shape[0]), picture[None].astype(np.uint8)])


@pytest.mark.parametrize("side", [8, 32, 147])
def test_clean_images_have_no_faults(side):
    assert kinds(scenes(200, side, seed=3), stored=side) == {}


SCENE = scenes(1, 64, seed=5)[0]
FAULTS = {
    "dark": SCENE // 5,
    "bright": 200 + SCENE // 5,
    "flat": 110 + SCENE // 14,
    "blurry": np.asarray(Image.fromarray(SCENE).filter(ImageFilter.GaussianBlur(3))),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_each_fault_is_found_alone(kind):
    assert kinds(with_one(FAULTS[kind])) == {kind: [9]}


def test_an_enlarged_image_is_blurred():
    small = Image.fromarray(SCENE).resize((20, 20), Image.Resampling.BICUBIC)
    assert kinds(with_one(np.asarray(small.resize((64, 64))))) == {"blurry": [9]}


@pytest.mark.parametrize("level, kind", [(0, "dark"), (63, "dark"), (128, "flat"), (255, "bright")])
def test_an_image_of_one_colour_has_one_fault(level, kind):
    assert kinds(with_one(np.full((32, 32, 3), level))) == {kind: [9]}


def test_a_pure_colour_is_not_dark_and_a_few_pixels_do_not_matter():
    blue = np.zeros((50, 50, 3))
    blue[:, ::2, 2] = 255
    assert measure(blue[None].astype(np.uint8)).dark == 1
    speck = np.zeros((1, 50, 50, 3), np.uint8)
    speck[0, 0, :25] = 255  # one pixel in a hundred
    assert measure(speck).dark == 0
    speck[0, 0, 25] = 255
    assert measure(speck).dark == 1


@pytest.mark.parametrize("kind, limit", [("dark", 0.25), ("bright", 0.75), ("flat", 0.1)])
def test_the_limits_are_where_they_are_said_to_be(kind, limit):
    levels = np.array([limit * 255 - 0.6, limit * 255 + 0.6]).round().astype(np.uint8)
    low, high = np.full((2, 1, 20, 20, 3), 100, np.uint8)
    if kind == "flat":
        low[:, :10] += levels[0]
        high[:, :10] += levels[1]
    else:
        low[:], high[:] = levels[0], levels[1]
    inside, outside = (kinds(x[None, 0].repeat(1, 0)) for x in (low, high))
    assert (kind in inside) == (kind != "bright") and (kind in outside) == (kind == "bright")


def test_odd_shapes_and_enlargements_are_told_by_the_whole_size():
    sizes = [(96, 32), (97, 32), (32, 97), (16, 40), (15, 40), (500, 400), (32, 32)]
    found = kinds(scenes(len(sizes)), sizes=sizes, stored=32)
    assert found == {"odd-shape": [1, 2], "small": [4]}
    assert "odd-shape" not in kinds(scenes(3))
    padded = kinds(scenes(len(sizes)), sizes=sizes, stored=32, fit="pad")
    assert padded == {"odd-shape": [1, 2]}, "the longer side becomes 32 pixels"


@pytest.mark.parametrize("fit, rows", [("crop", [2, 1]), ("pad", [2]), ("squash", [2])])
def test_images_far_from_square_are_a_note_that_names_the_flag(fit, rows):
    sizes = [(40, 30), (45, 30), (32, 90), (32, 97)]  # 4:3, 3:2, nearly 3:1, an odd shape
    rule = InputRule(size=32, store=32, fit=fit)
    (found,) = elongated_findings(a_set(scenes(4), sizes=sizes), rule)
    assert found.severity == "note" and "--data.fit" in found.advice
    assert [example.rows[0] for example in found.examples] == rows
    assert elongated_findings(a_set(scenes(3)), rule) == []


def test_the_worst_come_first():
    dark = np.stack([np.full((16, 16, 3), level, np.uint8) for level in (40, 10, 63, 200)])
    assert kinds(dark)["dark"] == [1, 0, 2]


def test_measures_are_what_they_say():
    images = np.zeros((1, 4, 4, 3), np.uint8)
    images[0, :2] = (255, 51, 0)
    found = measure(images)
    assert (found.red[0], found.green[0], found.blue[0]) == pytest.approx((0.5, 0.1, 0))
    assert found.colour[0] == pytest.approx(0.5)
    grey = 0.299 + 0.587 * 0.2
    assert found.brightness[0] == pytest.approx(grey / 2) and found.contrast[0] == pytest.approx(
        grey / 2
    )


def test_chunks_play_no_part(monkeypatch):
    images = a_set(scenes(30))
    whole = measure_all(images)
    monkeypatch.setattr("seewhy.data.imageset.CHUNK_BYTES", 7 * 32 * 32 * 3)
    cut = measure_all(images)
    for field in fields(Measures):
        assert np.allclose(getattr(whole, field.name), getattr(cut, field.name))
    assert len(measure_all(images.take(np.zeros(30, bool))).dark) == 0


def test_the_documented_limits():
    limits = (quality.DARK, quality.BRIGHT, quality.CONTRAST, quality.SHARP)
    assert limits == (0.25, 0.75, 0.1, 0.1) and (quality.LONG, quality.ENLARGED) == (3, 2)
