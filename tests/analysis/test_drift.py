"""Drift is found where it was planted, and not where it was not; what is new and what it costs."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import ks_2samp

from seewhy.analysis.drift import drift
from seewhy.errors import DriftError
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.significance import holm
from seewhy.files import to_json

CLASSES = ("ant", "bee", "cat")


def predictions(n, seed, *, shift=0.0, shares=(1 / 3, 1 / 3, 1 / 3), sure=4.0, embeddings=True):
    """Images of three classes, whose logits are as sure as said; `shift` moves their embeddings."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=shares)
    logits = rng.normal(0, 1.5, (n, 3)) + sure * np.eye(3)[labels]
    vectors = rng.normal(0, 1, (n, 8)) + 2 * np.eye(3, 8)[labels] + shift
    return Predictions(
        logits.astype(np.float32),
        labels,
        CLASSES,
        np.array([f"{seed}-{row}.png" for row in range(n)], object),
        vectors.astype(np.float32) if embeddings else None,
    )


def test_windows_of_the_same_kind_raise_no_alarm():
    reference = predictions(600, 0)
    found = [drift(reference, predictions(200, 1 + seed)).drifted for seed in range(20)]
    assert sum(found) <= 1


def test_other_embeddings_are_found_where_the_classes_say_nothing():
    found = drift(predictions(600, 0), predictions(200, 1, shift=0.5))
    classes, embeddings = found.tests
    assert found.drifted and embeddings.corrected < 0.01 <= classes.corrected
    assert not any(share.moved for share in found.classes.values())


def test_without_embeddings_the_logits_are_compared():
    known = predictions(600, 0, embeddings=False)
    assert not drift(known, predictions(200, 1, embeddings=False)).drifted
    assert drift(known, predictions(200, 1, sure=1.0, embeddings=False)).drifted


def test_the_classes_that_moved_are_named():
    found = drift(predictions(600, 0), predictions(300, 1, shares=(0.1, 0.8, 0.1)))
    assert found.drifted
    moved = found.classes["bee"]
    assert moved.moved and moved.window.low > moved.reference.high


def test_the_images_that_are_new_come_farthest_first():
    window = predictions(100, 1)
    window.embeddings[[7, 40]] += np.array([[30.0], [60.0]], np.float32)
    found = drift(predictions(600, 0), window)
    assert found.new[:2] == (40, 7) and found.ids[:2] == ("1-40.png", "1-7.png")
    assert found.distances[0] > found.distances[1] > 1
    assert len(found.new) <= 10  # 1 of 100 is usual


def test_the_accuracy_is_estimated_without_labels():
    known, window = predictions(2000, 0), predictions(400, 1, sure=2.0)
    truth = (window.predicted == window.labels).mean()
    found = drift(known, Predictions(window.logits, None, CLASSES, window.ids, window.embeddings))
    assert found.accuracy.value == (known.predicted == known.labels).mean()
    assert abs(found.expected.value - truth) < 0.1
    assert found.expected.low < found.expected.value < found.expected.high
    assert drift(window, known).expected.value > found.expected.value


def test_a_reference_without_labels_gives_no_accuracy():
    known = predictions(100, 0)
    bare = Predictions(known.logits, None, CLASSES, known.ids, known.embeddings)
    found = drift(bare, predictions(50, 1))
    assert found.accuracy is found.expected is None


def test_it_matters_where_even_the_best_guess_of_the_accuracy_is_lower():
    known = predictions(1000, 0)
    same, unsure = predictions(200, 1), predictions(200, 1, sure=1.0)
    assert (drift(known, same).worse, drift(known, unsure).worse) == (False, True)
    bare = Predictions(known.logits, None, CLASSES, known.ids, known.embeddings)
    assert drift(bare, unsure).worse is None
    stored = to_json(drift(known, unsure))
    assert stored["drifted"] and stored["worse"] and stored["window"] == 200


def test_the_test_of_classes_is_that_of_kolmogorov_and_smirnov():
    sides = predictions(300, 0), predictions(90, 1, sure=3.0)
    for side in sides:
        side.logits[:] = side.logits.round()  # ties
    found = drift(*sides)
    expected = [
        ks_2samp(*(side.probabilities()[:, place] for side in sides), method="asymp")
        for place in range(3)
    ]
    assert found.tests[0].statistic == pytest.approx(max(one.statistic for one in expected))
    ps = holm([one.pvalue for one in expected])
    assert [share.p for share in found.classes.values()] == pytest.approx(ps, rel=0.03)


def test_a_large_window_is_compared_in_parts():
    reference, window = predictions(600, 0), predictions(40_000, 1)
    tracemalloc.start()
    drift(reference, window)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 180e6  # of all distances between the two it would be 290


def test_a_small_reference_raises_no_more_alarms_and_calls_nothing_new():
    """16 images and wide embeddings, whose std the test must not take from one side."""
    rng = np.random.default_rng(0)

    def wide(n, seed):
        one = predictions(n, seed)
        vectors = rng.normal(0, 1, (n, 300)) ** 3
        return Predictions(one.logits, None, CLASSES, one.ids, vectors.astype(np.float32))

    found = [drift(wide(16, 100 + turn), wide(50, turn)) for turn in range(40)]
    assert sum(one.drifted for one in found) <= 2
    assert not any(one.new for one in found)


@pytest.mark.parametrize("sizes", [(3, 100), (100, 3)])
def test_a_window_of_three_images_says_nothing(sizes):
    with pytest.raises(DriftError, match="3 images says nothing: expected 10") as raised:
        drift(*(predictions(n, seed) for seed, n in enumerate(sizes)))
    assert raised.value.code == "too_few_images"


def test_the_same_seed_gives_the_same_figures():
    sides = predictions(1500, 0), predictions(100, 1)
    first, again, other = (drift(*sides, seed=seed).tests for seed in (0, 0, 1))
    assert first == again != other
