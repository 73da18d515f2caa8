from math import isnan

import numpy as np
import pytest

from seewhy.analysis.confidence import confidence
from seewhy.evaluation.predictions import Predictions


def answers(rows: list[tuple[float, int, int]]) -> Predictions:
    """Two-class predictions by (confidence, predicted, label)."""
    logits = [[0.0, 0.0] for _ in rows]
    for row, (sure, predicted, _) in enumerate(rows):
        logits[row][predicted] = np.log(sure / (1 - sure))
    labels = np.array([label for *_, label in rows])
    ids = np.array([f"p{row}" for row in range(len(rows))])
    return Predictions(np.array(logits, np.float32), labels, ("a", "b"), ids)


def test_the_references_figures_by_hand() -> None:
    found = confidence(
        answers([(0.99, 0, 0), (0.6, 1, 1), (0.95, 0, 1), (0.72, 1, 0), (0.8, 0, 0), (0.91, 1, 0)])
    )
    assert found.right.value == pytest.approx((0.99 + 0.6 + 0.8) / 3)
    assert found.wrong.value == pytest.approx((0.95 + 0.72 + 0.91) / 3)
    assert (found.least_right, found.least_right_id) == (pytest.approx(0.6), "p1")
    assert (found.most_wrong, found.most_wrong_id) == (pytest.approx(0.95), "p2")
    assert found.sure_mistakes == 2 and found.sure_mistake_rate.value == pytest.approx(2 / 6)
    assert found.right_counts.sum() == 3 and found.wrong_counts.sum() == 3
    assert found.right_counts[-1] == 1 and found.wrong_counts[14] == 1  # 0.99; 0.72
    assert np.isnan(found.right.low) and found.right.reason == "too few images"  # three


def test_the_mean_s_interval_is_that_of_the_normal_theory() -> None:
    rng = np.random.default_rng(0)
    sure = 0.5 + 0.5 * rng.beta(4, 1, 5_000)
    found = confidence(answers([(s, 0, 0) for s in np.minimum(sure, 0.999)]))
    half = 1.96 * sure.std() / np.sqrt(5_000)
    assert found.right.high - found.right.low == pytest.approx(2 * half, rel=0.1)


def test_where_all_are_right_nothing_is_said_of_mistakes() -> None:
    found = confidence(answers([(0.9, 0, 0), (0.8, 1, 1)]))
    assert isnan(found.wrong.value) and isnan(found.most_wrong) and found.most_wrong_id == ""
    assert found.sure_mistakes == 0 and found.risk_coverage.aurc == 0
