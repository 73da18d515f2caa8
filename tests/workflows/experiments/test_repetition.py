import csv
import json
import shutil

import numpy as np
import pytest
from helpers import QUICK, same_weights

import seewhy
from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import metrics
from seewhy.evaluation.predictions import Predictions
from seewhy.events import RunStarted
from seewhy.files import to_json
from seewhy.workflows.experiments.repetition import folds, seeds


def run_seeds(photos, out, count=2, **options):
    return seeds(photos, "regularized-cnn", count, out=out, overrides=QUICK, **options)


@pytest.fixture(scope="module")
def three(photos, tmp_path_factory):
    return run_seeds(photos, tmp_path_factory.mktemp("seeds") / "three", 3)


def test_seeds_are_runs_that_differ_in_their_seed_alone(photos, three):
    assert three.seeds == (0, 1, 2)
    assert [run.path.name for run in three.runs] == ["seed-0", "seed-1", "seed-2"]
    configs = [run.config["recipe"] for run in three.runs]
    assert [config["train"].pop("seed") for config in configs] == [0, 1, 2]
    assert configs[0] == configs[1] == configs[2]
    assert not same_weights(three.runs[0].model, three.runs[1].model)


def test_the_figures_are_those_of_the_runs(three):
    values = [run.metrics["val"]["balanced_accuracy"] for run in three.runs]
    found = three.figures["balanced_accuracy"]
    assert found.values == tuple(values) and found.mean == pytest.approx(np.mean(values))
    assert found.low <= found.mean <= found.high <= 1
    stored = json.loads((three.path / "seeds.json").read_text())
    assert stored["figures"]["balanced_accuracy"]["sd"] == pytest.approx(np.std(values, ddof=1))


def test_seeds_start_at_the_recipes_own(photos, tmp_path):
    found = seeds(
        photos, "regularized-cnn", 1, out=tmp_path / "s", overrides={**QUICK, "train.seed": 7}
    )
    assert found.seeds == (7,) and np.isnan(found.figures["accuracy"].low)


def test_stopped_seeds_go_on_to_the_same_bits_and_more_can_be_added(photos, tmp_path, three):
    def stop(event):
        if isinstance(event, RunStarted) and event.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_seeds(photos, tmp_path / "s", on_event=stop)
    assert not (tmp_path / "s" / "seeds.json").exists()
    begun = (tmp_path / "s" / "seed-0" / "model.safetensors").stat().st_mtime_ns
    run_seeds(photos, tmp_path / "s")
    found = run_seeds(photos, tmp_path / "s", 3)
    assert found.runs[0].model.stat().st_mtime_ns == begun
    assert found.figures == three.figures
    assert all(
        same_weights(one.model, other.model)
        for one, other in zip(found.runs, three.runs, strict=True)
    )


def test_finished_seeds_are_not_trained_again(photos, three, no_training):
    assert run_seeds(photos, three.path, 3).figures == three.figures


def test_seeds_that_another_machine_trained_are_taken_over(photos, tmp_path, three, monkeypatch):
    overrides = {**QUICK, "train.seed": 2}
    apart = seeds(photos, "regularized-cnn", 1, out=tmp_path / "b", overrides=overrides)
    run_seeds(photos, tmp_path / "a")
    shutil.copytree(apart.path / "seed-2", tmp_path / "a" / "seed-2")
    monkeypatch.setattr("seewhy.workflows.train.training_loop", None)
    assert run_seeds(photos, tmp_path / "a", 3).figures == three.figures


def test_another_recipe_in_the_same_place_is_refused_by_name(photos, three):
    with pytest.raises(UsageError, match=r"train\.lr"):
        seeds(photos, "regularized-cnn", 3, out=three.path, overrides={**QUICK, "train.lr": 0.5})


@pytest.mark.parametrize(("what", "count"), [(seeds, 0), (folds, 1)])
def test_too_few_are_refused(photos, tmp_path, what, count):
    with pytest.raises(UsageError, match="or more"):
        what(photos, "regularized-cnn", count, out=tmp_path / "x")


# ------------------------------------------------------------------ folds


@pytest.fixture(scope="module")
def grouped(photos, tmp_path_factory):
    overrides = {**QUICK, "data.group_from": r"(p\d)-"}
    out = tmp_path_factory.mktemp("folds") / "folds"
    return folds(photos, "regularized-cnn", 3, out=out, overrides=overrides)


def members(run):
    with open(run.path / "splits.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_image_is_predicted_once_by_the_run_that_had_not_seen_it(photos, grouped):
    whole = load_data(photos, DataConfig(size=16, group_from=r"(p\d)-"))
    predictions = Predictions.from_parquet(grouped.predictions)
    assert sorted(predictions.ids) == sorted([*whole.train.ids, *whole.val.ids])
    assert predictions.labels.tolist() == [
        whole.classes.index(key.split("/")[0]) for key in predictions.ids
    ]
    for run in grouped.runs:
        own = Predictions.from_parquet(run.predictions("val"))
        rows = [list(predictions.ids).index(key) for key in own.ids]
        assert np.array_equal(predictions.logits[rows], own.logits)
        trained = {row["id"] for row in members(run) if row["split"] == "train"}
        assert trained and not trained & set(own.ids)


def test_groups_are_never_parted_and_test_is_the_same_in_all(grouped):
    for run in grouped.runs:
        rows = members(run)
        groups = {
            name: {r["group"] for r in rows if r["split"] == name} for name in ("train", "val")
        }
        assert not groups["train"] & groups["val"]
    tests = [{r["id"] for r in members(run) if r["split"] == "test"} for run in grouped.runs]
    assert tests[0] == tests[1] == tests[2] and tests[0]


def test_the_whole_has_an_interval_and_the_folds_a_spread(grouped):
    predictions = Predictions.from_parquet(grouped.predictions)
    assert to_json(metrics(predictions, "oof")) == to_json(grouped.whole)
    stored = json.loads((grouped.path / "folds.json").read_text())
    assert stored["whole"]["accuracy"] == to_json(grouped.whole)["accuracy"]
    assert set(stored["figures"]["accuracy"]) == {"values", "mean", "sd"}  # no interval: see Folds


def test_finished_folds_are_not_trained_again(photos, grouped, no_training):
    overrides = {**QUICK, "data.group_from": r"(p\d)-"}
    again = folds(photos, "regularized-cnn", 3, out=grouped.path, overrides=overrides)
    assert to_json(again.whole) == to_json(grouped.whole)
    with pytest.raises(UsageError, match=r"data\.folds"):
        folds(photos, "regularized-cnn", 4, out=grouped.path, overrides=overrides)


def test_a_fold_can_be_evaluated_as_it_was_validated(photos, grouped):
    figures, _ = seewhy.evaluate(grouped.runs[1].path, photos, "val")
    assert to_json(figures) == grouped.runs[1].metrics["val"]
