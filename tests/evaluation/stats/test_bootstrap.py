import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from seewhy.evaluation.metrics import confidence_bins, reliability
from seewhy.evaluation.stats.bootstrap import (
    ImageReplicates,
    drawn_counts,
    drawn_images,
    drawn_means,
    ece_interval,
    paired_counts,
    percentiles,
)

TABLE = np.array([[40, 8, 2], [5, 30, 5], [0, 4, 6]])


def drawn_set(n: int = 1_500, k: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    labels = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k)) + 2 * np.eye(k)[labels]
    return logits - np.log(np.exp(logits).sum(1, keepdims=True)), labels


def by_bins(log_probabilities: np.ndarray) -> np.ndarray:
    return confidence_bins(np.exp(log_probabilities.max(1)))


def test_percentiles_by_hand_and_undefined_replicates_left_out() -> None:
    found = percentiles(50.0, np.append(np.arange(101.0), np.nan))
    assert (found.value, found.low, found.high) == pytest.approx((50, 2.5, 97.5))
    assert percentiles(99.0, np.arange(101.0)).high == 99  # the value is never outside
    assert np.isnan(percentiles(1.0, np.array([np.nan])).low)
    assert np.isnan(percentiles(np.nan, np.arange(3.0)).high)


def test_drawn_counts_add_up_and_spread_as_images_drawn_one_by_one() -> None:
    drawn = drawn_counts(TABLE, replicates=4_000)
    assert (drawn.support.sum(1) == 100).all() and (drawn.predicted.sum(1) == 100).all()
    assert (drawn.right <= np.minimum(drawn.support, drawn.predicted)).all()
    true, given = np.repeat(np.indices((3, 3)).reshape(2, -1), TABLE.ravel(), axis=1)
    rng = np.random.default_rng(0)
    one_by_one = []
    for _ in range(600):
        rows = rng.integers(0, 100, 100)
        one_by_one.append(f1_score(true[rows], given[rows], average=None, labels=[0, 1, 2]))
    f1 = drawn.f1()
    assert f1.mean(0) == pytest.approx(np.mean(one_by_one, axis=0), abs=0.02)
    assert f1.std(0) == pytest.approx(np.std(one_by_one, axis=0), rel=0.12)


def test_the_seed_fixes_the_replicates() -> None:
    scores, labels = drawn_set(200)
    first, second = (drawn_images(scores, labels, by_bins(scores)) for _ in range(2))
    assert np.array_equal(first.auroc, second.auroc) and np.array_equal(first.ece, second.ece)
    assert not np.array_equal(drawn_counts(TABLE, seed=1).right, drawn_counts(TABLE).right)


def test_replicates_of_images_spread_as_images_drawn_one_by_one() -> None:
    scores, labels = drawn_set(500)
    drawn = drawn_images(scores, labels, by_bins(scores))
    confidence, correct = np.exp(scores.max(1)), scores.argmax(1) == labels
    rng = np.random.default_rng(0)
    auroc, ece, nll = [], [], []
    for _ in range(300):
        rows = rng.integers(0, 500, 500)
        auroc.append(roc_auc_score(labels[rows] == 0, scores[rows, 0]))
        ece.append(reliability(confidence[rows], correct[rows]).ece)
        nll.append(-scores[rows, labels[rows]].mean())
    for found, expected in ((drawn.auroc[:, 0], auroc), (drawn.ece, ece), (drawn.nll, nll)):
        assert found.mean() == pytest.approx(np.mean(expected), rel=0.03)
        assert found.std() == pytest.approx(np.std(expected), rel=0.2)


def test_a_rare_class_is_undefined_in_draws_without_it() -> None:
    scores, labels = drawn_set(50)
    labels = np.where(labels == 3, 0, labels)
    labels[0] = 3
    drawn = drawn_images(scores, labels, by_bins(scores))
    missing = np.isnan(drawn.auroc[:, 3]).mean()
    assert 0.25 < missing < 0.5  # (1 - 1/50)^50 = 0.36
    assert not np.isnan(drawn.auroc[:, 0]).any()


@pytest.mark.parametrize(("shift", "true"), [(0.0, 0.0), (0.05, 0.05)])
def test_the_interval_of_the_calibration_error_covers_the_truth(shift: float, true: float) -> None:
    """Confidences that say `shift` too much. Plain percentiles cover 0 never, and 0.05 in half."""
    covered = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        confidence = rng.beta(6, 1, 800) * 0.5 + 0.5
        rest = np.log1p(-confidence)
        scores = np.stack([np.log(confidence), rest, np.full(800, -50.0)], axis=1)
        labels = np.where(rng.random(800) < confidence - shift, 0, 1)
        bins = confidence_bins(confidence)
        value = reliability(confidence, labels == 0).ece
        interval = ece_interval(value, drawn_images(scores, labels, bins, seed))
        assert 0 <= interval.low <= interval.value <= interval.high
        covered.append(interval.low <= true <= interval.high)
    assert np.mean(covered) >= 0.85


def test_percentiles_of_the_calibration_error_are_reflected() -> None:
    ece = np.linspace(0.05, 0.09, 401)
    nothing = np.empty((401, 0))
    drawn = ImageReplicates(ece, ece, np.zeros(401), nothing, nothing)
    found = ece_interval(0.06, drawn)
    assert (found.low, found.high) == pytest.approx((0.12 - 0.089, 0.12 - 0.051))


def test_paired_counts_are_of_the_same_draws() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    first = np.where(rng.random(400) < 0.9, labels, (labels + 1) % 3)
    second = np.where(rng.random(400) < 0.05, (first + 1) % 3, first)
    a, b = paired_counts(labels, [first, second], 3, replicates=2_000)
    assert np.array_equal(a.support, b.support) and (a.support.sum(1) == 400).all()
    gain = (a.right - b.right).sum(1) / 400
    apart = (first == labels).astype(float) - (second == labels)
    assert gain.mean() == pytest.approx(apart.mean(), abs=0.002)
    assert gain.std() == pytest.approx(apart.std() / 20, rel=0.08)  # not of independent draws


def test_drawn_means_spread_as_the_standard_error() -> None:
    values = np.random.default_rng(0).normal(3, 2, 1_000)
    means = drawn_means(values)
    assert means.mean() == pytest.approx(values.mean(), abs=0.02)
    assert means.std() == pytest.approx(values.std() / np.sqrt(1_000), rel=0.12)
