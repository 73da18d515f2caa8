"""Augmentation against plain NumPy, one picture at a time, and the facts of its draws."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torch import Tensor

from seewhy.augment import (
    ASPECTS,
    DRAWS,
    ERASED_AREA,
    ERASED_ASPECTS,
    LUMA,
    AugmentConfig,
    _beta,
    _sides,
    augment,
    to_input,
)
from seewhy.errors import UsageError


def pictures(count: int, side: int, seed: int = 0) -> Tensor:
    drawn = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return torch.from_numpy(drawn)


def one_hot(count: int, classes: int = 5) -> Tensor:
    return torch.eye(classes)[torch.arange(count) % classes]


def varied(images: Tensor, size: int, seed: int = 0, **options: Any) -> tuple[np.ndarray, Tensor]:
    """Gives the pictures as `(B, size, size, 3)` and the targets."""
    config, generator = AugmentConfig(**options), torch.Generator().manual_seed(seed)
    x, targets = augment(images, one_hot(len(images)), size, config, generator)
    assert x.dtype == torch.float32 and x.shape == (len(images), 3, size, size)
    assert x.is_contiguous(memory_format=torch.channels_last)
    assert x.min() >= 0 and x.max() <= 1
    return x.permute(0, 2, 3, 1).numpy(), targets


def draws_of(count: int, seed: int = 0) -> list[dict[str, float]]:
    """The draws of each picture, as `augment` makes them from the same seed."""
    rows = torch.rand(count, len(DRAWS), generator=torch.Generator().manual_seed(seed))
    return [dict(zip(DRAWS, row.tolist(), strict=True)) for row in rows]


# --- what is not augmented


def test_without_options_the_centre_comes_out() -> None:
    images = pictures(3, 11)
    x, targets = varied(images, 6)
    np.testing.assert_array_equal(x, images[:, 2:8, 2:8].numpy() / np.float32(255))
    assert torch.equal(targets, one_hot(3))


@pytest.mark.parametrize(("side", "size"), [(8, 8), (11, 6), (10, 7)])
def test_evaluation_and_training_without_options_are_the_same_bits(side: int, size: int) -> None:
    images = pictures(4, side)
    x, _ = augment(images, one_hot(4), size, AugmentConfig(), torch.Generator())
    assert torch.equal(x, to_input(images, size))
    assert to_input(images, size).is_contiguous(memory_format=torch.channels_last)


def test_black_is_zero_and_white_is_one() -> None:
    x = to_input(
        torch.tensor([0, 255], dtype=torch.uint8).repeat_interleave(27).view(2, 3, 3, 3), 3
    )
    assert torch.equal(x[0], torch.zeros(3, 3, 3)) and torch.equal(x[1], torch.ones(3, 3, 3))


# --- flip and crop


def test_a_certain_flip_mirrors_left_and_right() -> None:
    images = pictures(3, 5)
    x, targets = varied(images, 5, flip=1)
    np.testing.assert_array_equal(x, images.numpy()[:, :, ::-1] / np.float32(255))
    assert torch.equal(targets, one_hot(3))


@pytest.mark.parametrize("mode", ["reflect", "zero", None])
@pytest.mark.parametrize(("side", "size", "padding"), [(8, 8, 3), (12, 8, 0), (9, 7, 2), (8, 8, 7)])
def test_flip_and_crop_equal_numpys_pad_slice_and_mirror(
    mode: Any, side: int, size: int, padding: int
) -> None:
    images = pictures(40, side)
    options = {"padding_mode": mode} if padding else {}
    x, _ = varied(images, size, flip=0.5, crop_padding=padding, **options)
    pad = ((padding, padding), (padding, padding), (0, 0))
    places = side + 2 * padding - size + 1
    for got, picture, draw in zip(x, images.numpy(), draws_of(40), strict=True):
        padded = np.pad(picture, pad, "constant" if mode == "zero" else "reflect")
        top, left = int(draw["top"] * places), int(draw["left"] * places)
        want = padded[top : top + size, left : left + size]
        want = want[:, ::-1] if draw["flip"] < 0.5 else want
        np.testing.assert_array_equal(got, want / np.float32(255))


def test_every_place_and_both_directions_are_drawn_equally_often() -> None:
    count, padding = 20_000, 2
    images = torch.arange(36, dtype=torch.uint8).view(1, 6, 6, 1).expand(count, 6, 6, 3)
    x, _ = varied(images, 6, flip=0.3, crop_padding=padding, padding_mode="zero")
    middle = np.rint(x[:, 3, 2:4, 0] * 255).astype(int)  # two neighbours tell place and direction
    assert np.mean(middle[:, 0] > middle[:, 1]) == pytest.approx(0.3, abs=0.015)
    kept = np.minimum(middle[:, 0], middle[:, 1])
    rows, columns = np.divmod(kept, 6)
    for place, first in ((rows, 1), (columns, 0)):
        counts = np.bincount(place, minlength=first + 5)[first : first + 5]
        assert counts.sum() == count
        assert stats.chisquare(counts).pvalue > 0.001


def test_the_largest_draw_times_a_count_of_places_stays_below_it() -> None:
    places = torch.arange(1, 5000)
    assert torch.equal((torch.tensor(1 - 2**-24) * places).long(), places - 1)


@pytest.mark.parametrize(
    ("padding", "side", "size"), [(0, 8, 8), (8, 8, 8), (9, 8, 4)], ids=["nothing", "8", "9"]
)
def test_a_crop_that_the_pictures_do_not_allow_is_refused(
    padding: int, side: int, size: int
) -> None:
    config = AugmentConfig(crop_padding=padding)
    with pytest.raises(UsageError, match=f"crop_padding={padding} .* choose 1 to 7"):
        augment(pictures(2, side), one_hot(2), size, config, torch.Generator())


def bilinear(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Reads a picture at pixel centres given in pixels, the edge repeated beyond."""
    side = len(picture)
    result: Any = 0
    rows, columns = (np.clip(places, 0, side - 1) for places in (rows, columns))
    for step_y in (0, 1):
        for step_x in (0, 1):
            y = np.minimum(np.floor(rows).astype(int) + step_y, side - 1)
            x = np.minimum(np.floor(columns).astype(int) + step_x, side - 1)
            weight_y = np.abs(1 - step_y - (rows - np.floor(rows)))
            weight_x = np.abs(1 - step_x - (columns - np.floor(columns)))
            result = result + (weight_y[:, None, None] * weight_x[None, :, None] * picture[y][:, x])
    return result


@pytest.mark.parametrize(("side", "size"), [(16, 12), (12, 12)])
def test_a_resized_crop_equals_bilinear_reading_of_its_box(side: int, size: int) -> None:
    images = pictures(30, side)
    x, _ = varied(images, size, random_resized_crop=0.2, flip=0.5)
    for got, picture, draw in zip(x, images.numpy(), draws_of(30), strict=True):
        area = 0.2 + 0.8 * draw["area"]
        low, high = math.log(max(0.75, area)), math.log(min(4 / 3, 1 / area))
        aspect = math.exp(low + (high - low) * draw["aspect"])  # width to height
        height, width = math.sqrt(area / aspect) * side, math.sqrt(area * aspect) * side
        centres = (np.arange(size) + 0.5) / size
        rows = draw["top"] * (side - height) + centres * height - 0.5
        columns = draw["left"] * (side - width) + centres * width - 0.5
        want = bilinear(picture / 255, rows, columns)
        want = want[:, ::-1] if draw["flip"] < 0.5 else want
        np.testing.assert_allclose(got, want, atol=2e-4)


@pytest.mark.parametrize(
    ("areas", "aspects"), [((0.08, 1), ASPECTS), (ERASED_AREA, ERASED_ASPECTS)]
)
def test_boxes_have_their_area_and_aspect_and_fit(
    areas: tuple[float, float], aspects: tuple[float, float]
) -> None:
    generator = torch.Generator().manual_seed(0)
    area = torch.empty(5000).uniform_(*areas, generator=generator)
    height, width = _sides(area, aspects, torch.rand(5000, generator=generator))
    torch.testing.assert_close(height * width, area, rtol=1e-5, atol=0)
    aspect = width / height
    assert aspects[0] * 0.999 < aspect.min() < aspects[0] * 1.1
    assert aspects[1] * 0.9 < aspect.max() < aspects[1] * 1.001
    assert height.max() <= 1 and width.max() <= 1
    assert (aspect > 1).float().mean().item() == pytest.approx(0.5, abs=0.03)


# --- colour


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


# --- erasing


def test_erasing_paints_one_box_within_its_limits_in_the_mean_colour() -> None:
    size, count = 32, 400
    images = pictures(count, size)
    x, targets = varied(images, size, erasing=0.7)
    plain = images.numpy() / np.float32(255)
    changed = (x != plain).any(3)
    erased = changed.any((1, 2))
    chosen = np.array([draw["erase"] < 0.7 for draw in draws_of(count)])
    assert np.array_equal(erased, chosen) and 0.6 < erased.mean() < 0.8
    assert torch.equal(targets, one_hot(count))
    areas = []
    for got, before, mask in zip(x[erased], plain[erased], changed[erased], strict=True):
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
        height, width = bottom - top, right - left
        box = got[top:bottom, left:right]
        np.testing.assert_allclose(box, np.broadcast_to(before.mean((0, 1)), box.shape), atol=1e-5)
        assert mask.sum() == height * width
        rounding = (height + width) / 2 + 0.25  # of each side to whole pixels
        areas.append(height * width / size**2)
        assert ERASED_AREA[0] * size**2 - rounding <= height * width
        assert height * width <= ERASED_AREA[1] * size**2 + rounding
        assert (height - 0.5) / (width + 0.5) <= ERASED_ASPECTS[1]
        assert (width - 0.5) / (height + 0.5) <= ERASED_ASPECTS[1]
    assert np.mean(areas) == pytest.approx(0.21, abs=0.02)
    corners = changed[erased]
    assert corners[:, 0].any() and corners[:, -1].any()
    assert corners[:, :, 0].any() and corners[:, :, -1].any()


# --- mixing


def shares(targets: Tensor, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The partner of each picture, and the share of itself that its target tells."""
    order = np.argsort([draw["partner"] for draw in draws_of(count, seed)], kind="stable")
    partner = np.empty(count, dtype=int)
    partner[order] = np.roll(order, 1)
    assert (partner != np.arange(count)).all()
    own, other = np.arange(count) % 5, partner % 5
    rows = targets.numpy()
    share = np.where(own == other, np.nan, rows[np.arange(count), own])
    blend = np.where(own == other, np.nan, rows[np.arange(count), other])
    np.testing.assert_allclose(share + blend, np.where(own == other, np.nan, 1), atol=1e-6)
    return partner, share


@pytest.mark.parametrize("options", [{"mixup": 0.2}, {"cutmix": 1}, {"mixup": 0.8, "cutmix": 1}])
def test_targets_still_sum_to_one(options: dict[str, float]) -> None:
    _, targets = varied(pictures(200, 8), 8, **options)
    torch.testing.assert_close(targets.sum(1), torch.ones(200))
    assert targets.min() >= 0
    assert ((targets > 0.01) & (targets < 0.99)).any()


def test_mixup_is_the_convex_combination_that_its_target_tells() -> None:
    images = pictures(60, 6)
    x, targets = varied(images, 6, mixup=1)
    plain = images.numpy() / np.float32(255)
    partner, share = shares(targets, 60)
    assert sorted(partner) == list(range(60))
    for row in np.flatnonzero(~np.isnan(share)):
        want = share[row] * plain[row] + (1 - share[row]) * plain[partner[row]]
        np.testing.assert_allclose(x[row], want, atol=1e-5)
    known = share[~np.isnan(share)]
    assert len(np.unique(known)) == len(known)  # a share of its own for each picture


def test_cutmix_pastes_one_box_and_tells_the_area_that_is_kept() -> None:
    size, count = 16, 300
    images = pictures(count, size)
    x, targets = varied(images, size, cutmix=1)
    plain = images.numpy() / np.float32(255)
    partner, share = shares(targets, count)
    for row in np.flatnonzero(~np.isnan(share)):
        pasted = (x[row] != plain[row]).any(2)
        np.testing.assert_array_equal(x[row][pasted], plain[partner[row]][pasted])
        rows, columns = np.flatnonzero(pasted.any(1)), np.flatnonzero(pasted.any(0))
        if len(rows):  # a full box, but for pixels that are equal by chance
            box = (rows[-1] + 1 - rows[0]) * (columns[-1] + 1 - columns[0])
            assert pasted.sum() == box
        assert share[row] == pytest.approx(1 - pasted.mean(), abs=1e-6)
    known = share[~np.isnan(share)]
    assert known.min() < 0.2 and known.max() > 0.9


def test_a_cutmix_box_in_the_picture_has_the_drawn_area() -> None:
    size = 64
    _, targets = varied(pictures(300, size), size, cutmix=1)
    _, share = shares(targets, 300)
    inside = 0
    for row, draw in enumerate(draws_of(300)):
        drawn = _beta(1, torch.tensor(draw["share"]), torch.tensor(draw["share_angle"])).item()
        half = math.sqrt(1 - drawn) / 2
        if half < min(draw["cut_top"], draw["cut_left"]) and half < 1 - max(
            draw["cut_top"], draw["cut_left"]
        ):
            assert np.isnan(share[row]) or share[row] == pytest.approx(drawn, abs=2.5 / size)
            inside += 1
    assert inside > 30


def test_with_both_each_picture_takes_one_of_the_two() -> None:
    size, count = 8, 400
    images = pictures(count, size)
    both, targets = varied(images, size, mixup=1, cutmix=1)
    blended, blended_targets = varied(images, size, mixup=1)
    pasted, pasted_targets = varied(images, size, cutmix=1)
    mixed = np.array([draw["mix"] < 0.5 for draw in draws_of(count)])
    assert 0.4 < mixed.mean() < 0.6
    np.testing.assert_array_equal(both, np.where(mixed[:, None, None, None], blended, pasted))
    want = np.where(mixed[:, None], blended_targets, pasted_targets)
    np.testing.assert_allclose(targets, want, atol=1e-6)


def test_a_batch_of_one_picture_mixes_with_itself() -> None:
    images = pictures(1, 8)
    x, targets = varied(images, 8, mixup=1, cutmix=1)
    np.testing.assert_allclose(x, images.numpy() / 255, atol=1e-6)
    assert torch.equal(targets, one_hot(1))


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5, 1, 8, 100])
def test_two_uniform_draws_become_a_symmetric_beta(alpha: float) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = _beta(alpha, *torch.rand(2, 20_000, generator=generator)).double().numpy()
    assert ((drawn >= 0) & (drawn <= 1)).all()
    inner = np.linspace(0.001, 0.999, 200)  # outside them, Beta(0.01, 0.01) is below fp32
    counted = np.searchsorted(np.sort(drawn), inner) / len(drawn)
    assert np.abs(counted - stats.beta(alpha, alpha).cdf(inner)).max() < 0.0138  # p = 0.001


@pytest.mark.parametrize("draw", [0.0, 2**-24, 0.5, 1 - 2**-24])
@pytest.mark.parametrize("angle", [0.0, 0.25, 0.75, 1 - 2**-24])
@pytest.mark.parametrize("alpha", [0.01, 1, 100])
def test_the_extreme_draws_give_a_share_too(draw: float, angle: float, alpha: float) -> None:
    assert 0 <= _beta(alpha, torch.tensor(draw), torch.tensor(angle)).item() <= 1


# --- chance

ALL = {"flip": 0.5, "brightness": 0.3, "contrast": 0.3, "erasing": 0.5}
CROPS = [{"crop_padding": 2}, {"random_resized_crop": 0.3}]


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
def test_two_equal_pictures_of_a_batch_are_varied_differently(crop: dict[str, Any]) -> None:
    x, _ = varied(pictures(1, 10).expand(8, -1, -1, -1), 8, **ALL, **crop)
    assert all(not np.array_equal(one, two) for one, two in pairwise(x))


@pytest.mark.parametrize("crop", CROPS)
def test_a_picture_is_varied_alike_in_a_batch_of_any_size(crop: dict[str, Any]) -> None:
    images = pictures(50, 10)
    large, _ = varied(images, 8, **ALL, **crop)
    small, _ = varied(images[:3], 8, **ALL, **crop)
    np.testing.assert_array_equal(large[:3], small)


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
    config = AugmentConfig(**ALL, crop_padding=2, mixup=1, cutmix=1)
    augment(pictures(4, 8), one_hot(4), 8, config, generator)
    assert torch.equal(torch.random.get_rng_state(), before)
    fresh = torch.Generator().manual_seed(0)
    torch.rand(4, len(DRAWS), generator=fresh)
    assert torch.equal(generator.get_state(), fresh.get_state())  # one draw, whatever is on


def test_the_pictures_and_targets_given_are_not_written_to() -> None:
    images, targets = pictures(6, 8), one_hot(6)
    kept = images.clone()
    config = AugmentConfig(**ALL, crop_padding=2, padding_mode="zero", mixup=1, cutmix=1)
    augment(images, targets, 8, config, torch.Generator().manual_seed(0))
    assert torch.equal(images, kept) and torch.equal(targets, one_hot(6))


@pytest.mark.parametrize("crop", CROPS)
def test_everything_stays_on_the_device_of_the_pictures(crop: dict[str, Any]) -> None:
    config = AugmentConfig(**ALL, **crop, mixup=1, cutmix=1)
    images, targets = pictures(4, 10).to("meta"), one_hot(4).to("meta")
    x, y = augment(images, targets, 8, config, torch.Generator())
    assert x.device.type == y.device.type == "meta" and x.shape == (4, 3, 8, 8)


# --- the configuration


@pytest.mark.parametrize(
    "options",
    [
        {"crop_padding": 4, "random_resized_crop": 0.3},
        {"padding_mode": "zero"},
        {"padding_mode": "reflect", "crop_padding": 0},
        {"padding_mode": "edge", "crop_padding": 4},
        {"flip": 0},
        {"flip": 1.1},
        {"flip": math.nan},
        {"crop_padding": -1},
        {"crop_padding": 257},
        {"random_resized_crop": 1},
        {"random_resized_crop": 0.04},
        {"brightness": 0},
        {"brightness": 1.1},
        {"contrast": 0},
        {"erasing": 0},
        {"erasing": 2},
        {"mixup": 0},
        {"cutmix": 101},
        {"rotate": 10},
    ],
)
def test_what_contradicts_has_no_effect_or_is_out_of_range_is_refused(
    options: dict[str, Any],
) -> None:
    with pytest.raises(ValidationError):
        AugmentConfig(**options)


def test_the_configuration_is_frozen_off_by_default_and_described() -> None:
    config = AugmentConfig()
    assert set(config.model_dump().values()) == {None}
    with pytest.raises(ValidationError):
        config.flip = 0.5  # type: ignore[misc]
    assert all(field.description for field in AugmentConfig.model_fields.values())
