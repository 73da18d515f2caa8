import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from seewhy.errors import UsageError
from seewhy.events import Diagnostic, Epoch, Note, RunFinished, RunStarted
from seewhy.run import Run, new_run, resumable_run, runs_below, writing

EVENTS = [
    RunStarted("runs/fast", 5, "accuracy"),
    Note("no split given: 20% of train, drawn as val\u2028é"),
    Diagnostic("imbalanced", "imbalanced: 9 of ant", "try --train.sampling balanced"),
    Epoch(1, 0.1, 2.5, 0.25, {"loss": 2.0, "accuracy": 0.5}, True, 1.5),
    RunFinished("runs/fast", "accuracy", 0.5, 1.5),
]


def test_events_are_read_as_they_were_written(tmp_path):
    run = Run(tmp_path)
    length = run.add_events(EVENTS[:2], 0)
    assert run.add_events(EVENTS[2:], length) == (tmp_path / "events.jsonl").stat().st_size
    assert run.events == EVENTS
    assert len((tmp_path / "events.jsonl").read_text().split("\n")) == len(EVENTS) + 1


def test_what_was_written_after_the_recorded_length_is_cut(tmp_path):
    run = Run(tmp_path)
    length = run.add_events(EVENTS[:1], 0)
    run.add_events(EVENTS[1:4], length)
    run.add_events(EVENTS[4:], length)
    assert run.events == [EVENTS[0], EVENTS[4]]


@pytest.mark.parametrize("left", [1, 20])
def test_a_torn_last_line_is_dropped(tmp_path, left):
    run, path = Run(tmp_path), tmp_path / "events.jsonl"
    whole = run.add_events(EVENTS[:4], 0)
    run.add_events(EVENTS[4:], whole)
    with open(path, "r+b") as file:
        file.truncate(whole + left)
    assert run.events == EVENTS[:4]
    run.add_events(EVENTS[4:], whole)
    assert run.events == EVENTS


def test_a_file_shorter_than_recorded_is_not_filled_up(tmp_path):
    run = Run(tmp_path)
    run.add_events(EVENTS[:1], 10**6)
    assert run.events == EVENTS[:1]


def test_a_run_begun_before_there_was_such_a_file_keeps_none(tmp_path):
    assert Run(tmp_path).add_events(EVENTS, None) is None
    assert Run(tmp_path).events is None and not list(tmp_path.iterdir())


def test_a_number_that_is_none_is_null_in_the_events(tmp_path):
    run = Run(tmp_path)
    run.add_events([Epoch(1, 0.1, 2.5, 0.25, {"auroc": math.nan}, True, 1.5)], 0)
    (line,) = (tmp_path / "events.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=pytest.fail)["validation"] == {"auroc": None}
    assert run.events[0].validation == {"auroc": None}


def test_temporaries_of_a_dead_process_are_removed_and_others_kept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        for pid in (dead.pid, living.pid, "nobody"):
            (tmp_path / f".log.{pid}.tmp").touch()
        with writing(Run(tmp_path)):
            left = {path.name for path in tmp_path.glob(".*.tmp")}
        assert left == {f".log.{living.pid}.tmp", ".log.nobody.tmp"}
        living.communicate(b"\n")


def test_the_newest_run_is_resumed_where_an_older_one_was_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("fast", "fast-3", "fast-10", "fast-seeds", "faster"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert resumable_run(None, "fast").path.name == "fast-10"
    assert resumable_run(None, "photos").path.name == "photos"
    (tmp_path / "runs" / "quick-1").mkdir()  # named by a user
    assert resumable_run(None, "quick").path.name == "quick-1"


def test_a_run_without_a_finished_epoch_has_an_empty_history(tmp_path):
    run = Run(tmp_path)
    assert run.history == run.gradient_norms == []
    run.write_history([])
    assert run.history == []


def test_a_run_that_was_stopped_before_it_began_is_begun_by_the_same_command(tmp_path):
    out = tmp_path / "run"
    with writing(new_run(out, "fast")):
        (out / "splits.csv").touch()
    assert new_run(out, "fast") == resumable_run(out, "fast") == Run(out)
    Run(out).write_config({"recipe": {}})
    command = f"seewhy train --resume --out {out}"
    with pytest.raises(UsageError, match=f"not empty: .*`{re.escape(command)}`"):
        new_run(out, "fast")
    assert resumable_run(out, "fast") == Run(out)
    (tmp_path / "experiment.lock").touch()  # of an experiment that failed at its start
    out.rename(tmp_path.parent / "elsewhere")
    assert new_run(tmp_path, "fast") == Run(tmp_path)


def test_a_folder_that_may_not_be_read_hides_no_run_beside_it(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        for file in ("config.yaml", "log.txt"):
            (tmp_path / name / file).write_text("")
    is_file = Path.is_file

    def refused(path):
        if path.parent.name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refused)
    assert [run.path.name for run in runs_below(tmp_path, 1)] == ["a", "c"]


def test_a_writer_removes_the_half_written_checkpoint_of_a_killed_one(tmp_path):
    run = Run(tmp_path)
    (run.checkpoints / "step-10").mkdir(parents=True)
    (run.checkpoints / "step-12.tmp").mkdir()
    with writing(run):
        assert [path.name for path in run.checkpoints.iterdir()] == ["step-10"]
