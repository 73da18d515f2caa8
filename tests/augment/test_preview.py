"""What is shown of an augmentation is what it does: the same code, by known draws."""

import numpy as np
import pytest
import torch
from data.pictures import scenes

from seewhy.augment import augment
from seewhy.augment.preview import ladders, versions
from seewhy.config.augment import AugmentConfig

ALL = {
    "flip": 0.5,
    "rotate": 15,
    "shift": 0.1,
    "zoom": 0.2,
    "shear": 10,
    "brightness": 0.3,
    "contrast": 0.2,
    "saturation": 0.2,
    "hue": 0.1,
    "erasing": 0.25,
    "mixup": 0.4,
    "cutmix": 1,
}


def test_versions_are_what_a_training_draws():
    images, labels, config = scenes(4, 20), np.array([0, 1, 1, 2]), AugmentConfig(**ALL)
    found = versions(images, labels, 16, config, 3, seed=5)
    assert np.array_equal(found.seen, images[:, 2:18, 2:18])
    generator = torch.Generator().manual_seed(5)
    for turn in range(3):
        own = torch.eye(3)[labels]
        x, targets = augment(torch.from_numpy(images), own, 16, config, generator)
        expected = (x * 255).round().permute(0, 2, 3, 1).numpy()
        assert np.array_equal(found.varied[:, turn], expected)
        assert np.allclose(found.shares[:, turn], (targets * own).sum(1))


def test_images_of_one_class_keep_their_whole_target_when_mixed():
    found = versions(scenes(2, 8), np.array([0, 0]), 8, AugmentConfig(mixup=1), 4, seed=0)
    assert np.allclose(found.shares, 1)


def test_without_augmentation_all_versions_are_what_evaluation_sees():
    found = versions(scenes(2, 10), np.array([0, 1]), 8, AugmentConfig(), 2, seed=0)
    assert np.array_equal(found.varied, np.stack([found.seen] * 2, 1)) and (found.shares == 1).all()


def test_a_ladder_for_each_augmentation_that_is_on():
    found = ladders(scenes(2, 16), 16, AugmentConfig(**ALL))
    assert {ladder.name: ladder.value for ladder in found} == ALL
    for ladder in found:
        assert len(ladder.images) == len(ladder.amounts)
    assert ladders(scenes(2, 16), 16, AugmentConfig()) == []


@pytest.mark.parametrize("name", ["rotate", "shift", "zoom", "shear"])
def test_the_middle_of_a_warp_is_the_image_and_its_ends_are_not(name):
    images = scenes(2, 16)
    (ladder,) = ladders(images, 16, AugmentConfig(**{name: 0.5 if name == "zoom" else 1}))
    differs = np.abs(ladder.images.astype(int) - images[0]).max((1, 2, 3))
    assert differs[3] <= 1 and differs[0] > 5 and differs[6] > 5


def test_each_step_is_of_the_amount_that_is_said():
    grey = np.full((2, 8, 8, 3), 100, np.uint8)
    (light,) = ladders(grey, 8, AugmentConfig(brightness=0.3))
    assert light.amounts[0] == "× 0.70" and light.amounts[-1] == "× 1.30"
    assert [picture.mean() for picture in light.images] == [70, 80, 90, 100, 110, 120, 130]
    (turned,) = ladders(grey, 8, AugmentConfig(rotate=15))
    assert turned.amounts == ("-15°", "-10°", "-5°", "0°", "5°", "10°", "15°")


def test_flips_show_both_ways():
    images = scenes(2, 8)
    (ladder,) = ladders(images, 8, AugmentConfig(flip=0.25))
    assert ladder.amounts == ("as it is: 75%", "mirrored: 25%")
    assert np.array_equal(ladder.images[0], images[0])
    assert np.array_equal(ladder.images[1], images[0][:, ::-1])


@pytest.mark.parametrize("mode, beyond", [(None, False), ("zero", True)])
def test_crops_show_the_corners_with_what_lies_beyond(mode, beyond):
    images = np.full((2, 8, 8, 3), 200, np.uint8)
    (ladder,) = ladders(images, 8, AugmentConfig(crop_padding=2, padding_mode=mode))
    corner = ladder.images[0]
    assert (corner[:2] == (0 if beyond else 200)).all() and (corner[2:, 2:] == 200).all()
    assert (ladder.images[4][-2:] == (0 if beyond else 200)).all()


def test_a_crop_without_padding_moves_in_the_stored_image():
    images = scenes(2, 10)
    (ladder,) = ladders(images, 8, AugmentConfig(crop_padding=0))
    assert np.array_equal(ladder.images[0], images[0, :8, :8])
    assert np.array_equal(ladder.images[4], images[0, 2:, 2:])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixing_goes_from_nothing_kept_to_all(kind):
    images = np.stack([np.full((16, 16, 3), level, np.uint8) for level in (0, 200)])
    (ladder,) = ladders(images, 16, AugmentConfig(**{kind: 1}))
    others = ladder.images.mean((1, 2, 3)) / 200
    said = [float(amount.removesuffix("% kept")) / 100 for amount in ladder.amounts]
    assert np.allclose(said, 1 - others, atol=0.006)
    assert said == sorted(said) and np.allclose(said, (0.05, 0.25, 0.5, 0.75, 0.95), atol=0.06)


def test_boxes_and_areas_grow_to_their_ends():
    images = np.zeros((2, 32, 32, 3), np.uint8)
    images[:, ::2] = 200
    (boxes,) = ladders(images, 32, AugmentConfig(erasing=0.1))
    covered = (boxes.images != images[0]).any(3).mean((1, 2))
    assert np.allclose(covered, np.linspace(0.02, 0.4, 5), atol=0.03)
    assert boxes.amounts[0] == "2% of the area" and boxes.amounts[-1] == "40% of the area"
    (areas,) = ladders(images, 32, AugmentConfig(random_resized_crop=0.35))
    assert areas.amounts[0] == "35% of the area" and areas.amounts[-1] == "100% of the area"
