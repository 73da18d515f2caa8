import re

import click
import pytest
from cli.terminals import plain

import seewhy
from seewhy.cli.live import bars
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


@pytest.fixture
def live(terminal_stream, monkeypatch):
    """Shows events on a terminal of so many columns; gives all that was ever shown, without escapes."""

    def shown_by(*events, columns=80):
        stream = terminal_stream(columns)
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setattr("seewhy.cli.progress.REFRESH", 0)
        terminal = Terminal()
        for event in events:
            terminal(event)
        terminal.close()
        return plain(stream.getvalue())

    return shown_by


STARTED = RunStarted("runs/none", 4, "accuracy", schedule="half a cosine from 0.1 to 0", patience=3)


def epochs(*accuracies):
    """Epochs with these accuracies, each with the first step of the next."""
    best = 0.0
    for number, accuracy in enumerate(accuracies, 1):
        yield Epoch(
            number, 0.1, 2.5, 0.25, {"loss": 2.0, "accuracy": accuracy}, accuracy > best, 1.5
        )
        best = max(best, accuracy)
        yield Step(10 * number + 1, 40, number + 1, 2.5, 0.25, 0.05, 100.0, 10.0 * number + 1)


def test_a_training_shows_its_curve_and_what_comes_next(live):
    text = live(STARTED, STEP, *epochs(0.25, 0.75, 0.5))
    assert "epoch 2/4" in text and "next: validation in 0:00:09, then 2 more epochs" in text
    assert "validation accuracy 50.00%, best 75.00%" in text
    last = text[text.rindex("validation accuracy") :].splitlines()
    assert last[1].split() == ["75.00%", "████"] and last[3].split()[1].startswith(
        "▁▁▁▁████████····"
    )
    assert "learning rate 0.05: half a cosine from 0.1 to 0" in text
    assert "stops after 2 more epochs without a better accuracy" in text
    assert "next: validation in 0:00:09, then the report" in text
    assert text.count("epoch   3/4  train 2.500") == 1


def test_the_live_lines_of_a_narrow_terminal_fit_it(live):
    name = "a name that is [red]much[/red] too long for it\x1b[31m"
    started = RunStarted("runs/none", 400, "auroc", name, 2, 3, schedule="x " * 40)
    events = [Epoch(n, 0.1, 2.5, 0.25, VALIDATION, n == 1, 1.5) for n in range(1, 300)]
    text = live(started, STEP, *events, STEP, Progress("reading", 10, 10_000_000), columns=40)
    assert max(map(len, re.split(r"[\r\n]", text))) <= 40
    assert "epoch 1/400" not in text and "a name that is [red]" in text


def test_the_curve_of_a_run_that_is_continued_begins_at_its_beginning(live, trained):
    text = live(RunStarted(str(trained), 4, "accuracy"), STEP)
    assert f"validation accuracy {seewhy.Run(trained).history[-1]['val_accuracy']:.2%}" in text


def test_bars_have_room_for_what_is_to_come():
    assert bars([0.0, 1.0], 3, 12) == ["    ████", "    ████", "▁▁▁▁████····"]
    many = bars([float(number) for number in range(1000)], 1000, 10)
    assert {len(line) for line in many} == {10} and many[-1][-1] == "█"
    assert bars([0.5], 100, 10)[-1] == "▁" + 9 * "·"
    assert bars([0.0, 0.5, 1.0], 100_000, 10)[-1] == "▁█" + 8 * "·", "the first ones are seen"


def test_the_bar_of_other_work_says_how_much_and_how_long(live):
    text = live(Progress("reading", 0, 5000), Progress("reading", 1000, 5000))
    assert "20%  1,000 of 5,000 images" in text and "left" in text
    assert "0%  0 of 133 predictions" in live(Progress("explaining", 0, 133, "prediction"))
    assert "12.5 of 50.0 MB" in live(Progress("downloading", 12_500_000, 50_000_000))


def test_what_is_live_goes_with_the_command_even_one_that_fails(terminal_stream, monkeypatch):
    stream = terminal_stream()
    monkeypatch.setattr("sys.stderr", stream)

    @click.command()
    def command():
        Terminal()(Progress("reading", 1, 5))
        raise ValueError

    with pytest.raises(ValueError):
        command.main([], standalone_mode=False)
    assert stream.getvalue().endswith("\x1b[2K")


def test_a_metric_without_a_value_is_left_out_of_the_curve(live):
    started = RunStarted("runs/none", 4, "auroc")
    nan = Epoch(1, 0.1, 2.5, 0.25, {**VALIDATION, "auroc": float("nan")}, False, 1.5)
    inf = Epoch(2, 0.1, 2.5, 0.25, {**VALIDATION, "auroc": float("inf")}, False, 1.5)
    assert "epoch 1/4" in live(started, nan, STEP, inf, STEP)
    assert "validation auroc 75.00%" in live(started, nan, STEP, EPOCH, STEP)


def test_a_damaged_history_does_not_hinder_a_training(live, tmp_path):
    (tmp_path / "history.csv").write_text("epoch,val_accuracy\n1,x\n")
    assert "epoch 1/4" in live(RunStarted(str(tmp_path), 4, "accuracy"), STEP)
