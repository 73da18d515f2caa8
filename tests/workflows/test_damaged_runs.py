"""A file of a run directory that is missing, empty, cut short or something else: one line says what to do."""

import shutil
from pathlib import Path

import pytest
from helpers import call

import seewhy
from seewhy.errors import DataError
from seewhy.run import Run

DAMAGES = {
    "empty": lambda data: b"",
    "cut short": lambda data: data[: len(data) // 2],
    "foreign": lambda data: b"\xff\xfe\0not: [what\n{it was",
}
READ_BY_REPORT = ("config.yaml", "metrics.json", "environment.json", "splits.csv", "history.csv")


@pytest.fixture
def run(trained, tmp_path):
    """A copy of `trained`, to be damaged."""
    return Run(shutil.copytree(trained, tmp_path / "run"))


def damage(path: Path, how: str) -> None:
    path.write_bytes(DAMAGES[how](path.read_bytes()))


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("name", READ_BY_REPORT)
def test_a_report_names_the_file_and_the_remedy(run, name, how):
    damage(run.path / name, how)
    line = call("report", run.path, code=2).err
    assert line.count("\n") == 1 and str(run.path / name) in line
    assert any(advice in line for advice in ("remove it", "restore it", "writes it again"))


@pytest.mark.parametrize("name", ("events.jsonl", "bad_files.csv", "analysis/mistakes-val.json"))
def test_so_do_files_of_which_less_may_be_there(run, name):
    (run.path / "analysis").mkdir(exist_ok=True)
    (run.path / name).write_bytes(DAMAGES["foreign"](b""))
    line = call("report", run.path, code=2).err
    assert line.count("\n") == 1 and str(run.path / name) in line


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("mistakes-val.json", "--data DATA --full` writes"),
        ("mistakes-test.json", "--data DATA --full --split test` writes"),
        ("robustness.json", "seewhy robustness"),
    ],
)
def test_the_remedy_writes_the_file_that_is_damaged(run, name, remedy):
    assert remedy in str(run.lacks(f"analysis/{name}", "is damaged"))


def test_a_report_does_without_the_machine_of_its_training(run):
    (run.path / "environment.json").unlink()
    call("report", run.path)
    page = (run.path / "report.html").read_text("utf-8")
    assert "Made by SeeWhy from" in page and "<dt>Machine</dt>" not in page


@pytest.mark.parametrize("name", ("history.csv", "splits.csv", "bad_files.csv"))
def test_resuming_a_finished_run_writes_what_it_lacks(run, name):
    whole = (run.path / name).read_bytes()
    events = []
    for spoil in (Path.unlink, lambda path: path.write_bytes(b"id,split\n1")):
        spoil(run.path / name)
        seewhy.train(out=run.path, resume=True, on_event=events.append)
        assert events[-1].note == f"nothing to resume; {name} written again"
        assert (run.path / name).read_bytes() == whole


def test_a_history_that_ends_too_early_is_damaged(run):
    path = run.path / "history.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    line = call("report", run.path, code=2).err
    assert f"{path} has 1 of 2 epochs: `seewhy train --resume --out {run.path}`" in line


def test_without_a_checkpoint_the_history_cannot_be_written_again(run):
    shutil.rmtree(run.checkpoints)
    (run.path / "history.csv").unlink()
    with pytest.raises(DataError, match=r"history\.csv has no epoch: restore it from a copy"):
        seewhy.train(out=run.path, resume=True)


def test_metrics_that_are_missing_are_measured_again(run, photos):
    whole = run.metrics["val"]["accuracy"]
    (run.path / "metrics.json").unlink()
    for verb in (["train", "--resume", "--out", run.path], ["report", run.path]):
        line = call(*verb, code=2).err.splitlines()[-1]
        assert f"{run.path / 'metrics.json'} has no metrics of val" in line
        assert f"`seewhy evaluate {run.path} --data DATA`" in line
    call("evaluate", run.path, "--data", photos)
    assert run.metrics["val"]["accuracy"] == whole


@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_predictions_are_written_again(run, photos, how):
    path = run.predictions("val")
    damage(path, how)
    with pytest.raises(DataError, match="make it with `seewhy evaluate`"):
        seewhy.Predictions.from_parquet(path)
    seewhy.evaluate(run.path, photos)
    assert len(seewhy.Predictions.from_parquet(path)) == run.split_sizes["val"]


@pytest.mark.parametrize("name", ("splits.csv", "metrics.json"))
def test_evaluating_on_test_names_the_file(run, photos, name):
    damage(run.path / name, "foreign")
    line = call("evaluate", run.path, "--data", photos, "--split", "test", code=2).err
    assert str(run.path / name) in line.splitlines()[-1]


def test_comparing_names_the_file(run, trained, photos):
    damage(run.path / "history.csv", "cut short")
    line = call("compare", run.path, trained, "--data", photos, code=2).err.splitlines()[-1]
    assert str(run.path / "history.csv") in line and "--resume" in line
