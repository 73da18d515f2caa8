"""What TensorBoard reads of a run."""

import shutil
import struct

import pytest

from seewhy.run import Run
from seewhy.workflows.tracking.tensorboard import TensorBoardTracker

pytest.importorskip("tensorboardX")


def events_of(folder):
    """The events in a folder: records of a length, a checksum, as many bytes, and a checksum."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.iterdir()
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return events


def scalars(folder, name):
    return {
        event.step: value.simple_value
        for event in events_of(folder)
        for value in event.summary.value
        if value.tag == name
    }


@pytest.fixture
def run(trained, tmp_path):
    return Run(shutil.copytree(trained, tmp_path / "run"))


def test_a_run_has_its_metrics_and_parameters(run):
    TensorBoardTracker().mirror(run, last=True)
    folder = run.path / "tensorboard"
    expected = {int(row["epoch"]): row["val_accuracy"] for row in run.history}
    assert scalars(folder, "val_accuracy") == pytest.approx(expected)
    low = run.metrics["val"]["accuracy"]["low"]
    assert scalars(folder, "val/accuracy_low") == pytest.approx({2: low})
    tags = [value.tag for event in events_of(folder) for value in event.summary.value]
    assert "recipe/text_summary" in tags and "_hparams_/session_start_info" in tags


def test_a_run_that_is_continued_is_written_once(run):
    whole = (run.path / "history.csv").read_text()
    (run.path / "history.csv").write_text("".join(whole.splitlines(True)[:2]))
    TensorBoardTracker().mirror(run, last=False)
    (run.path / "history.csv").write_text(whole)
    again = TensorBoardTracker()
    for last in (False, True):
        again.mirror(run, last)
    steps = [
        event.step
        for event in events_of(run.path / "tensorboard")
        for value in event.summary.value
        if value.tag == "val_accuracy"
    ]
    assert steps == [1, 2]
