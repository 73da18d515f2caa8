from dataclasses import replace

import numpy as np
import pytest

from seewhy.evaluation.decision.ood import choose_ood_score, class_means, ood_scores
from seewhy.evaluation.predictions import Predictions, concat

CLASSES = ("a", "b", "c")


def seen(n: int, strength: float, angle: float, seed: int) -> Predictions:
    """Images whose logits stand out by `strength` and whose embeddings are `angle` from a class's."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + strength * np.eye(3)[labels]
    embeddings = np.cos(angle) * np.eye(6)[labels] + np.sin(angle) * np.eye(6)[labels + 3]
    return Predictions(
        logits.astype(np.float32),
        labels,
        CLASSES,
        np.arange(n).astype(str),
        (embeddings + rng.normal(0, 0.1, (n, 6))).astype(np.float32),
    )


def test_scores_by_hand() -> None:
    p = Predictions(
        np.array([[1, 2, 3]], np.float32), None, CLASSES, np.array(["x"]), np.array([[3, 4]], "f4")
    )
    exponents = np.exp([1.0, 2, 3])
    assert ood_scores("probability", p) == pytest.approx([exponents[2] / exponents.sum()])
    assert ood_scores("max_logit", p).tolist() == [3]
    assert ood_scores("energy", p) == pytest.approx([np.log(exponents.sum())])
    means = np.array([[1.0, 0], [0, 1], [-1, 0]])
    assert ood_scores("similarity", p, means) == pytest.approx([0.8])


def test_large_logits_overflow_nowhere() -> None:
    p = replace(seen(2, 0, 0, 0), logits=np.array([[1e4, 0, 0], [0, -1e4, 0]], np.float32))
    assert ood_scores("energy", p) == pytest.approx([1e4, np.log(2)])


def test_class_means_are_unit_vectors_and_absent_classes_are_near_nothing() -> None:
    p = seen(200, 1, 0.3, 0)
    kept = p.take(p.labels != 2)
    means = class_means(kept)
    assert np.linalg.norm(means[:2], axis=1) == pytest.approx([1, 1], abs=1e-3)
    assert means[2].tolist() == [0] * 6
    assert class_means(replace(p, embeddings=None)) is None


@pytest.mark.parametrize(
    ("strength", "angle", "best"),
    [(4, 1.4, "similarity"), (0, 0.2, "energy")],
)
def test_the_score_in_which_the_others_differ_is_chosen(strength, angle, best) -> None:
    inside, outside = seen(800, 4, 0.2, 1), seen(600, strength, angle, 2)
    found = choose_ood_score(inside, outside)
    assert found.score == best or (best == "energy" and found.score in ("max_logit", "probability"))
    assert (found.means is not None) == (found.score == "similarity")
    assert found.auroc.low <= found.auroc.value <= found.auroc.high and found.auroc.value > 0.8
    assert 0.9 < found.kept.value < 0.99 and found.caught.value > 0.3
    scores = ood_scores(found.score, outside, found.means)
    assert (scores < found.threshold).mean() == pytest.approx(found.caught.value, abs=0.08)


def test_others_of_the_same_kind_are_not_told_apart() -> None:
    found = choose_ood_score(seen(1_000, 3, 0.2, 1), seen(1_000, 3, 0.2, 2))
    assert found.auroc.low < 0.5 < found.auroc.high + 0.02
    assert found.caught.value < 0.12


@pytest.mark.parametrize("seed", range(3))
def test_few_images_of_many_features_are_not_their_own_evidence(seed) -> None:
    def noise(n: int, seed: int) -> Predictions:
        embeddings = np.random.default_rng(seed).normal(size=(n, 512)).astype(np.float32)
        return replace(seen(n, 3, 0.2, seed), embeddings=embeddings)

    found = choose_ood_score(noise(150, seed), noise(150, seed + 9))
    assert found.areas["similarity"] < 0.65  # 0.8 where each image is part of its class's mean


def test_without_embeddings_similarity_is_no_candidate() -> None:
    inside = replace(seen(100, 3, 0.2, 1), embeddings=None)
    found = choose_ood_score(inside, replace(seen(100, 0, 0.2, 2), embeddings=None))
    assert set(found.areas) == {"probability", "max_logit", "energy"}


def test_means_of_more_numbers_than_a_model_file_carries_are_no_candidate() -> None:
    def wide(p: Predictions) -> Predictions:
        return replace(p, embeddings=np.pad(p.embeddings, ((0, 0), (0, 7_000))))

    inside, outside = wide(seen(100, 3, 0.2, 1)), wide(seen(100, 0, 0.2, 2))
    assert "similarity" not in choose_ood_score(inside, outside).areas


def test_a_score_of_no_use_has_a_fault() -> None:
    """A tenth of the familiar images are less familiar than all others, so the threshold detects none."""
    strange = replace(seen(100, 0, 0.2, 3), logits=np.zeros((100, 3), np.float32), embeddings=None)
    plain = replace(seen(900, 9, 0.2, 1), embeddings=None)
    others = replace(seen(400, 3, 0.2, 2), embeddings=None)
    found = choose_ood_score(concat([plain, strange]), others)
    assert found.auroc.value > 0.8 and found.caught.value < 0.05
    assert "at the threshold that accepts 95% of validation" in found.fault
    assert f"ROC area is {found.auroc.value:.2f}" in found.fault
    assert not choose_ood_score(plain, others).fault
    same = replace(seen(900, 9, 0.2, 4), embeddings=None)
    assert "0.7 is needed" in choose_ood_score(plain, same).fault


@pytest.mark.parametrize("seed", range(4))
def test_few_images_of_a_class_do_not_spoil_the_threshold_of_similarity(seed) -> None:
    """An image alone in its class resembles no mean but its own, which the threshold must not follow."""
    labels = np.repeat([0, 1, 2], [10, 9, 1])
    turned = np.full((40, 6), 0.5, np.float32)
    noise = np.random.default_rng(seed).normal(0, 0.01, (60, 6)).astype(np.float32)

    def images(labels: np.ndarray, embeddings: np.ndarray) -> Predictions:
        ids = np.arange(len(labels)).astype(str)
        return Predictions(np.zeros((len(labels), 3), np.float32), labels, CLASSES, ids, embeddings)

    inside = images(labels, np.eye(6, dtype=np.float32)[labels] + noise[:20])
    found = choose_ood_score(inside, images(np.full(40, -1), turned + noise[20:]), seed)
    assert found.score == "similarity" and found.threshold > 0.9
    assert found.caught.value == 1 and not found.fault


def test_similarity_needs_two_images_of_a_class() -> None:
    inside = seen(3, 3, 0.2, 1)
    one_each = replace(inside, labels=np.arange(3))
    assert "similarity" not in choose_ood_score(one_each, seen(30, 3, 1.4, 2)).areas
