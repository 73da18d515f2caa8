import json
import time
from collections import Counter

import optuna
import pytest
from helpers import QUICK
from optuna.trial import TrialState
from reliability import processes
from workflows.experiments.studies import begin, killed_in, tuned, tuned_in

from seewhy.errors import UsageError
from seewhy.run import Run
from seewhy.workflows.experiments import study as studies
from seewhy.workflows.experiments.study import best_trials, folder, open_study, quiet
from seewhy.workflows.experiments.tuning import tune

SILENCE = 3  # seconds after which a trial is taken for dead


@pytest.fixture(scope="module", autouse=True)
def server():
    processes.begin()


@pytest.fixture(autouse=True)
def one_repeat(monkeypatch):
    monkeypatch.setattr("seewhy.workflows.experiments.tuning.REPEATS", 1)


@pytest.fixture
def recipe(tmp_path):
    return begin(tmp_path)


def trials_of(home):
    config = json.loads((home / "tuning.json").read_text())
    with quiet():
        study = open_study(
            f"sqlite:///{home / 'study.db'}", config["tuning"]["study"], "max", "none", 2
        )
        return study.get_trials()


def test_a_killed_trial_is_marked_failed_and_gone_on_with(photos, recipe, tmp_path, monkeypatch):
    home, cache = tmp_path / "t", tmp_path / "cache"
    arguments = (photos, recipe, home, 3, cache, SILENCE)
    assert processes.run(killed_in, *arguments, "trial 1") == 9
    time.sleep(SILENCE)  # else the other trials may be done before
    history = Run(home / "trial-0001").history
    assert [row["epoch"] for row in history] == [1]
    assert processes.run(tuned, *arguments) == 0
    trials = trials_of(home)
    assert [trial.state for trial in trials].count(TrialState.FAIL) == 1
    killed, again = (trial for trial in trials if trial.params == trials[1].params)
    assert killed.state == TrialState.FAIL and again.state == TrialState.COMPLETE
    with quiet():
        assert folder(again) == folder(killed) == "trial-0001"
    assert (
        Run(home / "trial-0001").history[0] == history[0]
    )  # its first epoch was not trained again
    assert sum(trial.state == TrialState.COMPLETE for trial in trials) == 3
    assert sorted(again.intermediate_values) == [1, 2]


@pytest.mark.parametrize("kind", ["journal", pytest.param("postgres", marks=pytest.mark.long)])
def test_no_trial_of_a_shared_storage_is_lost_or_doubled(photos, recipe, tmp_path, request, kind):
    url = f"journal:{tmp_path / 'study.journal'}"
    if kind == "postgres":
        url = request.getfixturevalue("postgres").address
    home, name = tmp_path / "t", "trial 1"
    arguments = (photos, recipe, home, 3, tmp_path / "cache", SILENCE)
    assert processes.run(killed_in, *arguments, name, url) == 9
    time.sleep(SILENCE)
    racing = [processes.start(tuned_in, *arguments, url) for _ in range(2)]
    for process in racing:
        process.join(240)
    assert [process.exitcode for process in racing] == [0, 0]
    study = json.loads((home / "tuning.json").read_text())["tuning"]["study"]
    with quiet():
        opened = open_study(url, study, "max", "none", 2)
        trials = opened.get_trials()
        if kind == "postgres":
            opened._storage._backend.engine.dispose()
        failed = [trial for trial in trials if trial.state == TrialState.FAIL]
        done = [trial for trial in trials if trial.state in studies.FINISHED]
        assert [trial.number for trial in failed] == [1] and 3 <= len(done) <= 4
        assert len({folder(trial) for trial in done}) == len(done)
        assert "trial-0001" in {folder(trial) for trial in done}


def test_a_password_in_the_address_of_a_storage_is_refused_and_not_shown(photos, recipe, tmp_path):
    with pytest.raises(UsageError, match=r"me:\*\*\*@host.* PGPASSWORD") as refused:
        tuned(photos, recipe, tmp_path / "t", 1, storage="postgresql://me:secret@host/name")
    assert "secret" not in str(refused.value)


@pytest.mark.long
def test_two_processes_share_a_study_and_draw_nothing_twice(photos, recipe, tmp_path):
    home, cache = tmp_path / "t", tmp_path / "cache"
    racing = [processes.start(tuned, photos, recipe, home, 4, cache) for _ in range(2)]
    for process in racing:
        process.join(240)
    assert [process.exitcode for process in racing] == [0, 0]
    trials = trials_of(home)
    assert 4 <= len(trials) <= 5 and all(trial.state in studies.FINISHED for trial in trials)
    drawn = Counter(tuple(sorted(trial.params.items())) for trial in trials)
    assert max(drawn.values()) == 1


def test_a_stopped_trial_waits_and_is_gone_on_with_at_once(photos, recipe, tmp_path):
    for error in (KeyboardInterrupt, SystemExit):
        home = tmp_path / error.__name__

        def show(event, error=error):
            if type(event).__name__ == "Step" and event.epoch == 2:
                raise error

        with pytest.raises(error):
            tuned(photos, recipe, home, 1, on_event=show)
        found = tuned(photos, recipe, home, 1)
        assert [trial.state for trial in found.trials] == ["failed", "complete"]
        assert found.trials[0].path == found.trials[1].path == home / "trial-0000"
        assert found.trials[0].params == found.trials[1].params


def test_a_trial_that_was_taken_for_dead_harms_nothing(photos, recipe, tmp_path):
    def show(event):
        if type(event).__name__ == "RunStarted" and event.name.startswith("trial 0"):
            with quiet():
                name = optuna.get_all_study_names(url)[0]
                optuna.load_study(study_name=name, storage=url).tell(0, state=TrialState.FAIL)

    url = f"sqlite:///{tmp_path / 't' / 'study.db'}"
    found = tuned(photos, recipe, tmp_path / "t", 2, on_event=show)
    assert [trial.state for trial in found.trials] == ["failed", "complete", "complete"]


@pytest.mark.long
def test_what_was_drawn_depends_on_the_trial_alone(photos, recipe, tmp_path):
    whole = tuned(photos, recipe, tmp_path / "whole", 2)
    tuned(photos, recipe, tmp_path / "parts", 1)
    parts = tuned(photos, recipe, tmp_path / "parts", 2)
    assert [trial.params for trial in whole.trials] == [trial.params for trial in parts.trials]
    assert [trial.value for trial in whole.trials] == [trial.value for trial in parts.trials]


def test_trials_that_fall_behind_are_pruned_and_keep_their_history(photos, tmp_path, monkeypatch):
    path = tmp_path / "odd.yaml"
    path.write_text(
        "extends: regularized-cnn\nsearch: {train.lr: {choices: [0.00000001, 0.003]}}\n"
    )
    pruner = optuna.pruners.ThresholdPruner(lower=0.6, n_warmup_steps=2)
    monkeypatch.setattr(studies, "_pruner", lambda name, epochs: pruner)
    notes = []
    found = tune(
        photos,
        path,
        6,
        out=tmp_path / "t",
        overrides=QUICK | {"train.epochs": 4},
        on_event=lambda event: notes.append(getattr(event, "note", "")),
    )
    states = Counter((trial.params["train.lr"], trial.state) for trial in found.trials)
    assert states[0.003, "complete"] and states[1e-8, "pruned"]
    assert (1e-8, "complete") not in states
    for trial in found.trials:
        assert (
            len(Run(trial.path).history) == trial.epochs == (4 if trial.state == "complete" else 2)
        )
    assert "pruned at epoch 2" in notes


@pytest.mark.parametrize(
    ("name", "kind"),
    [("median", "MedianPruner"), ("hyperband", "HyperbandPruner"), ("none", "NopPruner")],
)
def test_pruners_go_by_name(tmp_path, name, kind):
    with quiet():
        study = open_study(f"sqlite:///{tmp_path / 's.db'}", "s", "max", name, 20)
    assert type(study.pruner).__name__ == kind


def test_the_best_come_first_in_either_direction(tmp_path):
    for mode, expected in (("max", [0.9, 0.8]), ("min", [0.5, 0.8])):
        with quiet():
            study = open_study(f"sqlite:///{tmp_path / mode}", "s", mode, "none", 1)
        for value in (0.8, 0.5, 0.9):
            study.add_trial(optuna.create_trial(value=value))
        assert [trial.value for trial in best_trials(study, 2)] == expected


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/place/s.db", "oracle+x://a/b"])
def test_a_storage_that_cannot_be_opened_is_said_so(url):
    with quiet(), pytest.raises(UsageError, match=r"--storage .* cannot be opened"):
        open_study(url, "s", "max", "none", 1)
