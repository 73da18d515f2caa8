import pytest

from seewhy.cli.progress import Terminal, shown
from seewhy.events import (
    Diagnostic,
    Epoch,
    Note,
    Progress,
    RunFinished,
    RunStarted,
    Step,
)

STEP = Step(1, 4, 1, 2.5, 0.25, 0.1, 100.0, 1.0)
VALIDATION = {"loss": 2.0, "accuracy": 0.5, "auroc": 0.75}
EPOCH = Epoch(1, 0.1, 2.5, 0.25, VALIDATION, True, 1.5)


@pytest.fixture
def lines(capsys):
    """Shows events; gives the lines that stay on standard error."""

    def shown_by(*events):
        terminal = Terminal()
        for event in events:
            terminal(event)
        terminal.close()
        printed = capsys.readouterr()
        assert printed.out == ""
        return printed.err.splitlines()

    return shown_by


def test_a_run_by_itself_has_a_line_an_epoch(lines):
    started = RunStarted("runs/fast", 5, "auroc")
    finished = RunFinished("runs/fast", "auroc", 0.75, 1.5)
    assert lines(started, STEP, EPOCH, finished) == [
        "run: runs/fast",
        "epoch   1/5  train 2.500  25.0%  val 2.000  50.0%  auroc 0.750  2 s  best",
        "model: runs/fast/model.safetensors",
    ]
    kept = RunStarted("runs/fast", 5, "auroc", keep="last")
    assert lines(kept, EPOCH)[-1].endswith("2 s"), "its best epoch is not the one that is kept"
    again = RunFinished("runs/fast", "auroc", 0.75, 1.5, note="nothing to resume")
    assert lines(again) == ["runs/fast is finished: nothing to resume"]


def test_a_run_of_an_experiment_has_one_line(lines):
    started = RunStarted("s/seed-0", 5, "loss", "seed-0", 2, 3)
    finished = RunFinished("s/seed-0", "loss", 0.5, 61.0, "seed-0", "pruned at epoch 2")
    (line,) = lines(started, STEP, EPOCH, finished)
    assert line.split() == [
        "2/3",
        "seed-0",
        "loss",
        "0.5000",
        "61",
        "s",
        "pruned",
        "at",
        "epoch",
        "2",
    ]
    diverged = RunFinished("s/seed-0", "loss", float("nan"), float("nan"), "seed-0")
    assert [line.split() for line in lines(started, diverged)] == [["2/3", "seed-0"]]


def test_notes_and_diagnostics_are_shown_once_and_safely(lines):
    diagnostic = Diagnostic("imbalanced", "imbalanced: 9 of \x1b[31mant", "look")
    note = Note("no split given")
    assert lines(note, diagnostic, note, diagnostic) == [
        "no split given",
        r"imbalanced: 9 of \x1b[31mant; advice: look",
    ]


def test_progress_leaves_no_line(lines):
    assert lines(*(Progress("reading", done, 3) for done in range(4)), STEP) == []


def test_a_block_that_is_stopped_says_how_to_go_on(capsys):
    with pytest.raises(KeyboardInterrupt), shown(lambda run: f"go on with {run.path}") as terminal:
        terminal(RunStarted("runs/fast", 5, "auroc", "named"))
        terminal(STEP)
        raise KeyboardInterrupt
    assert capsys.readouterr().err.splitlines() == ["go on with runs/fast"]
