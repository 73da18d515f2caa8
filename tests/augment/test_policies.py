"""Policies: each operation is Pillow's, and each image gets operations of its own."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from augment.varied import one_hot, pictures
from data.pictures import scenes
from PIL import Image, ImageEnhance, ImageOps
from pydantic import ValidationError

from seewhy.augment import augment
from seewhy.augment.operations import OPERATIONS
from seewhy.augment.policies import NAMES, Plan, draw_plan, follow
from seewhy.augment.preview import ladders
from seewhy.config.augment import AugmentConfig

GREY = (128, 128, 128)


def affine(image, *numbers):
    return image.transform(image.size, Image.Transform.AFFINE, numbers, fillcolor=GREY)


PILLOW = {
    "identity": lambda image, _: image,
    "shear_x": lambda image, v: affine(image, 1, v, 0, 0, 1, 0),
    "shear_y": lambda image, v: affine(image, 1, 0, 0, v, 1, 0),
    "translate_x": lambda image, v: affine(image, 1, 0, v * image.width, 0, 1, 0),
    "translate_y": lambda image, v: affine(image, 1, 0, 0, 0, 1, v * image.height),
    "rotate": lambda image, v: image.rotate(v, fillcolor=GREY),
    "brightness": lambda image, v: ImageEnhance.Brightness(image).enhance(v),
    "color": lambda image, v: ImageEnhance.Color(image).enhance(v),
    "contrast": lambda image, v: ImageEnhance.Contrast(image).enhance(v),
    "sharpness": lambda image, v: ImageEnhance.Sharpness(image).enhance(v),
    "posterize": lambda image, v: ImageOps.posterize(image, round(v)),
    "solarize": lambda image, v: ImageOps.solarize(image, v),
    "auto_contrast": lambda image, _: ImageOps.autocontrast(image),
    "equalize": lambda image, _: ImageOps.equalize(image),
    "invert": lambda image, _: ImageOps.invert(image),
}
AMOUNTS = {
    **dict.fromkeys(("shear_x", "shear_y"), (-0.31, 0.13, 0.97)),
    **dict.fromkeys(("translate_x", "translate_y"), (-0.42, 0.25, 0.9)),
    "rotate": (-28.7, 11, 133),
    **dict.fromkeys(("brightness", "color", "contrast", "sharpness"), (0.1, 0.73, 1.9)),
    "posterize": (2, 4, 8),
    "solarize": (0, 100, 256),
}


def batch():
    """Scenes, dark and pale ones, one of a single colour and one of two: all that a histogram may be."""
    images = scenes(5, 24)
    images[1] //= 3
    images[2] = 200 + images[2] // 6
    images[3] = 77
    images[4] = np.where(images[4] > 128, 255, 0)
    return np.concatenate([images, pictures(3, 24).numpy()])


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_that_of_pillow(name):
    images = batch()
    stored = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    for turn in range(3):
        amounts = [AMOUNTS.get(name, (0,) * 3)[(turn + row) % 3] for row in range(len(images))]
        ours = OPERATIONS[name](stored, torch.tensor(amounts, dtype=torch.float64))
        for row, amount in enumerate(amounts):
            theirs = np.asarray(PILLOW[name](Image.fromarray(images[row]), amount))
            np.testing.assert_array_equal(ours[row].permute(1, 2, 0).numpy(), theirs)


def test_an_image_of_one_pixel_survives_all():
    one = torch.full((1, 3, 1, 1), 7, dtype=torch.uint8)
    for name, operation in OPERATIONS.items():
        amount = torch.tensor([AMOUNTS.get(name, (0,))[0]], dtype=torch.float64)
        assert operation(one, amount).shape == one.shape


def test_all_is_done_on_the_device_of_the_images():
    """They may be on a GPU, a plan never is. The device "meta" refuses to mix with the CPU, too."""
    every = torch.arange(len(NAMES)).expand(2, -1)
    plan = Plan(every, torch.ones(every.shape, dtype=torch.float64))
    done = follow(plan, torch.zeros(2, 8, 24, device="meta"))
    assert done.is_meta and done.shape == (2, 8, 24)


def options(policy):
    return {"policy": policy} | ({"policy_number": 3} if policy == "rand" else {})


POLICIES = ["rand", "trivial", "auto"]


def varied(images, policy, seed=0, policy_seed=0, **more):
    generators = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(policy_seed)
    config = AugmentConfig(**options(policy) if policy else {}, **more)
    return augment(images, one_hot(len(images)), images.shape[1], config, *generators)[0]


@pytest.mark.parametrize("policy", POLICIES)
def test_every_image_of_a_batch_gets_operations_of_its_own(policy):
    config = AugmentConfig(**options(policy))
    plan = draw_plan(config, 500, 32, torch.Generator().manual_seed(0))
    assert plan.operations.shape == (500, {"rand": 3, "trivial": 1, "auto": 2}[policy])
    rows = {tuple(row) for row in torch.cat([plan.operations, plan.amounts], 1).tolist()}
    assert len(rows) > {"rand": 400, "trivial": 200, "auto": 60}[policy]
    counts = torch.bincount(plan.operations.flatten(), minlength=len(NAMES))
    if policy != "auto":  # all but invert, equally often
        assert counts[-1] == 0 and counts[:-1].min() > 0.5 * counts.sum() / 14
    x = varied(torch.from_numpy(scenes(1, 32)).expand(6, -1, -1, -1), policy)
    assert all(not torch.equal(one, two) for one, two in pairwise(x))


@pytest.mark.parametrize("policy", POLICIES)
def test_an_image_is_changed_alike_in_a_batch_of_any_size(policy):
    images = pictures(40, 16)
    assert torch.equal(varied(images, policy)[:3], varied(images[:3], policy))
    assert torch.equal(varied(images, policy), varied(images, policy))
    assert not torch.equal(varied(images, policy), varied(images, policy, policy_seed=1))


def test_a_policy_changes_no_draw_of_the_others():
    images = pictures(20, 16)
    plain = varied(images, None, flip=0.5, crop_padding=2)
    plan = draw_plan(AugmentConfig(policy="trivial"), 20, 16, torch.Generator().manual_seed(0))
    rows = plain.permute(0, 2, 3, 1).flatten(2)
    expected = follow(plan, rows).view(20, 16, 16, 3).permute(0, 3, 1, 2)
    assert torch.equal(varied(images, "trivial", flip=0.5, crop_padding=2), expected)


def test_magnitudes_reach_as_far_as_the_papers():
    for policy, turn, shift, bits in (("rand", 30, 150 / 331, 4), ("trivial", 135, 32 / 64, 2)):
        config = AugmentConfig(policy=policy, policy_magnitude=30 if policy == "rand" else None)
        plan = draw_plan(config, 4000, 64, torch.Generator().manual_seed(0))
        amounts = {name: plan.amounts[plan.operations == place] for place, name in enumerate(NAMES)}
        assert amounts["rotate"].max() == turn and amounts["rotate"].min() == -turn
        assert amounts["translate_x"].max() == pytest.approx(shift)
        assert amounts["posterize"].min() == bits and amounts["solarize"].min() == 0
        spread = 0.99 if policy == "trivial" else 0.9
        assert amounts["color"].min() == pytest.approx(1 - spread)
        assert amounts["color"].max() == pytest.approx(1 + spread)


def test_the_pairs_of_autoaugment_come_with_their_chances():
    plan = draw_plan(AugmentConfig(policy="auto"), 20_000, 32, torch.Generator().manual_seed(0))
    done = plan.operations != 0
    share = {
        name: (plan.operations == place).double().mean().item() * 2
        for place, name in enumerate(NAMES)
    }
    assert share["invert"] == pytest.approx((0.1 + 0 + 0.1) / 25, rel=0.2)
    assert share["rotate"] == pytest.approx(0.7 / 25, rel=0.1)
    assert share["translate_y"] == pytest.approx((0.7 + 0.4 + 0.9 + 0.7 + 0.7) / 25, rel=0.1)
    assert done.any(1).double().mean() < 0.95
    turned = plan.amounts[plan.operations == NAMES.index("rotate")]
    assert set(turned.abs().round(decimals=6).tolist()) == {round(30 * 2 / 9, 6)}


@pytest.mark.parametrize("name", ["policy_number", "policy_magnitude"])
def test_options_of_another_policy_are_refused(name):
    for policy in (None, "trivial", "auto"):
        with pytest.raises(ValidationError, match=f"{name} has no effect without policy: rand"):
            AugmentConfig(policy=policy, **{name: 3})


@pytest.mark.parametrize("policy", POLICIES)
def test_a_preview_shows_a_policy_and_names_its_operations(policy):
    images = scenes(2, 16)
    (ladder,) = ladders(images, 16, AugmentConfig(policy=policy))
    assert (ladder.name, ladder.value) == ("policy", policy)
    assert ladder.images.shape == (7, 16, 16, 3)
    for image, text in zip(ladder.images, ladder.amounts, strict=True):
        assert text == "nothing" or set(text.split("\n")) <= set(NAMES)
        assert text != "nothing" or np.array_equal(image, images[0])
