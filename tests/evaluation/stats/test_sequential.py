from fractions import Fraction
from math import inf, log

import numpy as np
import pytest
from scipy.special import beta

from seewhy.evaluation.stats.sequential import (
    difference_between_units,
    difference_half_width,
    log_evidence,
    observations_needed,
    pairs_needed,
    share_bounds,
)


@pytest.mark.parametrize(("wins", "pairs"), [(0, 0), (0, 3), (5, 5), (7, 20), (30, 40)])
def test_evidence_is_the_likelihood_ratio_averaged_over_shares(wins: int, pairs: int) -> None:
    ratio = 2.0**pairs * beta(0.5 + wins, 0.5 + pairs - wins) / beta(0.5, 0.5)
    assert log_evidence(wins, pairs) == pytest.approx(log(ratio))


def test_the_next_pair_changes_the_evidence_by_nothing_on_average() -> None:
    for wins, pairs in ((0, 0), (3, 4), (9, 30)):
        now = np.exp(log_evidence(wins, pairs))
        after = np.exp(log_evidence([wins, wins + 1], pairs + 1)).mean()
        assert after == pytest.approx(now)


def test_false_alarms_stay_rare_however_often_one_looks() -> None:
    rng = np.random.default_rng(0)
    wins = np.cumsum(rng.random((400, 600)) < 0.5, axis=1)
    ever = (log_evidence(wins, np.arange(1, 601)) >= log(20)).any(axis=1)
    assert ever.mean() < 0.05


def test_the_bounds_leave_out_a_half_where_the_evidence_is_enough() -> None:
    pairs = 40
    wins = np.arange(pairs + 1)
    low, high = share_bounds(wins, pairs)
    assert ((low > 0.5) | (high < 0.5)).tolist() == (log_evidence(wins, pairs) > log(20)).tolist()
    assert (low <= wins / pairs).all() and (wins / pairs <= high).all()
    assert share_bounds(0, 0)[0] == 0 and share_bounds(0, 0)[1] == 1


def test_the_bounds_hold_at_every_look() -> None:
    rng = np.random.default_rng(1)
    wins = np.cumsum(rng.random((200, 300)) < 0.7, axis=1)
    low, high = share_bounds(wins, np.broadcast_to(np.arange(1, 301), wins.shape))
    assert ((low > 0.7) | (high < 0.7)).any(axis=1).mean() < 0.05


def test_the_pairs_needed_are_those_that_decide() -> None:
    needed = pairs_needed(16, 21)
    share = Fraction(33, 44)
    assert log_evidence(float(share * needed), needed) >= log(20)
    assert log_evidence(float(share * (needed - 1)), needed - 1) < log(20)
    assert pairs_needed(10, 20) == inf
    assert pairs_needed(60, 70) == 70


def test_the_interval_of_a_mean_holds_at_every_look() -> None:
    rng = np.random.default_rng(2)
    n = np.arange(1, 2001)
    means = np.cumsum(rng.standard_normal((300, 2000)), axis=1) / n
    assert (np.abs(means) > difference_half_width(1.0, n))[:, 50:].any(axis=1).mean() < 0.05


def test_the_observations_needed_make_the_interval_as_narrow_as_the_difference() -> None:
    needed = observations_needed(0.04, 0.4, 100)
    assert difference_half_width(0.4, needed) <= 0.04 < difference_half_width(0.4, needed - 1)
    assert observations_needed(0.0, 0.4, 100) == inf


def test_answers_of_one_unit_count_as_one() -> None:
    rng = np.random.default_rng(3)
    right = (rng.random(200) < 0.8).astype(float), (rng.random(200) < 0.9).astype(float)
    once = np.ones(200), np.ones(200)
    value, variance, units = difference_between_units(right, once)
    again = difference_between_units((right[0] * 5, right[1] * 5), (once[0] * 5, once[1] * 5))
    assert units == 400 and value == pytest.approx(right[1].mean() - right[0].mean())
    assert again[0] == pytest.approx(value) and again[1] == pytest.approx(variance, rel=0.05)
    assert variance == pytest.approx(2 * sum(one.var() for one in right), rel=0.1)
