"""Means over classes: their influence against finite differences, their intervals against simulation."""

import numpy as np
import pytest

from seewhy.evaluation.counts import ClassCounts
from seewhy.evaluation.stats.over_classes import (
    bounds_over_classes,
    influences,
    over_classes,
    smoothed,
)

TABLE = np.array([[40, 8, 2], [5, 30, 5], [0, 4, 6]])


def of(shares: np.ndarray) -> dict[str, float]:
    counts = ClassCounts(np.diagonal(shares), shares.sum(1), shares.sum(0))
    return {name: float(value) for name, value in over_classes(counts).items()}


def model(recall: float, k: int = 3) -> np.ndarray:
    """True shares of the cells of k classes, the first the most frequent."""
    share = np.linspace(1, 0.5, k)[:, None] / np.linspace(1, 0.5, k).sum()
    return share * (recall * np.eye(k) + (1 - recall) * (1 - np.eye(k)) / (k - 1))


def test_variances_are_those_of_finite_differences() -> None:
    shares, step = smoothed(TABLE), 1e-6
    found = influences(shares, np.ones(3, bool))
    for name, value in of(shares).items():
        slopes = np.empty((3, 3))
        for cell in np.ndindex(3, 3):
            moved = shares * (1 - step)
            moved[cell] += step
            slopes[cell] = (of(moved)[name] - value) / step
        expected = (shares * slopes**2).sum() - (shares * slopes).sum() ** 2
        assert float(found[name].variance(shares)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("n", [30, 100])
@pytest.mark.parametrize("recall", [0.5, 0.9, 0.97, 1.0])
def test_intervals_hold_the_truth_and_are_not_everything(n: int, recall: float) -> None:
    shares = model(recall)
    tables = np.random.default_rng(0).multinomial(n, shares.ravel(), 1_000).reshape(-1, 3, 3)
    tables = tables[(tables.sum(2) >= 5).all(1)]
    truth = of(shares)
    for name, (low, high) in bounds_over_classes(tables).items():
        held = (low <= truth[name] + 1e-9) & (truth[name] - 1e-9 <= high)
        assert held.mean() >= (0.93 if n == 100 else 0.9), name
        width = 0.62 if name == "mcc" else 0.45
        assert (high - low).min() > 0 and (high - low).mean() < width, name


def test_a_collapsed_model_has_intervals_with_a_width() -> None:
    table = np.array([[10, 0, 0, 0]] * 4)
    for name, (low, high) in bounds_over_classes(table).items():
        value = of(table.astype(float))[name]
        assert low <= value <= high and high - low > 0.05, name


def test_a_class_without_images_does_not_count() -> None:
    without = np.zeros((4, 4), int)
    without[:3, :3] = 3 * TABLE
    found, alone = bounds_over_classes(without), bounds_over_classes(3 * TABLE)
    for name in ("macro_recall", "macro_f1"):
        assert np.allclose(found[name], alone[name], atol=0.01)
