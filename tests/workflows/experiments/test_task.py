from contextlib import ExitStack
from functools import partial

import pytest
from helpers import QUICK, same_weights

from seewhy.errors import UsageError
from seewhy.evaluation.metrics import by_name
from seewhy.events import Epoch, RunFinished, RunStarted, ignore
from seewhy.files import exclusive
from seewhy.run import Run
from seewhy.workflows import train as module
from seewhy.workflows.experiments import task as module_of_tasks
from seewhy.workflows.experiments.task import Task, claimed, place


def task(photos, on_event=ignore):
    return Task(photos, "regularized-cnn", QUICK, on_event)


def test_a_run_is_trained_once_and_keeps_its_model_alone(photos, tmp_path, monkeypatch):
    seen = []
    run = task(photos, seen.append).train(tmp_path / "a", {"train.seed": 4}, 2, 3, "four")
    assert run.finished and run.config["recipe"]["train"]["seed"] == 4
    assert not run.checkpoints.exists()
    seen = [event for event in seen if isinstance(event, RunStarted | RunFinished)]
    value, seconds = by_name(run.metrics["val"])["accuracy"], run.history[-1]["seconds"]
    assert seen == [
        RunStarted(str(run.path), 2, "accuracy", "four", 2, 3),
        RunFinished(str(run.path), "accuracy", value, seconds, "four"),
    ]
    monkeypatch.setattr(module, "training_loop", None)
    before = run.model.read_bytes()
    assert task(photos).train(tmp_path / "a", {"train.seed": 4}, 2, 3).model.read_bytes() == before
    with pytest.raises(UsageError, match=r"train\.seed=4, not 5"):
        task(photos).train(tmp_path / "a", {"train.seed": 5}, 2, 3)


def test_leaving_a_run_early_leaves_one_that_goes_on(photos, tmp_path):
    whole = task(photos).train(tmp_path / "whole", {}, 1, 1)
    seen = []
    with task(photos).events(tmp_path / "a", {}, 1, 1) as events:
        for event in events:
            seen.append(event)
            if isinstance(event, Epoch):
                break
    assert Run(tmp_path / "a").checkpoints.exists() and not Run(tmp_path / "a").finished
    assert isinstance(seen[0], RunStarted) and seen[0].name == "a"
    assert same_weights(task(photos).train(tmp_path / "a", {}, 1, 1).model, whole.model)


def test_a_directory_of_something_else_is_refused_and_kept(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is not empty"):
        claimed(tmp_path, "x")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(UsageError, match="is not empty"):
        claimed(tmp_path / "thesis.txt", "x")
    assert place(tmp_path / "new", "x") == tmp_path / "new" and not (tmp_path / "new").exists()


def test_a_run_of_another_process_is_left_to_it_and_one_of_a_killed_process_taken_over(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module_of_tasks, "POLL", 0.01)
    done, paths = [], [tmp_path / name for name in "abc"]
    for path in paths:
        path.mkdir()
    jobs = {path: partial(lambda own, task: done.append(own) or own, path.name) for path in paths}
    with ExitStack() as other:
        other.enter_context(exclusive(Run(paths[0]).lock))

        def ends(seconds):
            assert done == ["b", "c"]
            other.close()

        monkeypatch.setattr(module_of_tasks.time, "sleep", ends)
        assert task(tmp_path).shared_out(jobs) == dict(zip(paths, "abc", strict=True))
    assert done == ["b", "c", "a"]
