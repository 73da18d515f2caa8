import numpy as np
import pytest
from sklearn.metrics import auc, average_precision_score, roc_auc_score, roc_curve

from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.ranking import Ranked, areas, class_curves


@pytest.fixture
def tied() -> tuple[np.ndarray, np.ndarray]:
    """Scores of 400 images of three classes with many ties."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 400)
    return np.round(rng.normal(size=(400, 3)) + np.eye(3)[labels], 1), labels


def test_areas_by_hand() -> None:
    scores = np.array([[0.9, 0], [0.8, 0], [0.8, 0], [0.1, 0]])
    roc, precision = areas(scores, np.array([0, 1, 0, 1]))
    assert roc[0] == pytest.approx((2 + 1.5) / 4)
    assert precision[0] == pytest.approx((1 + 2 / 3) / 2)
    assert roc[1] == 0.5 and precision[1] == 0.5  # all scores equal


def test_areas_agree_with_scikit_learn_ties_and_all(tied) -> None:
    scores, labels = tied
    roc, precision = areas(scores, labels)
    for k in range(3):
        assert roc[k] == pytest.approx(roc_auc_score(labels == k, scores[:, k]))
        assert precision[k] == pytest.approx(average_precision_score(labels == k, scores[:, k]))


def test_weights_count_like_repeated_images(tied) -> None:
    scores, labels = tied
    weights = np.random.default_rng(0).integers(0, 4, len(labels))
    found = Ranked.of(scores[:, 0], labels == 0).areas(weights[:, None].astype(float))[:, 0]
    repeated = np.repeat(np.arange(len(labels)), weights)
    own, score = (labels == 0)[repeated], scores[repeated, 0]
    assert found == pytest.approx([roc_auc_score(own, score), average_precision_score(own, score)])


def test_a_class_that_none_or_all_have_has_no_area() -> None:
    roc, precision = areas(np.zeros((3, 2)), np.zeros(3, int))
    assert np.isnan(roc).all() and np.isnan(precision).all()


def test_curves_are_thinned_and_keep_their_area(tied) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 3, 5_000)
    logits = (rng.normal(size=(5_000, 3)) + 2 * np.eye(3)[labels]).astype(np.float32)
    p = Predictions(logits, labels, ("a", "b", "c"), np.arange(5_000).astype(str))
    for k, curves in enumerate(class_curves(p).values()):
        assert len(curves.fpr) <= 200 and (curves.fpr[0], curves.tpr[0]) == (0, 0)
        assert (curves.fpr[-1], curves.tpr[-1]) == (1, 1)
        full = roc_curve(labels == k, p.log_probabilities()[:, k])
        assert auc(curves.fpr, curves.tpr) == pytest.approx(auc(*full[:2]), abs=2e-3)
        assert curves.recall[0] == 0 and curves.recall[-1] == 1
        assert curves.precision[-1] == pytest.approx((labels == k).mean())


def test_a_class_without_images_has_no_curve() -> None:
    p = Predictions(
        np.eye(3, dtype=np.float32)[:2], np.array([0, 1]), ("a", "b", "c"), np.arange(2)
    )
    assert [len(curves.fpr) for curves in class_curves(p).values()] == [3, 3, 0]
