from math import inf, isnan, nan

import numpy as np
import pytest
from scipy.stats import binom

from seewhy.evaluation.stats.significance import holm, images_needed, mcnemar


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


def test_the_images_needed_find_the_difference_four_times_in_five() -> None:
    n = round(images_needed(0.03, 0.10))
    rng = np.random.default_rng(0)
    found = []
    for _ in range(300):
        first, second, _ = rng.multinomial(n, [0.065, 0.035, 0.9])
        found.append(mcnemar(first, second) < 0.05)
    assert 0.72 < np.mean(found) < 0.88
    assert images_needed(0, 0.1) == inf
