from math import isnan

import numpy as np
import pytest
from scipy import stats

from seewhy.evaluation.stats.significance import holm
from seewhy.evaluation.stats.summary import difference, summarise


def test_a_summary_is_what_scipy_says():
    values = [0.71, 0.74, 0.69, 0.75]
    found = summarise(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert (found.mean, found.sd) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_one_value_has_no_interval_and_bounds_hold():
    assert all(map(isnan, (summarise([0.5]).sd, summarise([0.5]).low, summarise([0.5]).high)))
    wide = summarise([0.9, 1.0], 0, 1)
    assert (wide.low, wide.high) == (pytest.approx(0.95 - 12.706 * 0.05, abs=1e-3), 1)


def test_a_difference_is_the_paired_t_test():
    after, before = [0.74, 0.78, 0.75, 0.79], [0.71, 0.74, 0.69, 0.75]
    found, test = difference(after, before), stats.ttest_rel(after, before)
    assert found.p == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(test.confidence_interval(0.95)))


def test_where_chance_cannot_be_told_there_is_no_p():
    assert difference([1, 2, 3], [1, 2, 3]).p == 1
    assert isnan(difference([0.5], [0.4]).p) and isnan(difference([0.5], [0.5]).p)
    assert isnan(difference([0.6, 0.7, 0.8], [0.5, 0.6, 0.7]).p)


def test_a_real_effect_is_found_and_no_effect_is_not():
    """Five rows of five seeds, 400 times: a false alarm in at most about 5%, a planted 2 sd found."""
    rng = np.random.default_rng(0)
    alarms = found = plain = 0
    for _ in range(400):
        base = rng.normal(0.7, 0.01, 5)
        rows = [rng.normal(0.7, 0.01, 5) for _ in range(5)]
        ps = [difference(row, base).p for row in rows]
        alarms += min(holm(ps)) < 0.05
        plain += min(ps) < 0.05
        rows[2] = rows[2] + 0.06
        found += holm([difference(row, base).p for row in rows])[2] < 0.05
    assert alarms <= 0.07 * 400 < plain
    assert found >= 0.8 * 400
