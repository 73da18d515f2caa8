from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest, sem, t

from seewhy.evaluation.stats.intervals import (
    difference,
    effective_bounds,
    exact,
    mean_of_shares,
    mean_with_t,
    paired_difference,
    wilson,
)
from seewhy.files import to_json


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


def test_the_interval_of_a_mean_is_students() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    found = mean_with_t(values, ())
    low, high = t.interval(0.95, 3, values.mean(), sem(values))
    assert (found.low, found.value, found.high) == pytest.approx((low, 4.0, high))


@given(st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_exact_agrees_with_scipy_and_has_a_width(counts: tuple[int, int]) -> None:
    interval = exact(*counts)
    reference = binomtest(*counts).proportion_ci(method="exact")
    assert (interval.low, interval.high) == pytest.approx((reference.low, reference.high), abs=1e-9)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.low < interval.high


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.97, 0.99, 1.0])
@pytest.mark.parametrize("n", [10, 30, 100])
def test_exact_holds_any_rate(n: int, rate: float) -> None:
    """Summed over all outcomes. The Wilson interval holds 99% of 10 images in 90.4%."""
    weights = binom.pmf(np.arange(n + 1), n, rate)
    held = [e.low <= rate <= e.high for e in (exact(k, n) for k in range(n + 1))]
    assert weights @ held >= 0.95 - 1e-9


def test_a_value_without_an_interval_says_why() -> None:
    nothing = to_json(exact(0, 0))
    assert nothing == {"value": None, "low": None, "high": None, "reason": "no images"}
    assert "reason" not in to_json(exact(1, 2))
    few = to_json(mean_of_shares(np.array([0.2, 0.4])))
    assert few["low"] is None and few["reason"] == "too few images"
    assert few["value"] == pytest.approx(0.3)


def test_a_plain_rate_has_its_exact_interval_by_its_variance() -> None:
    low, high = effective_bounds(0.9, 0.9 * 0.1 / 50, 0.9)
    assert (low, high) == pytest.approx((exact(45, 50).low, exact(45, 50).high))


def test_means_of_equal_values_have_a_width() -> None:
    ones = mean_of_shares(np.ones(50))
    assert 0.85 < ones.low < ones.value == ones.high == 1
    same = mean_with_t(np.zeros(100), (3.0, -3.0))
    assert same.low == pytest.approx(-same.high) and same.value == 0 < same.high < 0.2


def test_a_mean_loss_allows_for_a_first_mistake() -> None:
    """Losses of 0.01, and 5 in one image of 50: most samples of 20 have no mistake."""
    rng = np.random.default_rng(0)
    samples = np.where(rng.random((300, 20)) < 0.02, 5.0, 0.01)
    found = [mean_with_t(sample, 5.0) for sample in samples]
    assert np.mean([i.low <= 0.02 * 5 + 0.98 * 0.01 <= i.high for i in found]) >= 0.95
