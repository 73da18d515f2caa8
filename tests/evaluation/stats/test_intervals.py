from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from seewhy.evaluation.stats.intervals import difference, mean_interval, paired_difference, wilson


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_published_examples(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, table I, method 3."""
    interval = wilson(successes, n)
    assert interval.value == successes / n
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@given(st.integers(1, 60_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_agrees_with_scipy_and_holds_its_value(counts: tuple[int, int]) -> None:
    interval = wilson(*counts)
    reference = binomtest(*counts).proportion_ci(method="wilson")
    assert interval.low == pytest.approx(reference.low, abs=1e-12)
    assert interval.high == pytest.approx(reference.high, abs=1e-12)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_a_higher_level_is_wider() -> None:
    assert wilson(7, 10, level=0.99).low < wilson(7, 10).low < wilson(7, 10, level=0.5).low


def test_nothing_counted_is_nan() -> None:
    interval = wilson(0, 0)
    assert isnan(interval.value) and isnan(interval.low) and isnan(interval.high)


def test_the_published_difference_of_rates() -> None:
    """Newcombe 1998 (two proportions), table II, method 10: 56/70 and 48/80."""
    found = difference(wilson(56, 70), wilson(48, 80))
    assert found.value == pytest.approx(0.2)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def test_the_interval_of_a_paired_difference_is_agresti_and_mins() -> None:
    drop = paired_difference(10, 3, 100)
    assert drop.value == pytest.approx(0.07)
    half = 1.96 * (14 - 49 / 102) ** 0.5 / 102
    assert (drop.low, drop.high) == pytest.approx((7 / 102 - half, 7 / 102 + half))
    same = paired_difference(0, 0, 100)
    assert same.low < 0 == same.value < same.high


def test_intervals_of_paired_differences_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        before = rng.random(100) < 0.8
        after = np.where(rng.random(100) < 0.15, ~before, before)  # 12% are lost, 3% gained
        drop = paired_difference((before & ~after).sum(), (~before & after).sum(), 100)
        held += drop.low <= 0.09 <= drop.high
    assert 0.93 < held / 400 < 0.98


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    found = mean_interval(3.0, 2.0, 400)
    low, high = norm.interval(0.95, loc=3.0, scale=0.1)
    assert (found.low, found.value, found.high) == pytest.approx((low, 3.0, high), abs=1e-5)
