from dataclasses import replace

import numpy as np
import pytest

from seewhy.analysis.compare import common_rows, compare_predictions
from seewhy.errors import DataError
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.significance import corrected_level, mcnemar, mcnemar_interval

CLASSES = ("ant", "bee", "cow", "dog")


def model(right: float, n: int = 2_000, seed: int = 0, weak: int | None = None) -> Predictions:
    """Answers that are right with this probability; hardly ever for the class `weak`."""
    labels = np.random.default_rng(99).integers(0, 4, n)
    rng = np.random.default_rng(seed)
    wrong = rng.random(n) > np.where(labels == weak, 0.3, right)
    given = np.where(wrong, (labels + rng.integers(1, 4, n)) % 4, labels)
    logits = (rng.normal(size=(n, 4)) * 0.1 + 3 * np.eye(4)[given]).astype(np.float32)
    return Predictions(logits, labels, CLASSES, np.arange(n).astype(str))


def hashes(n: int = 2_000) -> np.ndarray:
    return np.array([f"{row:032x}".encode() for row in range(n)], "S32")


def compared(*models: Predictions):
    named = {f"model {number}": found for number, found in enumerate(models)}
    return compare_predictions(named, [hashes(len(m)) for m in models], "val")


def test_a_real_difference_is_found_and_said() -> None:
    (found,) = compared(model(0.9), model(0.8, seed=1)).differences
    assert found.real and found.accuracy.low > 0.05 and found.accuracy.high < 0.15
    assert found.verdict.startswith("model 0 is better than model 1: ")
    assert found.verdict.endswith("The difference is real.")
    assert found.macro_f1.low > 0 and found.nll.high < 0


def test_the_better_of_the_two_may_be_the_second() -> None:
    (found,) = compared(model(0.8, seed=1), model(0.9)).differences
    assert found.accuracy.high < 0 and found.verdict.startswith("model 1 is better than model 0: ")


def test_chance_is_called_chance() -> None:
    """Of equally good models one in twenty pairs is called different."""
    pairs = [(model(0.85, 200, seed=s), model(0.85, 200, seed=s + 500)) for s in range(20)]
    assert np.mean([compared(*pair).differences[0].real for pair in pairs]) <= 0.2
    (found,) = compared(model(0.84, 300, seed=1), model(0.88, 300, seed=2)).differences
    assert not found.real and found.accuracy.low < 0 < found.accuracy.high
    assert "cannot be told apart on 300 images" in found.verdict
    assert "which may be chance; about " in found.verdict


def test_more_images_are_named_than_there_are_where_many_models_are_compared() -> None:
    (found,) = compared(model(0.84, 300, seed=1), model(0.88, 300, seed=2)).differences
    p = mcnemar(60, 32)
    one_of_many = replace(
        found,
        n=1_000,
        first_only=np.arange(60),
        second_only=np.arange(32),
        accuracy=mcnemar_interval(60, 32, 1_000, corrected_level(p, 21 * p)),
        p=21 * p,
    )
    assert p < 0.05 < one_of_many.p
    assert "about 1,800 would tell so small a difference" in one_of_many.verdict


def test_equal_answers_are_said_to_be_equal() -> None:
    (found,) = compared(model(0.9), model(0.9)).differences
    assert found.p == 1 and found.accuracy.value == 0
    assert found.verdict.endswith("they are equally often right.")


def test_the_rows_that_one_alone_gets_right_by_hand() -> None:
    a, b = model(0.9, 300), model(0.7, 300, seed=5)
    (found,) = compared(a, b).differences
    right = [m.predicted == m.labels for m in (a, b)]
    assert set(found.first_only.tolist()) == set(np.flatnonzero(right[0] & ~right[1]).tolist())
    assert set(found.second_only.tolist()) == set(np.flatnonzero(right[1] & ~right[0]).tolist())
    sure = a.confidence()[found.first_only]
    assert (np.diff(sure) <= 0).all()


def test_only_the_class_that_differs_is_called_different() -> None:
    (found,) = compared(model(0.9), model(0.9, seed=3, weak=2)).differences
    assert {name for name, row in found.per_class.items() if row.real} == {"cow"}
    cow = found.per_class["cow"].recall
    assert cow.low > 0.4 and cow.low < cow.value < cow.high


def test_more_models_are_corrected_for_being_more() -> None:
    three = compared(model(0.9), model(0.88, seed=1), model(0.88, seed=2))
    assert [(d.first, d.second) for d in three.differences] == [
        ("model 0", "model 1"), ("model 0", "model 2"), ("model 1", "model 2"),
    ]  # fmt: skip
    alone = compared(model(0.9), model(0.88, seed=1)).differences[0]
    assert three.differences[0].p > alone.p


def test_classes_are_aligned_by_name() -> None:
    a = model(0.9)
    order = [2, 0, 3, 1]
    turned = replace(
        a,
        logits=a.logits[:, order],
        labels=np.argsort(order)[a.labels],
        classes=tuple(CLASSES[k] for k in order),
    )
    found = compared(a, turned)
    assert found.differences[0].accuracy.value == 0 and found.classes == CLASSES
    assert np.array_equal(found.answers[0], found.answers[1])


def test_other_classes_are_refused() -> None:
    a = model(0.9)
    with pytest.raises(DataError, match=r"do not know the same classes \(dog, owl\)"):
        compared(a, replace(a, classes=("ant", "bee", "cow", "owl")))


def test_images_are_paired_by_content_whatever_their_order() -> None:
    a, b = model(0.9, 500), model(0.8, 500, seed=1)
    order = np.random.default_rng(0).permutation(500)[:300]
    found = compare_predictions(
        {"a": a, "b": b.take(order)}, [hashes(500), hashes(500)[order]], "val"
    )
    assert found.n == 300 and sorted(found.rows[0].tolist()) == sorted(order.tolist())
    assert np.array_equal(order[found.rows[1]], found.rows[0])
    assert np.array_equal(found.answers[1], b.predicted[found.rows[0]])


def test_identical_images_count_once_and_unlabelled_ones_never() -> None:
    twice = np.array([b"x", b"y", b"x", b""])
    assert common_rows([twice, np.array([b"", b"x", b"z", b"y"])]).tolist() == [[0, 1], [1, 3]]
    a = model(0.9, 4)
    unlabelled = replace(a, labels=np.array([-1, *a.labels[1:]]))
    assert compare_predictions({"a": a, "b": unlabelled}, [hashes(4)] * 2, "val").n == 3


def test_nothing_in_common_is_said() -> None:
    a = model(0.9, 5)
    with pytest.raises(DataError, match="no labelled image in common in val"):
        compare_predictions({"a": a, "b": a}, [hashes(5), hashes(10)[5:]], "val")


def test_other_labels_for_the_same_images_are_refused() -> None:
    a = model(0.9, 5)
    with pytest.raises(DataError, match="other labels for the same images"):
        compared(a, replace(a, labels=(a.labels + 1) % 4))
