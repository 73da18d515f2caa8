from math import isnan

import numpy as np
import pytest

from seewhy.analysis.mistakes import mistaken_rows, mistakes
from seewhy.evaluation.predictions import Predictions

CLASSES = ("ant", "bee", "cow", "dog")


def answers(rows: list[tuple[int, int, float]]) -> Predictions:
    """Predictions by (label, predicted, strength of the answer)."""
    logits = np.zeros((len(rows), 4), np.float32)
    for row, (_, predicted, strength) in enumerate(rows):
        logits[row, predicted] = strength
    labels = np.array([label for label, *_ in rows])
    return Predictions(logits, labels, CLASSES, np.array([f"p{row}" for row in range(len(rows))]))


P = answers([(0, 0, 5), (0, 1, 1), (0, 1, 3), (1, 0, 4), (1, 1, 2), (2, 2, 2), (-1, 0, 9)])


def test_counts_pairs_and_the_worst_by_hand() -> None:
    found = mistakes(P)
    assert (found.n, found.count, found.rate.value) == (6, 3, 0.5)
    assert [(m.count, m.support) for m in found.missed.values()] == [(2, 3), (1, 2), (0, 1), (0, 0)]
    assert isnan(found.missed["dog"].rate.value) and found.missed["ant"].rate.value == 2 / 3
    assert [(p.true, p.predicted, p.count) for p in found.pairs] == [
        ("ant", "bee", 2),
        ("bee", "ant", 1),
    ]
    assert found.pairs[0].rate.value == 2 / 3
    assert [m.id for m in found.worst] == ["p3", "p2", "p1"]
    assert [m.row for m in found.pairs[0].examples] == [2, 1]


def test_a_mistake_says_how_sure_it_was_and_what_the_truth_got() -> None:
    worst = mistakes(P).worst[0]
    e = np.exp(4)
    assert (worst.true, worst.predicted) == ("bee", "ant")
    assert worst.confidence == pytest.approx(e / (e + 3))
    assert worst.true_probability == pytest.approx(1 / (e + 3))


def test_unlabelled_and_unreadable_images_are_no_mistakes() -> None:
    logits = np.array([[9, 0], [np.nan, np.nan], [0, 9]], np.float32)
    p = Predictions(
        logits, np.array([-1, 0, 0]), ("a", "b"), np.arange(3), errors={1: ("undecodable", "x")}
    )
    assert mistaken_rows(p).tolist() == [2] and mistakes(p).n == 1


@pytest.mark.parametrize(("sure", "kept"), [(20, 100), (150, 150), (450, 300)])
def test_all_confident_mistakes_are_kept_within_reason(sure, kept) -> None:
    rows = [(0, 1, 9.0)] * sure + [(0, 1, 0.1)] * (450 - sure)
    assert len(mistakes(answers(rows)).worst) == kept


def test_long_lists_are_cut() -> None:
    rng = np.random.default_rng(0)
    labels, given = rng.integers(0, 4, (2, 900)).tolist()
    rows = list(zip(labels, given, rng.random(900).tolist(), strict=True))
    found = mistakes(answers(rows))
    assert len(found.worst) == 100 and len(found.pairs) == 12
    assert all(len(pair.examples) == 8 for pair in found.pairs)
    counts = [pair.count for pair in found.pairs]
    assert counts == sorted(counts, reverse=True) and sum(counts) == found.count
