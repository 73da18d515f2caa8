import numpy as np
import pytest

from seewhy.analysis.labels.issues import confident_joint, label_issues

EASY = np.array(
    [[0.9, 0.1], [0.8, 0.2], [0.95, 0.05], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]
)  # three images of each of two classes


def noisy(n: int, k: int, rate: float, kind: str, seed: int = 0):
    """Labels, a part of them flipped, and probabilities that know the truth for the most part."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, k, n)
    flipped = rng.random(n) < rate
    step = rng.integers(1, k, n) if kind == "symmetric" else np.ones(n, int)
    given = np.where(flipped, (true + step) % k, true)
    logits = rng.normal(size=(n, k)) + 3.2 * np.eye(k)[true]
    chances = np.exp(logits)
    return given, true, flipped, chances / chances.sum(1, keepdims=True)


def test_the_joint_by_hand() -> None:
    """Northcutt 2021, section 3.1: thresholds are each class's mean self-confidence, here 0.55."""
    labels = np.array([0, 0, 0, 0, 1, 1])
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.1, 0.9], [0.45, 0.55], [0.45, 0.55]])
    # Thresholds 0.55 and 0.55: the first two count as 0, the next two as 1, the last two as 1.
    assert confident_joint(labels, chances) == pytest.approx(np.array([[2, 2], [0, 2]]) / 6)


def test_rows_of_the_joint_are_the_labels_shares() -> None:
    given, _, _, chances = noisy(3_000, 5, 0.1, "symmetric")
    joint = confident_joint(given, chances)
    assert joint.sum(1) == pytest.approx(
        np.bincount(given) / 3_000
    ) and joint.sum() == pytest.approx(1)


def test_the_joint_estimates_who_was_taken_for_whom() -> None:
    given, true, _, chances = noisy(20_000, 4, 0.2, "asymmetric")
    expected = np.zeros((4, 4))
    np.add.at(expected, (given, true), 1 / 20_000)
    assert np.abs(confident_joint(given, chances) - expected).max() < 0.03


def test_a_planted_error_is_named_with_its_true_class() -> None:
    labels = np.array([0, 0, 1, 1, 1, 1])  # the third is of class 0
    found = label_issues(labels, EASY)
    assert found.rows.tolist() == [2] and found.suggested.tolist() == [0]
    assert found.scores[0] > 0.4 and found.noise == pytest.approx(1 / 6)


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric"])
def test_planted_flips_are_found(kind: str) -> None:
    given, true, flipped, chances = noisy(8_000, 10, 0.05, kind)
    found = label_issues(given, chances)
    hits = flipped[found.rows]
    assert hits.sum() / flipped.sum() > 0.8 and hits.mean() > 0.5
    assert (found.suggested[hits] == true[found.rows][hits]).mean() > 0.9
    assert (np.diff(found.scores) <= 0).all()
    surest = flipped[found.rows[:100]]
    assert surest.mean() > 0.9


def alike(kind: str, n: int = 4_000, k: int = 10):
    """Labels, a tenth wrong, and probabilities of a network that confuses pairs of classes itself.

    `uniform` flips to any class, `class_wise` to the other of the pair, `hard` mostly where it is confused.
    """
    rng = np.random.default_rng(0)
    rows, true, confusion = np.arange(n), rng.integers(0, k, n), rng.uniform(0, 3, n)
    logits = rng.normal(size=(n, k))
    logits[rows, true] += 3
    logits[rows, true ^ 1] += confusion
    wrong = rng.random(n) < 0.1 * (confusion / 1.5 if kind == "hard" else 1)
    other = (true + rng.integers(1, k, n)) % k if kind == "uniform" else true ^ 1
    chances = np.exp(logits)
    return np.where(wrong, other, true), wrong, chances / chances.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["uniform", "class_wise", "hard"])
def test_what_a_network_confuses_itself_does_not_come_before_wrong_labels(kind: str) -> None:
    given, wrong, chances = alike(kind)
    first = wrong[label_issues(given, chances).rows[:100]].mean()
    own = chances[np.arange(len(given)), given]
    others = np.where(np.eye(10)[given] == 1, 0, chances).max(axis=1)
    for doubt in (-own, others - own):  # by self-confidence, and by the normalised margin
        assert first >= wrong[np.argsort(-doubt)[:100]].mean() - 0.03


def test_scores_are_chances() -> None:
    """The share of wrong labels among the named is near the mean of their scores."""
    given, wrong, chances = alike("uniform")
    found = label_issues(given, chances)
    sure = found.scores > 0.8
    assert wrong[found.rows[sure]].mean() == pytest.approx(found.scores[sure].mean(), abs=0.1)


def test_the_surest_are_ordered_by_the_last_digits() -> None:
    given, chances = np.array([0, 0] + [0, 1] * 10), np.array([[0.9, 0.1], [0.1, 0.9]] * 11)
    chances[:2] = [[1e-20, 1], [1e-25, 1]]
    assert label_issues(given, chances).rows.tolist() == [1, 0]


def test_right_labels_of_a_sure_model_are_left_alone() -> None:
    found = label_issues(np.array([0, 0, 0, 1, 1, 1]), EASY)
    assert len(found.rows) == 0 and found.noise == 0


def test_images_without_label_are_left_alone_and_rows_keep_their_places() -> None:
    labels = np.array([-1, 0, 0, -1, 1, 1, 1, 1])
    chances = np.concatenate([[[0.5, 0.5]], EASY[:2], [[0.5, 0.5]], EASY[2:]])
    found = label_issues(labels, chances)
    assert found.rows.tolist() == [4] and found.suggested.tolist() == [0]
    assert len(label_issues(np.full(3, -1), np.full((3, 2), 0.5)).rows) == 0


def test_a_class_without_labels_is_never_suggested() -> None:
    labels = np.array([0, 0, 0, 1, 1, 0])
    chances = np.array([[0.1, 0.1, 0.8]] + [[0.8, 0.1, 0.1]] * 2 + [[0.1, 0.8, 0.1]] * 3)
    found = label_issues(labels, chances)
    assert 2 not in found.suggested and found.joint[:, 2].sum() == 0


def test_an_image_that_only_looks_like_a_class_without_labels_is_no_fault() -> None:
    labels = np.array([0, 0, 0, 1, 1, 0] * 20)
    chances = np.array([[0.0, 0.0, 1.0]] + [[1.0, 0.0, 0.0]] * 2 + [[0.0, 1.0, 0.0]] * 3)
    found = label_issues(labels, np.tile(chances, (20, 1)))
    assert np.isfinite(found.scores).all() and 2 not in found.suggested
