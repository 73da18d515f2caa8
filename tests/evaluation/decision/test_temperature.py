from dataclasses import replace

import numpy as np
import pytest

from seewhy.evaluation.decision.temperature import fit_temperature, unfitted
from seewhy.evaluation.metrics import log_loss
from seewhy.evaluation.predictions import Predictions


def drawn(sharpness, n=4_000):
    """Predictions whose labels are drawn from softmax(logits), then sharpened by a known factor."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (n, 4))
    gumbel = rng.gumbel(size=logits.shape)
    labels = (logits + gumbel).argmax(1)
    return Predictions(
        (logits * sharpness).astype(np.float32), labels, tuple("abcd"), np.arange(n).astype(str)
    )


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_a_known_sharpness(sharpness):
    assert fit_temperature(drawn(sharpness)) == pytest.approx(sharpness, rel=0.08)


def few(n, mistakes):
    """Answers at 73% confidence, the first of them wrong."""
    labels = np.zeros(n, int)
    labels[:mistakes] = 1
    logits = np.repeat([[1.0, 0.0]], n, 0).astype(np.float32)
    return Predictions(logits, labels, ("a", "b"), np.arange(n).astype(str))


def test_a_few_images_do_not_move_it_far_and_too_few_not_at_all():
    """One mistake of 300 had given 0.17, of one image 20."""
    assert fit_temperature(few(1, 1)) == 1 and "1 labelled image is too few" in unfitted(few(1, 1))
    assert fit_temperature(few(29, 1)) == 1 and unfitted(few(30, 1)) is None
    assert 0.3 < fit_temperature(few(30, 1)) < 1 < fit_temperature(few(30, 20)) < 3
    assert "classified correctly" in unfitted(few(30, 0))


def test_no_other_temperature_has_a_smaller_loss():
    predictions = drawn(2.0)
    found = fit_temperature(predictions)
    best = log_loss(replace(predictions, temperature=found))
    for factor in (0.8, 0.95, 1.05, 1.25):
        assert log_loss(replace(predictions, temperature=found * factor)) > best


def test_where_all_are_right_nothing_is_fitted():
    predictions = drawn(1.0)
    right = replace(predictions, labels=predictions.predicted)
    assert fit_temperature(right) == 1.0
