"""What is painted over and blended, and what the targets then tell."""

import math

import numpy as np
import pytest
import torch
from augment.varied import draws_of, one_hot, pictures, varied
from scipy import stats
from torch import Tensor

from seewhy.augment.mixing import ERASED_AREA, ERASED_ASPECTS, beta


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


def shares(targets: Tensor, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The partner of each image, and the share of itself that its target tells."""
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
    assert len(np.unique(known)) == len(known)  # a share of its own for each image


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


def test_a_cutmix_box_in_the_image_has_the_drawn_area() -> None:
    size = 64
    _, targets = varied(pictures(300, size), size, cutmix=1)
    _, share = shares(targets, 300)
    inside = 0
    for row, draw in enumerate(draws_of(300)):
        drawn = beta(1, torch.tensor(draw["share"]), torch.tensor(draw["share_angle"])).item()
        half = math.sqrt(1 - drawn) / 2
        if half < min(draw["cut_top"], draw["cut_left"]) and half < 1 - max(
            draw["cut_top"], draw["cut_left"]
        ):
            assert np.isnan(share[row]) or share[row] == pytest.approx(drawn, abs=2.5 / size)
            inside += 1
    assert inside > 30


def test_with_both_each_image_takes_one_of_the_two() -> None:
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


def test_a_batch_of_one_image_mixes_with_itself() -> None:
    images = pictures(1, 8)
    x, targets = varied(images, 8, mixup=1, cutmix=1)
    np.testing.assert_allclose(x, images.numpy() / 255, atol=1e-6)
    assert torch.equal(targets, one_hot(1))


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.5, 1, 8, 100])
def test_two_uniform_draws_become_a_symmetric_beta(alpha: float) -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = beta(alpha, *torch.rand(2, 20_000, generator=generator)).double().numpy()
    assert ((drawn >= 0) & (drawn <= 1)).all()
    inner = np.linspace(0.001, 0.999, 200)  # outside them, Beta(0.01, 0.01) is below fp32
    counted = np.searchsorted(np.sort(drawn), inner) / len(drawn)
    assert np.abs(counted - stats.beta(alpha, alpha).cdf(inner)).max() < 0.0138  # p = 0.001


@pytest.mark.parametrize("draw", [0.0, 2**-24, 0.5, 1 - 2**-24])
@pytest.mark.parametrize("angle", [0.0, 0.25, 0.75, 1 - 2**-24])
@pytest.mark.parametrize("alpha", [0.01, 1, 100])
def test_the_extreme_draws_give_a_share_too(draw: float, angle: float, alpha: float) -> None:
    assert 0 <= beta(alpha, torch.tensor(draw), torch.tensor(angle)).item() <= 1
