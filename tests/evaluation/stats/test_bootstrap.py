import numpy as np
import pytest

from seewhy.evaluation.metrics import confidence_bins, reliability
from seewhy.evaluation.stats.bootstrap import area_intervals, ece_interval


def ranked(n: int, shift: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    own = np.arange(n) % 2 == 0
    return (rng.normal(size=n) + shift * own)[:, None], own[:, None]


def test_a_perfect_ranking_has_an_interval_with_a_width() -> None:
    scores, own = ranked(100, 50)
    found = area_intervals(scores, own)
    for interval in (*found.auroc, *found.average_precision, found.mean_auroc):
        assert interval.value == interval.high == 1 and 0.85 < interval.low < 0.99


def test_areas_of_few_images_have_no_interval_but_a_reason() -> None:
    for n in (4, 99):
        found = area_intervals(*ranked(n, 1)).auroc[0]
        assert np.isnan(found.low) and found.reason == "too few images" and found.value > 0
    scores, own = ranked(200, 1)
    own[8:] = False  # four own images
    assert area_intervals(scores, own).auroc[0].reason == "too few images"


def test_means_are_over_the_rankings_that_are_defined() -> None:
    scores, own = ranked(200, 1)
    both = area_intervals(np.hstack([scores, scores]), np.hstack([own, np.zeros_like(own)]))
    assert np.isnan(both.auroc[1].value) and both.mean_auroc.value == both.auroc[0].value
    nothing = area_intervals(scores, np.zeros_like(own)).mean_auroc
    assert np.isnan(nothing.value) and nothing.reason == "only one class has images"


def test_the_seed_fixes_the_interval() -> None:
    first, second = (area_intervals(*ranked(200, 1)) for _ in range(2))
    assert first.auroc == second.auroc


def test_the_interval_of_an_area_holds_the_truth() -> None:
    """The ROC area of two normal laws one std apart is Phi(1 / sqrt 2) = 0.76025."""
    held = [area_intervals(*ranked(100, 1, seed)).auroc[0] for seed in range(60)]
    assert np.mean([i.low <= 0.76025 <= i.high for i in held]) >= 0.93
    assert np.mean([i.high - i.low for i in held]) < 0.25


@pytest.mark.parametrize(("shift", "true"), [(0.0, 0.0), (0.05, 0.05)])
def test_the_interval_of_the_calibration_error_covers_the_truth(shift: float, true: float) -> None:
    """Confidences that say `shift` too much."""
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        confidence = rng.beta(6, 1, 400) * 0.5 + 0.5
        correct = rng.random(400) < confidence - shift
        value = reliability(confidence, correct).ece
        interval = ece_interval(value, correct, confidence, confidence_bins(confidence))
        assert 0 <= interval.low <= interval.value < interval.high
        covered.append(interval.low <= true <= interval.high)
    assert np.mean(covered) >= 0.93


def test_a_model_that_is_sure_and_right_has_an_ece_interval_with_a_width() -> None:
    sure, right = np.ones(100), np.ones(100, bool)
    interval = ece_interval(0.0, right, sure, confidence_bins(sure))
    assert interval.low == 0 and interval.high == pytest.approx(0.0362, abs=1e-4)
    assert ece_interval(0.0, right[:99], sure[:99], confidence_bins(sure[:99])).reason
