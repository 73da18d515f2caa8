"""What `seewhy train` says when it is interrupted, at every stage; the command that it names goes on."""

import shlex
import signal

import pytest
from helpers import QUICK, call

import seewhy
from seewhy.run import Run
from seewhy.training.batches import Batches
from seewhy.workflows import prepare
from seewhy.workflows import train as module

SETTINGS = [f"--{name}={value}" for name, value in QUICK.items()]


@pytest.fixture
def interrupted(photos, tmp_path, monkeypatch):
    """Trains until the patched `name` of `owner` is reached for the first time; what is said, and the run."""
    monkeypatch.setattr(seewhy, "report", lambda *_, **__: None)  # it is slow, and tested elsewhere

    def until(owner, name, signals=1):
        original = getattr(owner, name)

        def stop(*arguments, **options):
            patch.undo()
            for _ in range(signals):
                signal.raise_signal(signal.SIGINT)
            return original(*arguments, **options)

        out = tmp_path / "my run"
        arguments = [
            "train",
            "--recipe",
            "regularized-cnn",
            "--data",
            photos,
            "--out",
            out,
            *SETTINGS,
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, name, stop)
            return call(*arguments, code=130).err.strip().splitlines()[-1], Run(out)

    return until


def goes_on(line, run):
    """Whether the command in a line finishes the run."""
    assert run.resume_command in line
    call(*shlex.split(run.resume_command)[1:])
    return run.finished


def test_while_images_are_read_nothing_is_saved(interrupted):
    line, run = interrupted(prepare, "load_data")
    assert line == "interrupted before the training began: nothing is saved yet"
    assert not run.path.exists()


def test_before_the_first_step_only_the_settings_are_saved(interrupted):
    line, run = interrupted(module, "place")
    assert line.startswith("interrupted before a step was saved") and "at the beginning" in line
    assert run.saved_step is None and goes_on(line, run)


def test_in_the_first_epoch_the_step_is_saved(interrupted):
    line, run = interrupted(Batches, "at")
    assert line.startswith("interrupted, and saved at step 1") and run.saved_step == 1
    assert goes_on(line, run)


def test_in_validation_the_epoch_is_saved(interrupted):
    line, run = interrupted(module, "_validate")
    assert line.startswith("interrupted, and saved at step") and len(run.history) == 1
    assert goes_on(line, run)


def test_a_second_signal_stops_at_once_and_what_is_said_is_true(interrupted):
    line, run = interrupted(Batches, "at", signals=2)
    assert line.startswith("interrupted before a step was saved") and run.saved_step is None


def test_while_the_report_is_written_the_run_is_finished(photos, tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(seewhy, "report", stop)
    out = tmp_path / "run"
    arguments = ["train", "--recipe", "regularized-cnn", "--data", photos, "--out", out, *SETTINGS]
    line = call(*arguments, code=130).err.strip().splitlines()[-1]
    assert line == f"interrupted: the run is finished, its report is not (seewhy report {out})"
    assert Run(out).finished
