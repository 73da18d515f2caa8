from math import isnan

import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from seewhy.evaluation.counts import ClassCounts, ratio


def test_rates_by_hand() -> None:
    counts = ClassCounts.of(np.array([[2, 1, 1], [1, 1, 0], [0, 0, 0]]))
    assert counts.right.tolist() == [2, 1, 0] and counts.support.tolist() == [4, 2, 0]
    assert counts.precision() == pytest.approx([2 / 3, 1 / 2, 0])
    assert counts.recall() == pytest.approx([1 / 2, 1 / 2, 0])
    assert counts.f1() == pytest.approx([4 / 7, 1 / 2, 0])
    assert counts.macro(counts.recall()) == pytest.approx(1 / 2)  # the empty class is left out
    assert counts.weighted(counts.f1()) == pytest.approx((4 * 4 / 7 + 2 * 1 / 2) / 6)


def test_correlation_is_1_for_all_right_and_0_for_one_answer() -> None:
    assert ClassCounts.of(np.diag([3, 4, 5])).mcc() == pytest.approx(1)
    assert ClassCounts.of(np.array([[3, 0], [4, 0]])).mcc() == 0
    table = np.array([[5, 2, 0], [1, 3, 1], [0, 4, 9]])
    true, given = np.repeat(np.indices(table.shape).reshape(2, -1), table.ravel(), axis=1)
    assert ClassCounts.of(table).mcc() == pytest.approx(matthews_corrcoef(true, given))


def test_replicates_are_worked_out_at_once() -> None:
    one = ClassCounts.of(np.array([[5, 2], [1, 3]]))
    both = ClassCounts(*(np.stack([x, x]) for x in (one.right, one.support, one.predicted)))
    assert both.mcc() == pytest.approx([float(one.mcc())] * 2)
    assert both.macro(both.f1()) == pytest.approx([float(one.macro(one.f1()))] * 2)


def test_a_ratio_without_divisor_is_what_was_asked_for() -> None:
    assert ratio(np.array([1, 1]), np.array([2, 0])).tolist() == [0.5, 0]
    assert isnan(ratio(np.array(1), np.array(0), np.nan))
