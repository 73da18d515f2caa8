from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from seewhy.evaluation.stats.intervals import difference, wilson


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
