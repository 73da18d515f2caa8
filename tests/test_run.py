import pytest

from seewhy.events import Diagnostic, Epoch, Note, RunFinished, RunStarted
from seewhy.run import Run

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
