"""Colours against their formulas, pixel by pixel."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from augment.varied import draws_of, pictures, varied

from seewhy.augment.colour import LUMA, YIQ


@pytest.mark.parametrize("name", ["brightness", "contrast"])
def test_colour_is_the_pixelwise_formula(name: str) -> None:
    images = pictures(20, 6)
    x, _ = varied(images, 6, **{name: 0.4})
    for got, picture, draw in zip(x, images.numpy() / 255, draws_of(20), strict=True):
        factor = 1 + 0.4 * (2 * draw[name] - 1)
        grey = (picture @ np.array(LUMA)).mean() if name == "contrast" else 0
        np.testing.assert_allclose(got, np.clip(grey + factor * (picture - grey), 0, 1), atol=1e-5)


def test_brightness_then_contrast_and_each_is_clipped() -> None:
    images = torch.full((50, 4, 4, 3), 250, dtype=torch.uint8)
    images[:, :2] = 5
    x, _ = varied(images, 4, brightness=1, contrast=1)
    assert (x == 1).any() and (x == 0).any()
    first = np.clip(images.numpy() / 255 * 2 * draws_of(50)[0]["brightness"], 0, 1)[0]
    factor = 2 * draws_of(50)[0]["contrast"]
    grey = (first @ np.array(LUMA)).mean()
    np.testing.assert_allclose(x[0], np.clip(grey + factor * (first - grey), 0, 1), atol=1e-5)


def test_saturation_is_the_distance_from_each_pixels_grey() -> None:
    images = pictures(20, 6)
    x, _ = varied(images, 6, saturation=0.8)
    for got, picture, draw in zip(x, images.numpy() / 255, draws_of(20), strict=True):
        grey = (picture @ np.array(LUMA))[..., None]
        factor = 1 + 0.8 * (2 * draw["saturation"] - 1)
        np.testing.assert_allclose(got, np.clip(grey + factor * (picture - grey), 0, 1), atol=1e-5)


def test_hue_turns_the_plane_of_colours_in_yiq() -> None:
    images = pictures(20, 6)
    x, _ = varied(images, 6, hue=0.4, saturation=0.5)
    there, back = np.array(YIQ), np.linalg.inv(YIQ)
    for got, picture, draw in zip(x, images.numpy() / 255, draws_of(20), strict=True):
        y, i, q = np.moveaxis(picture @ there.T, -1, 0)
        turned = (i + 1j * q) * np.exp(2j * math.pi * 0.4 * (2 * draw["hue"] - 1))
        turned *= 1 + 0.5 * (2 * draw["saturation"] - 1)
        want = np.stack([y, turned.real, turned.imag], axis=-1) @ back.T
        np.testing.assert_allclose(got, np.clip(want, 0, 1), atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"hue": 0.5}, {"saturation": 1}, {"hue": 0.2, "saturation": 1}]
)
def test_grey_stays_grey_and_brightness_stays(options: dict[str, Any]) -> None:
    greys = torch.arange(0, 256, 4, dtype=torch.uint8).view(1, 8, 8, 1).expand(5, 8, 8, 3)
    x, _ = varied(greys, 8, **options)
    np.testing.assert_allclose(x, greys.numpy() / 255, atol=1e-5)
    images = (pictures(20, 6) // 8) + 112  # so pale that nothing is clipped
    x, _ = varied(images, 6, **options)
    luma = np.array(LUMA)
    np.testing.assert_allclose(x @ luma, images.numpy() / 255 @ luma, atol=1e-5)
