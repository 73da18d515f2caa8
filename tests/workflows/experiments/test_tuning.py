import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from helpers import QUICK
from workflows.experiments.studies import begin, tuned

from seewhy import load_recipe
from seewhy.analysis.experiments.tuning import Contender, ranked
from seewhy.errors import DivergedError, UsageError
from seewhy.evaluation.stats.summary import difference, summarise
from seewhy.events import Note, RunStarted
from seewhy.files import to_json
from seewhy.run import Run
from seewhy.workflows.experiments.task import Task
from seewhy.workflows.experiments.tuning import _begin, _recipe, tune


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    return begin(tmp_path_factory.mktemp("recipe"))


@pytest.fixture(scope="module")
def found(photos, recipe, tmp_path_factory):
    return tuned(photos, recipe, tmp_path_factory.mktemp("tuning") / "t", 5)


def test_trials_stay_within_the_search_space(found):
    assert len(found.trials) == 5 and {trial.state for trial in found.trials} == {"complete"}
    for trial in found.trials:
        assert 0.0001 <= trial.params["train.lr"] <= 0.01
        assert 0.1 <= trial.params["model.dropout"] <= 0.5
        assert trial.params["train.batch_size"] in (8, 16)
        config = Run(trial.path).config["recipe"]
        assert config["train"]["lr"] == trial.params["train.lr"]
        assert trial.value == Run(trial.path).metrics["val"]["accuracy"]["value"]
        assert trial.epochs == len(Run(trial.path).history) == 2


def test_the_best_trials_keep_their_weights_and_the_others_their_history(found):
    ranked = sorted(found.trials, key=lambda trial: (-trial.value, trial.number))
    assert [Run(trial.path).finished for trial in ranked] == [True] * 3 + [False] * 2
    assert all(Run(trial.path).history for trial in ranked)


def test_the_best_is_named_over_seeds_that_the_search_had_not_seen(found):
    ranked = sorted(found.trials, key=lambda trial: (-trial.value, trial.number))[:3]
    base, *best = found.contenders
    assert base.name == "base" and base.change is None and base.params == {}
    assert {one.name for one in best} == {f"trial {trial.number}" for trial in ranked}
    assert [one.score.mean for one in best] == sorted((o.score.mean for o in best), reverse=True)
    for one in found.contenders:
        assert [run.config["recipe"]["train"]["seed"] for run in one.runs] == [1, 2, 3]
        assert one.score.values == tuple(
            run.metrics["val"]["accuracy"]["value"] for run in one.runs
        )
        if one is not base:
            assert one.change.mean == pytest.approx(one.score.mean - base.score.mean)
    lowest = min(range(3), key=lambda place: best[place].change.p)
    assert best[lowest].p == pytest.approx(min(1, 3 * best[lowest].change.p))


BASE = [0.70, 0.71, 0.72]
LUCKY = [0.90, 0.70, 0.75]  # a higher mean than that of PROVEN, which is sure
PROVEN, PLAIN, WORSE = [0.75, 0.7601, 0.77], [0.7001, 0.711, 0.719], [0.60, 0.62, 0.61]


def compared(found, *trials, mode="max"):
    """The tuning as if these had been its trials' scores."""
    entered = [Contender("base", {}, (), summarise(BASE), None)]
    for number, values in enumerate(trials):
        change = difference(values, BASE)
        params = {"train.lr": 0.001}
        entered.append(Contender(f"trial {number}", params, (), summarise(values), change))
    return replace(found, mode=mode, contenders=ranked(entered, mode))


@pytest.mark.parametrize(
    ("trials", "mode", "best", "verdict"),
    [
        ((WORSE, PROVEN), "max", "trial 1", "trial 1 is better than the base, beyond chance"),
        ((LUCKY, PROVEN), "max", "trial 1", "trial 1 is better than the base, beyond chance"),
        ((LUCKY, WORSE), "max", "trial 0", "no trial is shown to be better than the base: trial 0"),
        ((WORSE,), "max", "base", "no trial is better than the base"),
        ((BASE,), "max", "base", "no trial is better than the base"),
        ((PROVEN,), "min", "base", "no trial is better than the base"),
        ((PROVEN, WORSE), "min", "trial 1", "trial 1 is better than the base, beyond chance"),
    ],
)
def test_a_trial_is_called_better_only_beyond_chance(
    found, recipe, photos, trials, mode, best, verdict
):
    result = compared(found, *trials, mode=mode)
    assert result.best.name == best and result.verdict.startswith(verdict)
    stored = to_json(result)
    assert stored["best"] == best and stored["verdict"] == result.verdict
    task = Task(photos, recipe, QUICK, lambda event: None, None)
    written = yaml.safe_load(_recipe(task, result))
    assert result.verdict in written["about"]
    assert ("lr" in written["train"]) == (best != "base")


def test_more_trials_make_a_trial_harder_to_believe(found):
    close = [0.76, 0.78, 0.76]
    assert compared(found, close).better
    assert not compared(found, close, PLAIN, PLAIN).better


def test_the_result_is_a_recipe_that_extends_the_base(found, recipe):
    best = load_recipe(found.recipe)
    assert best.name == "best"
    assert best.train.lr == found.best.params.get("train.lr", load_recipe(recipe).train.lr)
    assert best.train.epochs == QUICK["train.epochs"] and best.model.name == "regularized_cnn"
    assert yaml.safe_load(found.recipe.read_text())["extends"] == str(recipe)
    stored = json.loads((found.path / "tuning.json").read_text())
    assert stored["best"] == found.best.name
    assert [trial["value"] for trial in stored["tuning"]["trials"]] == [
        trial.value for trial in found.trials
    ]


def test_the_recipe_of_the_best_has_settings_that_python_gave(photos, found, recipe):
    own = {"train.teacher": Path("large.safetensors"), "train.weight_decay": np.float64(0.001)}
    task = Task(photos, recipe, own, lambda event: None, None)
    written = yaml.safe_load(_recipe(task, found))["train"]
    assert (written["teacher"], written["weight_decay"]) == ("large.safetensors", 0.001)


def test_a_finished_tuning_is_only_read(photos, recipe, found, no_training):
    again = tuned(photos, recipe, found.path, 5)
    assert again.trials == found.trials and again.contenders == found.contenders


def test_a_trial_that_diverges_with_a_fresh_seed_is_left_out(photos, recipe, tmp_path, monkeypatch):
    train, events = Task.train, []

    def trained(self, out, *arguments, **options):
        if out.parts[-3:] == ("best", "trial-1", "seed-2"):
            raise DivergedError("the loss is nan at step 3")
        return train(self, out, *arguments, **options)

    monkeypatch.setattr(Task, "train", trained)
    result = tuned(photos, recipe, tmp_path / "t", 2, on_event=events.append)
    assert [one.name for one in result.contenders] == ["base", "trial 0"]
    assert result.contenders[1].p is not None and result.recipe.is_file()
    notes = [one.text for one in events if isinstance(one, Note)]
    assert "trial 1 is left out: its loss diverged with a fresh seed" in notes


def test_another_search_in_the_same_place_is_refused_by_name(photos, recipe, found, tmp_path):
    other = tmp_path / "small.yaml"
    other.write_text(f"extends: {recipe}\nsearch: {{train.lr: {{high: 0.02}}}}\n")
    with pytest.raises(UsageError, match=r"search\.train\.lr\.high=0\.01, not 0\.02"):
        tuned(photos, other, found.path, 5)
    with pytest.raises(UsageError, match=r"train\.clip"):
        tune(photos, recipe, 5, out=found.path, overrides={**QUICK, "train.clip": 1.0})


def test_a_study_is_continued_by_a_later_version_and_by_other_words(recipe, tmp_path):
    planned, home = load_recipe(recipe), Run(tmp_path)
    _begin(home, planned, "photos", "fingerprint")
    config = home.config
    del config["recipe"]["train"]["hardest_after"]  # a field that did not exist yet
    home.write_config(config)
    name = _begin(home, planned, "photos", "fingerprint")
    renamed = planned.model_copy(update={"about": "other words"})
    assert _begin(home, renamed, "photos", "fingerprint") == name


def test_no_trial_starts_after_the_time_limit(photos, recipe, found, tmp_path):
    seen = []
    with pytest.raises(UsageError, match="no trial was completed: the time limit came first"):
        tuned(photos, recipe, tmp_path / "t", 5, time_limit=1e-9, on_event=seen.append)
    assert not [event for event in seen if isinstance(event, RunStarted)]


def test_fields_that_do_not_go_together_are_passed_over(photos, tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text("extends: regularized-cnn\nsearch: {train.momentum: {low: 0.5, high: 0.9}}\n")
    with pytest.raises(UsageError, match=r"no trial was completed.*momentum has no effect"):
        tuned(photos, path, tmp_path / "t", 2)


def test_a_recipe_without_a_search_says_what_to_write(photos, tmp_path):
    with pytest.raises(UsageError, match="has no search section"):
        tune(photos, "simple-cnn", out=tmp_path / "t")
    assert not (tmp_path / "t").exists()


def test_without_optuna_the_install_line_is_given(photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "seewhy.workflows.experiments.study", raising=False)
    monkeypatch.delattr("seewhy.workflows.experiments.study", raising=False)
    with pytest.raises(UsageError, match=r"pip install 'seewhy\[tune\]'"):
        tune(photos, "fast", out=tmp_path / "t")
