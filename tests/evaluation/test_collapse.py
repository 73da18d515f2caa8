import numpy as np
import pytest

from seewhy.evaluation.collapse import collapse
from seewhy.evaluation.metrics import metrics
from seewhy.evaluation.predictions import Predictions
from seewhy.files import to_json

CLASSES = ("ant", "bee", "cow")


@pytest.mark.parametrize(
    ("confusion", "given"),
    [
        ([[0, 5, 0], [0, 5, 0], [0, 5, 0]], "bee"),
        ([[0, 500, 0], [2, 490, 8], [0, 500, 0]], "bee"),
        ([[95, 0, 0], [5, 0, 0], [0, 0, 0]], "ant"),  # it is right 95 times in 100, and useless
        ([[5, 0, 0], [0, 5, 0], [0, 0, 5]], None),
        ([[97, 0, 0], [1, 2, 0], [0, 0, 0]], None),  # the few of the other class are recognised
        ([[40, 0, 0], [0, 0, 0], [0, 0, 0]], None),  # nothing but ants: a good model says ant
        ([[40, 0, 0], [3, 0, 0], [1, 0, 0]], None),  # 4 others can be mistakes
        ([[40, 0, 0], [3, 0, 0], [2, 0, 0]], "ant"),
        ([[0, 0, 0], [0, 0, 0], [0, 0, 0]], None),
    ],
)
def test_a_collapsed_model_gives_one_class_to_what_belongs_to_others_too(confusion, given) -> None:
    found = collapse(np.array(confusion), CLASSES)
    assert [one.kind for one in found] == (["collapsed"] if given else [])
    if given:
        assert f"predicted as {given}" in found[0].finding


def test_it_counts_images_and_says_how_many() -> None:
    (found,) = collapse(np.array([[0, 500, 0], [2, 490, 8], [0, 500, 0]]), CLASSES)
    assert found.finding == (
        "collapsed: 1,490 of 1,500 images are predicted as bee, also 1,000 of the 1,000 that belong to "
        "other classes"
    )
    assert "seewhy find-lr" in found.advice


def test_the_metrics_record_it() -> None:
    logits = np.zeros((30, 3), np.float32)
    logits[:, 2] = 1
    labels = np.arange(30) % 3
    ids = np.arange(30).astype(str).astype(object)
    stored = to_json(metrics(Predictions(logits, labels, CLASSES, ids), "val"))
    assert [one["kind"] for one in stored["diagnostics"]] == ["collapsed"]
    logits[np.arange(30), labels] = 2
    assert "diagnostics" not in to_json(metrics(Predictions(logits, labels, CLASSES, ids), "val"))
