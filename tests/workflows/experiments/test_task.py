from pathlib import Path

import pytest
from helpers import QUICK

from seewhy.errors import LockedError, UsageError
from seewhy.events import RunFinished, RunStarted, ignore
from seewhy.workflows import train as module
from seewhy.workflows.experiments.task import Task, claimed, held, place
from seewhy.workflows.train import val_metrics


def task(photos, on_event=ignore):
    return Task(photos, "regularized-cnn", QUICK, on_event)


def test_a_run_is_trained_once_and_keeps_its_model_alone(photos, tmp_path, monkeypatch):
    seen = []
    run = task(photos, seen.append).train(tmp_path / "a", {"train.seed": 4}, 2, 3, "four")
    assert run.finished and run.config["recipe"]["train"]["seed"] == 4
    assert not run.checkpoints.exists()
    seen = [event for event in seen if isinstance(event, RunStarted | RunFinished)]
    value, seconds = val_metrics(run)["accuracy"], run.history[-1]["seconds"]
    assert seen == [
        RunStarted(str(run.path), 2, "accuracy", "four", 2, 3),
        RunFinished(str(run.path), "accuracy", value, seconds, "four"),
    ]
    monkeypatch.setattr(module, "training_loop", None)
    before = run.model.read_bytes()
    assert task(photos).train(tmp_path / "a", {"train.seed": 4}, 2, 3).model.read_bytes() == before
    with pytest.raises(UsageError, match=r"train\.seed=4, not 5"):
        task(photos).train(tmp_path / "a", {"train.seed": 5}, 2, 3)


def test_metrics_go_by_the_names_of_the_metrics(photos, tmp_path):
    run = task(photos).train(tmp_path / "a", {}, 1, 1)
    found, stored = val_metrics(run), run.metrics["val"]
    assert found["loss"] == stored["nll"] and found["macro_f1"] == stored["macro"]["f1"]
    assert found["accuracy"] == stored["accuracy"]["value"]
    assert "top5" not in found  # there are three classes


def test_a_directory_of_something_else_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="something else"):
        claimed(tmp_path, "x")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(UsageError, match="something else"):
        claimed(tmp_path / "thesis.txt", "x")
    assert place(tmp_path / "new", "x") == tmp_path / "new" and not (tmp_path / "new").exists()


def test_one_process_holds_an_experiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with held(None, "digits-seeds") as home:
        assert home == Path("runs/digits-seeds")
        with pytest.raises(LockedError), held(home, ""):
            pass
    with held(None, "digits-seeds"):
        pass
