from pathlib import Path

import pytest
from helpers import QUICK

from seewhy.errors import LockedError, UsageError
from seewhy.events import Begun, Done
from seewhy.workflows import train as module
from seewhy.workflows.experiments.task import Task, claimed, figures, held, place


def task(photos, show=lambda event: None):
    return Task(photos, "regularized-cnn", QUICK, show, None)


def test_a_run_is_trained_once_and_keeps_its_model_alone(photos, tmp_path, monkeypatch):
    seen = []
    run = task(photos, seen.append).train(tmp_path / "a", {"train.seed": 4}, 2, 3, "four")
    assert run.finished and run.config["recipe"]["train"]["seed"] == 4
    assert not run.checkpoints.exists()
    done = Done("four", "accuracy", figures(run)["accuracy"], run.history[-1]["seconds"])
    assert seen[0] == Begun("four", 2, 3) and seen[-1] == done
    monkeypatch.setattr(module, "training_loop", None)
    before = run.model.read_bytes()
    assert task(photos).train(tmp_path / "a", {"train.seed": 4}, 2, 3).model.read_bytes() == before
    with pytest.raises(UsageError, match=r"train\.seed=4, not 5"):
        task(photos).train(tmp_path / "a", {"train.seed": 5}, 2, 3)


def test_figures_go_by_the_names_of_the_metrics(photos, tmp_path):
    run = task(photos).train(tmp_path / "a", {}, 1, 1)
    found, stored = figures(run), run.metrics["val"]
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
