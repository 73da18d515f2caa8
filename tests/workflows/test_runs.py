"""Runs are listed with what they are, unfinished and damaged ones too."""

import json
import os
import shutil

import pytest
from helpers import call

import seewhy
from seewhy.errors import UsageError


@pytest.fixture
def folder(trained, tmp_path):
    """A finished run, one without a model, one whose metrics are damaged, and other things."""
    for number, name in enumerate(("a/finished", "a/unfinished", "damaged")):
        shutil.copytree(trained, tmp_path / name)
        for file in (tmp_path / name).iterdir():
            os.utime(file, (1e9 + 1000 * number,) * 2)
    for file in ("model.safetensors", "metrics.json"):
        (tmp_path / "a/unfinished" / file).unlink()
    (tmp_path / "damaged" / "metrics.json").write_text("{")
    os.utime(tmp_path / "damaged" / "metrics.json", (1e9, 1e9))
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "config.yaml").write_text("port: 80")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    return tmp_path


def test_runs_are_listed_newest_first(folder, trained):
    damaged, unfinished, finished = seewhy.list_runs(folder)
    assert [one.state for one in (damaged, unfinished, finished)] == [
        *("damaged", "unfinished", "finished"),
    ]
    assert finished.path == folder / "a" / "finished" and finished.test_accuracy is None
    assert (finished.recipe, finished.network) == ("regularized-cnn", "regularized_cnn")
    stored = json.loads((trained / "metrics.json").read_text())["val"]["accuracy"]
    assert finished.accuracy.value == stored["value"]
    assert finished.accuracy.low == stored["low"]
    assert finished.images == 27 and finished.epochs == 2 == finished.planned
    assert finished.megabytes > 0
    assert unfinished.accuracy is None and "metrics.json is damaged" in damaged.problem


def test_later_work_in_a_finished_run_does_not_date_it(folder):
    before = [(one.path, one.date) for one in seewhy.list_runs(folder, sort="name")]
    for name in ("a/finished", "a/unfinished"):
        (folder / name / "report.html").write_text("")
    after = [(one.path, one.date) for one in seewhy.list_runs(folder, sort="name")]
    assert after[0] == before[0] and after[1][1] > before[1][1]


def test_they_can_be_sorted(folder):
    names = [one.path.name for one in seewhy.list_runs(folder, sort="name")]
    assert names == ["finished", "unfinished", "damaged"]
    assert seewhy.list_runs(folder, sort="accuracy")[0].state == "finished"
    assert seewhy.list_runs(folder, sort="seconds")[-1].state == "damaged"
    assert seewhy.list_runs(folder, sort="recipe")[-1].state == "damaged"
    with pytest.raises(UsageError, match="no order 'size'"):
        seewhy.list_runs(folder, sort="size")
    with pytest.raises(UsageError, match="is no folder"):
        seewhy.list_runs(folder / "missing")


def test_accuracies_on_validation_and_on_test_are_never_mixed(trained, tmp_path):
    """A run with a better accuracy on test than another on validation is not taken for the better one."""
    for name, val, test in (("a", 0.5, None), ("b", 0.4, 0.9), ("c", 0.6, 0.8)):
        shutil.copytree(trained, tmp_path / name)
        path = tmp_path / name / "metrics.json"
        metrics = json.loads(path.read_text())
        metrics["val"]["accuracy"]["value"] = val
        if test:
            metrics["test"] = {**metrics["val"], "accuracy": {"value": test, "low": 0, "high": 1}}
        path.write_text(json.dumps(metrics))
    for order, names in (("accuracy", "cab"), ("test_accuracy", "bca")):
        runs = seewhy.list_runs(tmp_path, sort=order)
        assert "".join(one.path.name for one in runs) == names
    shown = call("runs", tmp_path).out
    assert "validation accuracy" in shown and "test accuracy" in shown
    assert "90.0% (0.0% to 100.0%)" in shown


def test_a_folder_of_runs_may_be_a_link(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "disk" / "one")
    here = tmp_path / "here"
    here.mkdir()
    (here / "runs").symlink_to(tmp_path / "disk")
    assert [one.path for one in seewhy.list_runs(here)] == [here / "runs" / "one"]


def test_the_command_shows_and_prints_them(folder, tmp_path):
    shown = call("runs", folder).out
    assert "regularized-cnn" in shown and "3 runs" in shown and "is damaged" in shown
    listed = json.loads(call("runs", folder, "--sort", "name", "--json").out)["runs"]
    assert [one["state"] for one in listed] == ["finished", "unfinished", "damaged"]
    (tmp_path / "empty").mkdir()
    assert "no runs" in call("runs", tmp_path / "empty").out


def test_a_last_layer_fitted_alone_counts_as_no_epoch(trained, photos, tmp_path):
    run = seewhy.Run(shutil.copytree(trained, tmp_path / "run"))
    run.write_history([{**run.history[0], "epoch": 0, "lr": 0.0}])
    assert "0 (last layer)" in call("runs", tmp_path, "--out", tmp_path / "page.html").out
    assert "0 (last layer)" in (tmp_path / "page.html").read_text()
    compared = call("compare", run.path, trained, "--data", photos).out
    assert "/run: the last layer alone, on features of a frozen network\n" in compared
    assert "2 epochs, kept" in compared and "varies by 0.0" not in compared
