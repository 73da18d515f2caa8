from math import inf, isnan, nan

import numpy as np
import pytest
from scipy.stats import binom

from seewhy.evaluation.stats.significance import (
    corrected_level,
    holm,
    images_needed,
    mcnemar,
    mcnemar_interval,
)


@pytest.mark.parametrize(("first", "second"), [(10, 2), (2, 10), (7, 7), (0, 9), (300, 240)])
def test_mcnemar_is_the_exact_binomial_tail(first: int, second: int) -> None:
    n = first + second
    tail = binom.cdf(min(first, second), n, 0.5)
    assert mcnemar(first, second) == pytest.approx(min(1, 2 * tail))


def test_models_that_never_disagree_are_equal() -> None:
    assert mcnemar(0, 0) == 1


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, nan])[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert isnan(holm([nan])[0]) and holm([]) == []


def test_no_alarm_is_raised_twenty_times_in_twenty_one() -> None:
    rng = np.random.default_rng(0)
    alarms = [min(holm(rng.random(10).tolist())) < 0.05 for _ in range(2_000)]
    assert 0.03 < np.mean(alarms) < 0.07


@pytest.mark.parametrize("level", [0.95, 0.998])
def test_the_images_needed_find_the_difference_four_times_in_five(level: float) -> None:
    n = round(images_needed(0.03, 0.10, level))
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        first, second, _ = rng.multinomial(n, [0.065, 0.035, 0.9])
        found.append(mcnemar(first, second) < 1 - level)
    assert 0.72 < np.mean(found) < 0.88
    assert images_needed(0, 0.1) == inf


@pytest.mark.parametrize("corrected_by", [1, 7, 200])
def test_the_interval_of_a_difference_agrees_with_the_p_value(corrected_by: int) -> None:
    for first in range(0, 33, 2):
        for second in range(0, 33, 4):
            p = mcnemar(first, second)
            corrected = min(1.0, corrected_by * p)
            for n in (first + second + 1, 10_000):
                found = mcnemar_interval(first, second, n, corrected_level(p, corrected))
                assert found.low <= found.value <= found.high and found.low < found.high
                assert (found.low <= 0 <= found.high) == (corrected >= 0.05), (first, second, n)


@pytest.mark.parametrize("n", [10, 30, 100])
@pytest.mark.parametrize("cells", [(0.02, 0.0), (0.05, 0.05), (0.16, 0.04), (0.5, 0.0)])
def test_the_interval_of_a_difference_holds_the_truth(n: int, cells: tuple[float, float]) -> None:
    rng = np.random.default_rng(0)
    drawn, times = np.unique(
        rng.multinomial(n, (*cells, 1 - sum(cells)), 2_000), axis=0, return_counts=True
    )
    found = [mcnemar_interval(int(a), int(b), n) for a, b, _ in drawn]
    held = [i.low - 1e-12 <= cells[0] - cells[1] <= i.high + 1e-12 for i in found]
    assert np.average(held, weights=times) >= 0.935
