import csv
import json
from math import nan
from pathlib import Path

import numpy as np
import pytest
from helpers import QUICK

from seewhy.analysis.experiments.learning_curve import LearningCurve, Share, fit
from seewhy.config.recipe import load_recipe
from seewhy.errors import UsageError
from seewhy.evaluation.stats.summary import summarise
from seewhy.workflows.experiments.learning_curve import _same_steps, learning_curve

SIZES = (250, 500, 1000)


def shares(scores, sizes=SIZES):
    return tuple(
        Share(size / 1000, size, (), summarise(values, 0, 1))
        for size, values in zip(sizes, scores, strict=True)
    )


def curve(scores):
    found = shares(scores)
    return LearningCurve(Path("c"), "accuracy", found, fit(found, 10**9))


def law(size):
    return 1 - 3 * size**-0.4


def test_an_exact_power_law_is_found_and_led_on():
    found = fit(shares([[law(size)] * 2 for size in SIZES]), 10**12)
    assert found.exponent.value == pytest.approx(0.4) and found.scale == pytest.approx(3)
    assert found.at(2000).value == pytest.approx(law(2000))
    assert found.exponent.low == pytest.approx(found.exponent.high, abs=1e-6)


def test_the_interval_holds_its_level():
    """In 300 draws of noisy runs about 95% of the intervals hold the truth."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        noisy = [
            [1 - (1 - law(size)) * np.exp(rng.normal(0, 0.1)) for _ in range(3)] for size in SIZES
        ]
        at = fit(shares(noisy), 10**12).at(2000)
        held += at.low <= law(2000) <= at.high
    assert 0.92 * 300 <= held <= 0.98 * 300


@pytest.mark.parametrize("sizes", [(100, 200, 400), (100, 102, 104)])
def test_the_interval_of_scattered_runs_stays_within_0_and_1(sizes):
    parts = shares([[0.5], [0.99], [0.3]], sizes)
    found = fit(parts, 100).at(2 * sizes[-1])
    assert 0 == found.low <= found.value <= found.high <= 1


def test_no_mistake_at_all_still_has_a_law():
    found = fit(shares([[0.9], [0.95], [1.0]]), 100)
    assert np.isfinite(found.at(2000).low) and found.at(2000).high <= 1


def test_a_gain_is_told_from_none_and_from_a_curve_that_has_flattened():
    rising = curve([[0.80, 0.81, 0.79], [0.86, 0.85, 0.87], [0.90, 0.91, 0.90]])
    assert rising.more_helps and rising.sentence.startswith(
        "More images would help: from 500 to 1,000"
    )
    assert "+4.3 points" in rising.sentence
    flat = curve([[0.86, 0.80, 0.83], [0.79, 0.85, 0.84], [0.83, 0.86, 0.80]])
    assert not flat.more_helps and "not shown to help" in flat.sentence
    flattened = curve([[0.60, 0.61, 0.60], [0.90, 0.91, 0.90], [0.90, 0.90, 0.90]])
    assert flattened.law.exponent.low > 0 and not flattened.more_helps


def test_too_few_runs_have_no_law():
    found = LearningCurve(Path("c"), "accuracy", shares([[0.8], [0.9], [0.95]])[:2], None)
    assert fit(found.shares, 100) is None
    assert not found.more_helps and "--seeds 3" in found.sentence


def test_every_part_is_trained_for_as_many_steps():
    changes = {"train.warmup": 2, "train.patience": 3, "train.schedule": "cosine"}
    recipe = load_recipe("simple-cnn", changes)
    assert _same_steps(recipe, 0.25, 10_000) == {
        "train.epochs": 100,
        "train.patience": 12,
        "train.warmup": 8,
    }


def test_a_plateau_is_waited_for_as_many_steps():
    recipe = load_recipe("simple-cnn", {"train.schedule": "plateau"})  # 5 epochs, if not set
    assert _same_steps(recipe, 0.25, 10_000)["train.plateau_patience"] == 20


def test_shares_of_less_than_a_batch_have_as_many_steps_as_the_whole():
    recipe = load_recipe("simple-cnn", {"train.epochs": 30, "train.batch_size": 200})
    for share, images in ((1, 500), (0.5, 250), (0.2, 100), (0.05, 25)):
        epochs = _same_steps(recipe, share, 500)["train.epochs"]
        assert epochs * images / min(200, images) == pytest.approx(30 * 500 / 200, abs=1)


def trained(run):
    with open(run.path / "splits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {split: {r["id"] for r in rows if r["split"] == split} for split in ("train", "val")}


def test_parts_are_stratified_and_nested_and_validated_alike(photos, tmp_path):
    found = learning_curve(
        photos, "regularized-cnn", (0.25, 0.5, 1), 1, out=tmp_path / "c", overrides=QUICK
    )
    parts = [trained(share.runs[0]) for share in found.shares]
    assert [len(part["train"]) for part in parts] == [16, 32, 63]
    assert parts[0]["train"] < parts[1]["train"] < parts[2]["train"]
    assert parts[0]["val"] == parts[1]["val"] == parts[2]["val"]
    for part in parts:
        counts = [
            sum(key.startswith(name) for key in part["train"]) for name in ("ant", "bee", "cow")
        ]
        assert max(counts) - min(counts) <= 1
    assert [len(share.runs[0].history) for share in found.shares] == [8, 4, 2]
    stored = json.loads((tmp_path / "c" / "learning_curve.json").read_text())
    assert stored["sentence"] == found.sentence
    assert stored["curve"]["shares"][2]["pictures"] == 63


def test_a_finished_curve_is_not_trained_again(photos, tmp_path, monkeypatch):
    arguments = (photos, "regularized-cnn", (0.5, 1), 1)
    first = learning_curve(*arguments, out=tmp_path / "c", overrides=QUICK)
    monkeypatch.setattr("seewhy.workflows.train.training_loop", None)
    assert learning_curve(*arguments, out=tmp_path / "c", overrides=QUICK).shares == first.shares


@pytest.mark.parametrize("wrong", [(1.0,), (0.0, 1.0), (0.5, 1.1), (0.5, 0.5), (nan, 1.0)])
def test_wrong_shares_are_refused(photos, tmp_path, wrong):
    with pytest.raises(UsageError, match="two or more"):
        learning_curve(photos, "regularized-cnn", wrong, out=tmp_path / "c")
