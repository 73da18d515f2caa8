"""An image is laid over another to within a fraction of a pixel, and its detail compared."""

import numpy as np
import pytest
from data.pictures import scenes

from seewhy.data.images.alignment import Placement, agreement, correlation, refined, without_smooth
from seewhy.data.images.near_duplicates import look


def test_a_known_shift_turn_and_scale_is_found():
    large = look(scenes(8, 64))
    angle = np.radians(4)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre, matrix = np.array([0.03, -0.02]), 0.85 * turn
    place = (np.arange(64) + 0.5) / 64 - 0.5
    at = np.stack(np.meshgrid(place, place, indexing="ij"))
    y, x = (centre[:, None, None] + np.einsum("ij,jyx->iyx", matrix, at) + 0.5) * 64 - 0.5
    top, left = y.astype(int), x.astype(int)
    down, across = y - top, x - left
    part = (large[:, top, left] * (1 - across) + large[:, top, left + 1] * across) * (1 - down)
    part += (large[:, top + 1, left] * (1 - across) + large[:, top + 1, left + 1] * across) * down
    start = Placement(np.zeros((8, 2)), np.tile(0.87 * np.eye(2), (8, 1, 1)))
    found = refined(large, part, start, steps=8)
    assert found.centre == pytest.approx(np.tile(centre, (8, 1)), abs=0.005)
    assert found.turned == pytest.approx(4, abs=0.2) and found.scale == pytest.approx(
        0.85, abs=0.005
    )
    assert correlation(large, part, found).min() > 0.99
    assert agreement(large, part, found).min() > 0.95


def test_detail_that_differs_does_not_agree():
    one, other = look(scenes(8, 64)), look(scenes(8, 64, seed=1))
    here = Placement(np.zeros((8, 2)), np.tile(np.eye(2), (8, 1, 1)))
    assert agreement(one, other, here).max() < 0.4
    assert agreement(one, -one, here).max() == 0
    assert agreement(one * 0.5, one, here).min() > 0.9
    assert not agreement(np.zeros_like(one), np.zeros_like(one), here).any()


def test_smooth_change_is_taken_out():
    slope = np.tile(np.arange(32, dtype=np.float32), (1, 32, 1))
    assert np.abs(without_smooth(slope)[:, 10:-10, 10:-10]).max() < 1e-3
