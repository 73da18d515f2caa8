"""A batch varied as a whole: what is not varied, and where all chance comes from."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from augment.varied import draws_of, one_hot, pictures, varied

from seewhy.augment import DRAWS, augment, centre_crop
from seewhy.config.augment import AugmentConfig


def test_without_options_the_centre_comes_out() -> None:
    images = pictures(3, 11)
    x, targets = varied(images, 6)
    np.testing.assert_array_equal(x, images[:, 2:8, 2:8].numpy() / np.float32(255))
    assert torch.equal(targets, one_hot(3))


@pytest.mark.parametrize(("side", "size"), [(8, 8), (11, 6), (10, 7)])
def test_evaluation_and_training_without_options_are_the_same_bits(side: int, size: int) -> None:
    images = pictures(4, side)
    x, _ = augment(images, one_hot(4), size, AugmentConfig(), torch.Generator())
    assert torch.equal(x, centre_crop(images, size))
    assert centre_crop(images, size).is_contiguous(memory_format=torch.channels_last)


def test_black_is_zero_and_white_is_one() -> None:
    x = centre_crop(
        torch.tensor([0, 255], dtype=torch.uint8).repeat_interleave(27).view(2, 3, 3, 3), 3
    )
    assert torch.equal(x[0], torch.zeros(3, 3, 3)) and torch.equal(x[1], torch.ones(3, 3, 3))


ALL = {
    "flip": 0.5,
    "brightness": 0.3,
    "contrast": 0.3,
    "erasing": 0.5,
    "saturation": 0.3,
    "hue": 0.1,
}
WARPS = {"rotate": 15, "shift": 0.1, "zoom": 0.1, "shear": 10}
CROPS = [{"crop_padding": 2}, {"random_resized_crop": 0.3}, {"crop_padding": 2, **WARPS}]


@pytest.mark.parametrize("crop", CROPS)
def test_one_seed_gives_the_same_bits_and_another_gives_others(crop: dict[str, Any]) -> None:
    images = pictures(16, 10)
    options = {**ALL, **crop, "mixup": 1, "cutmix": 1}
    first, first_targets = varied(images, 8, seed=1, **options)
    again, again_targets = varied(images, 8, seed=1, **options)
    other, _ = varied(images, 8, seed=2, **options)
    assert np.array_equal(first, again) and torch.equal(first_targets, again_targets)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("crop", CROPS)
def test_two_equal_images_of_a_batch_are_varied_differently(crop: dict[str, Any]) -> None:
    x, _ = varied(pictures(1, 10).expand(8, -1, -1, -1), 8, **ALL, **crop)
    assert all(not np.array_equal(one, two) for one, two in pairwise(x))


@pytest.mark.parametrize("crop", CROPS)
def test_an_image_is_varied_alike_in_a_batch_of_any_size(crop: dict[str, Any]) -> None:
    images = pictures(50, 10)
    large, _ = varied(images, 8, **ALL, **crop)
    small, _ = varied(images[:3], 8, **ALL, **crop)
    # Some processors round the last bit otherwise where a vector is not full.
    np.testing.assert_allclose(large[:3], small, rtol=0, atol=1e-6)


def test_one_more_option_changes_no_draw_of_the_others() -> None:
    images = pictures(10, 10)
    plain, _ = varied(images, 8, flip=0.5, crop_padding=2)
    more, _ = varied(images, 8, flip=0.5, crop_padding=2, brightness=0.2)
    factor = np.array([1 + 0.2 * (2 * draw["brightness"] - 1) for draw in draws_of(10)])
    want = np.clip(plain * factor[:, None, None, None], 0, 1)
    np.testing.assert_allclose(more, want, atol=1e-6)


def test_all_chance_comes_from_the_generator() -> None:
    before = torch.random.get_rng_state()
    generator = torch.Generator().manual_seed(0)
    config = AugmentConfig(**ALL, **WARPS, crop_padding=2, mixup=1, cutmix=1)
    augment(pictures(4, 8), one_hot(4), 8, config, generator)
    assert torch.equal(torch.random.get_rng_state(), before)
    fresh = torch.Generator().manual_seed(0)
    torch.rand(4, len(DRAWS), generator=fresh)
    assert torch.equal(generator.get_state(), fresh.get_state())  # one draw, whatever is on


def test_the_images_and_targets_given_are_not_written_to() -> None:
    images, targets = pictures(6, 8), one_hot(6)
    kept = images.clone()
    config = AugmentConfig(**ALL, crop_padding=2, padding_mode="zero", mixup=1, cutmix=1)
    augment(images, targets, 8, config, torch.Generator().manual_seed(0))
    assert torch.equal(images, kept) and torch.equal(targets, one_hot(6))


@pytest.mark.parametrize("crop", CROPS)
def test_everything_stays_on_the_device_of_the_images(crop: dict[str, Any]) -> None:
    config = AugmentConfig(**ALL, **crop, mixup=1, cutmix=1)
    images, targets = pictures(4, 10).to("meta"), one_hot(4).to("meta")
    x, y = augment(images, targets, 8, config, torch.Generator())
    assert x.device.type == y.device.type == "meta" and x.shape == (4, 3, 8, 8)
