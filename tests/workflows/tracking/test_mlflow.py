"""What MLflow has of a run, by its own client, on a database of its own."""

import json
import math
import os
import shutil
from importlib.util import find_spec

import pytest
from helpers import QUICK

import seewhy
from seewhy.events import Epoch
from seewhy.run import Run
from seewhy.workflows.tracking.mlflow import MlflowTracker

pytestmark = [
    pytest.mark.skipif(find_spec("mlflow") is None, reason="MLflow is not installed"),
    # Its own database code is behind SQLAlchemy's newest.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def uri(mlflow_uri):
    return mlflow_uri


@pytest.fixture
def client(mlflow_there):
    return mlflow_there


def there(client, run):
    (key,) = json.loads((run.path / "tracking.json").read_text()).values()
    return client.get_run(key)


@pytest.fixture
def run(trained, tmp_path):
    copy = shutil.copytree(
        trained, tmp_path / "run", ignore=shutil.ignore_patterns("tracking.json")
    )
    (copy / "report.html").write_text("<title>report</title>")
    return Run(copy)


def test_a_run_has_its_parameters_metrics_intervals_and_files(run, client, uri):
    MlflowTracker(uri).mirror(run, last=True)
    found = there(client, run)
    assert found.info.status == "FINISHED" and found.info.run_name == run.path.as_posix()
    assert found.data.params["train.epochs"] == "2" and found.data.params["init"] == "none"
    key = found.info.run_id
    steps = {point.step: point.value for point in client.get_metric_history(key, "val_accuracy")}
    assert steps == {row["epoch"]: row["val_accuracy"] for row in run.history}
    accuracy = run.metrics["val"]["accuracy"]
    ends = [found.data.metrics[f"val/accuracy{end}"] for end in ("", "_low", "_high")]
    assert ends == [accuracy[key] for key in ("value", "low", "high")]
    files = {one.path for one in client.list_artifacts(key)}
    assert {"model.safetensors", "report.html", "metrics.json"} <= files


def test_sent_twice_it_is_there_once(run, client, uri):
    for _ in range(2):
        MlflowTracker(uri).mirror(run, last=True)
    found = there(client, run)
    assert len(client.get_metric_history(found.info.run_id, "val_accuracy")) == 2


def test_a_run_that_is_continued_is_the_same_one(photos, tmp_path, client, uri):
    out, tracker = tmp_path / "run", MlflowTracker(uri)
    arguments = {"out": out, "overrides": QUICK}
    with seewhy.training_events(photos, "regularized-cnn", **arguments) as events:
        next(event for event in events if isinstance(event, Epoch))
    tracker.mirror(Run(out), last=True)
    first = there(client, Run(out))
    assert first.info.status == "KILLED" and "val/accuracy" not in first.data.metrics
    with seewhy.track(f"mlflow:{uri}") as again:
        seewhy.train(resume=True, out=out, on_event=again)
    second = there(client, Run(out))
    assert second.info.run_id == first.info.run_id and second.info.status == "FINISHED"
    history = client.get_metric_history(second.info.run_id, "val_accuracy")
    assert sorted(point.step for point in history) == [1, 2]


def test_a_run_that_was_deleted_there_is_made_anew(run, client, uri):
    tracker = MlflowTracker(uri)
    tracker.mirror(run, last=True)
    before = there(client, run).info.run_id
    client.delete_run(before)
    MlflowTracker(uri).mirror(run, last=True)
    assert there(client, run).info.run_id != before


def test_metrics_that_are_not_numbers_are_sent(run, client, uri):
    """A run that diverged."""
    lines = (run.path / "history.csv").read_text().splitlines()
    place = lines[0].split(",").index("train_loss")
    row = lines[2].split(",")
    row[place] = "nan"
    (run.path / "history.csv").write_text("\n".join([*lines[:2], ",".join(row), ""]))
    MlflowTracker(uri).mirror(run, last=True)
    key = there(client, run).info.run_id
    points = {one.step: one.value for one in client.get_metric_history(key, "train_loss")}
    assert math.isnan(points[2]) and not math.isnan(points[1])


def test_nothing_is_told_to_its_makers(client):
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
