import numpy as np
import pytest

from seewhy.evaluation.decision.answers import answers, decides, embedding_size
from seewhy.evaluation.decision.record import Decision, Scope
from seewhy.evaluation.predictions import Predictions

CLASSES = ("ant", "bee")
PLAIN = Decision()
SURE = Decision(threshold=0.8)
FAMILIAR = Decision(threshold=0.8, scope=Scope(score="max_logit", threshold=1.0))
NEAR = Decision(scope=Scope(score="similarity", threshold=0.9, means=((1.0, 0.0), (0.0, 1.0))))


def predicted(**options) -> Predictions:
    """Sure of ant; not sure; sure, but with small logits; unreadable."""
    logits = np.array([[5, 0], [2.1, 2], [-9, 0], [np.nan, np.nan]], np.float32)
    ids = np.array(["a", "b", "c", "d"], object)
    return Predictions(logits, None, CLASSES, ids, errors={3: ("broken", "is broken")}, **options)


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (PLAIN, ["ant", "ant", "bee", ""]),
        (SURE, ["ant", "not sure", "bee", ""]),
        (FAMILIAR, ["ant", "not sure", "out of distribution", ""]),
    ],
)
def test_an_answer_is_a_class_unless_the_decision_has_another(decision, expected) -> None:
    assert answers(decision, predicted()).tolist() == expected


def test_what_is_near_no_class_is_out_of_scope() -> None:
    embeddings = np.array([[3, 0], [2, 2], [0, 1], [np.nan, np.nan]], np.float32)
    texts = answers(NEAR, predicted(embeddings=embeddings)).tolist()
    assert texts == ["ant", "out of distribution", "bee", ""]


def test_confidence_is_that_of_the_temperature() -> None:
    assert answers(SURE, predicted(temperature=5.0)).tolist() == ["not sure", "not sure", "bee", ""]


def test_a_decision_says_what_it_needs() -> None:
    assert [decides(d) for d in (PLAIN, SURE, FAMILIAR, NEAR)] == [False, True, True, True]
    assert [embedding_size(d) for d in (PLAIN, SURE, FAMILIAR, NEAR)] == [None, None, None, 2]
