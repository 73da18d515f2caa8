"""A tracker that is slow, away or broken costs a training nothing, and what it missed is said once."""

import shutil
import threading
import time

import pytest
from helpers import QUICK, call

import seewhy
from seewhy.errors import UsageError
from seewhy.events import Epoch, Note, RunFinished, RunStarted
from seewhy.workflows.tracking import mlflow, tensorboard, track

EPOCH = Epoch(1, 0.1, 1.0, 0.5, {"accuracy": 0.5}, True, 1.0)


class Recorder:
    """A tracker that notes what it is asked for; `fails` says how often it does before it works."""

    def __init__(self, fails=0):
        self.fails, self.mirrored = fails, []

    def mirror(self, run, last):
        if self.fails:
            self.fails -= 1
            raise ConnectionError("refused\nby the server")
        self.mirrored.append((run.path.name, last))

    def place(self, run):
        return f"at {run.path.name}"


class Hanging(Recorder):
    def mirror(self, run, last):
        threading.Event().wait()


@pytest.fixture
def using(monkeypatch):
    def use(tracker):
        monkeypatch.setattr(track, "_tracker", lambda where: tracker)
        return tracker

    return use


def followed(events, where="mlflow"):
    """What is said of events, and the seconds that they and the end took."""
    said = []
    with seewhy.track(where, on_event=said.append) as tracker:
        start = time.monotonic()
        for event in events:
            tracker(event)
        within = time.monotonic() - start
        end = time.monotonic()
    assert all(isinstance(one, Note) for one in said)
    return [one.text for one in said], within, time.monotonic() - end


def run_of(name):
    finished = RunFinished(f"runs/{name}", "accuracy", 0.5, 1.0)
    return [RunStarted(f"runs/{name}", 3, "accuracy"), EPOCH, finished]


def test_each_run_is_mirrored_to_its_end(using):
    tracker = using(Recorder())
    said, *_ = followed(run_of("a") + run_of("b"))
    assert [one for one in tracker.mirrored if one[1]] == [("a", True), ("b", True)]
    assert tracker.mirrored[-1] == ("b", True) and said == ["tracked: at b"]


def test_one_that_fails_at_first_gets_all(using):
    tracker = using(Recorder(fails=1))

    def events():
        for event in run_of("a"):
            yield event
            while tracker.fails:
                time.sleep(0.01)

    said, *_ = followed(events())
    assert ("a", True) in tracker.mirrored and said == ["tracked: at a"]


def test_one_that_is_away_is_said_once_with_what_sends_the_rest(using):
    using(Recorder(fails=1000))
    said, *_ = followed(run_of("a") + run_of("b"), "mlflow:http://host:5000")
    assert len(said) == 1 and "refused by the server" in said[0]
    assert "has not all of runs/" in said[0] and " and 1 more" in said[0]
    assert "--resume --out runs/" in said[0] and "--track mlflow:http://host:5000" in said[0]
    assert "training is complete" not in said[0]  # these have no model


def test_one_that_hangs_delays_nothing(using, monkeypatch):
    monkeypatch.setattr(track, "PATIENCE", 0.3)
    using(Hanging())
    said, within, end = followed(run_of("a") + 1000 * [EPOCH])
    assert within < 1 and end < 5
    assert "did not answer" in said[0] and "runs/a" in said[0]


def test_after_an_error_it_is_waited_for_less_long(using, monkeypatch):
    monkeypatch.setattr(track, "IMPATIENCE", 0.1)
    using(Hanging())
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), seewhy.track("mlflow") as tracker:
        tracker(run_of("a")[0])
        raise KeyboardInterrupt
    assert time.monotonic() - start < 5


def test_without_a_run_that_is_said():
    said, *_ = followed([], "tensorboard")
    assert said == ["tensorboard: no run was tracked"]


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("wandb", "choose one of mlflow"),
        ("mlflow:http://me:secret@host", "MLFLOW_TRACKING_PASSWORD"),
    ],
)
def test_another_tracker_is_refused_before_the_training(where, words, photos, tmp_path):
    error = call("train", "--data", photos, "--out", tmp_path / "run", "--track", where, code=2).err
    assert words in error and "secret" not in error and not (tmp_path / "run").exists()


def test_without_its_library_the_install_line_is_shown(monkeypatch):
    for module, where in ((mlflow, "mlflow"), (tensorboard, "tensorboard")):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
        with (
            pytest.raises(UsageError, match=rf"pip install 'seewhy\[{where}\]'"),
            seewhy.track(where),
        ):
            pass


def test_a_training_whose_tracker_refuses_is_the_same_training(photos, tmp_path):
    """A port on which nobody listens; the command ends well, and says what is missing."""
    flags = [f"--{name}={value}" for name, value in QUICK.items()]
    where = "mlflow:http://127.0.0.1:1"
    printed = call(
        *("train", "--data", photos, "--recipe", "regularized-cnn", "--out", tmp_path / "run"),
        *(*flags, "--track", where),
    )
    assert (tmp_path / "run" / "report.html").exists()
    assert printed.err.count("sends the rest") == 1 and "refused" in printed.err
    assert "The training is complete without it" in printed.err


def test_a_command_that_ends_well_waits_with_patience(using, monkeypatch, trained, tmp_path):
    """Its exit code 0 is no interruption, after which a tracker has less time."""

    class Slow(Recorder):
        def mirror(self, run, last):
            if last:
                time.sleep(0.3)

    monkeypatch.setattr(track, "IMPATIENCE", 0.0)
    using(Slow())
    copy = shutil.copytree(trained, tmp_path / "run")
    printed = call("train", "--resume", "--out", copy, "--track", "mlflow")
    assert "tracked: at run" in printed.err
