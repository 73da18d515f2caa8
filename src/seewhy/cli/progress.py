"""Progress on standard error."""

import importlib
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from math import isnan
from typing import TYPE_CHECKING

import click

import seewhy
from seewhy.cli.live import Curve, training, work
from seewhy.cli.screen import screen
from seewhy.cli.tables import value
from seewhy.errors import SeeWhyError
from seewhy.events import (
    Diagnostic,
    Epoch,
    Event,
    Note,
    OnEvent,
    Progress,
    RunFinished,
    RunStarted,
    Step,
    ignore,
)
from seewhy.text import visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

REFRESH = 0.25  # seconds between two states of what is live


class Terminal:
    """Shows events: live lines for work in progress, on a terminal; a permanent line for what is done.

    A single run has one line per epoch, a run of an experiment one line in all. No note is shown twice.
    `run` is the last run that started. What is live goes at the latest with the command that runs. `also`
    receives all events, too.
    """

    def __init__(self, also: OnEvent = ignore) -> None:
        self._also = also
        self.run: RunStarted | None = None
        self._live: Live | None = None
        self._refreshed = 0.0
        self._work = ("", 0.0, 0)  # what is in progress, since when, and what was done by then
        self._rate = 0.0
        self._curve = Curve()
        self._notes: set[str] = set()
        if context := click.get_current_context(silent=True):
            context.call_on_close(self.close)

    def __call__(self, event: Event) -> None:
        match event:
            case Step():
                self._step(event)
            case Epoch():
                self._epoch(event)
            case Progress():
                self._progress(event)
            case Note() | Diagnostic():
                self._note(event.text)
            case RunStarted():
                self._started(event)
            case RunFinished():
                self._finished(event)
        self._also(event)

    def close(self) -> None:
        """Removes what is live."""
        if self._live is not None:
            self._live.stop()
        self._live, self._refreshed = None, 0.0

    def write(self, line: str, command: bool = True) -> None:
        """Shows a permanent line; one without a `command` to copy is wrapped at words."""
        if self._live is None:
            say(line)
        else:
            self._live.console.print(visible(line), soft_wrap=command)

    def interrupted(self, stop: BaseException, line: str) -> None:
        """Shows a line about an interruption, and notes in the exception that one is shown."""
        self.write(line)
        stop.add_note(line)

    def _show(self, content: "Callable[[int], RenderableType]") -> None:
        """Shows live what `content` makes for so many columns, but no more often than it can be read."""
        now = time.monotonic()
        if now - self._refreshed < REFRESH or not sys.stderr.isatty():
            return
        if self._live is None:
            from rich.live import Live

            self._live = Live(console=screen(sys.stderr), auto_refresh=False, transient=True)
            self._live.start()
            self._live.console.show_cursor(True)  # since the process may be killed
        self._refreshed = now
        self._live.update(content(self._live.console.width), refresh=True)

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self.write(text)
        self._notes.add(text)

    def _progress(self, progress: Progress) -> None:
        if progress.what != self._work[0]:
            self._work, self._refreshed = (progress.what, time.monotonic(), progress.done), 0.0
        _, began, before = self._work
        if progress.done < progress.total:
            self._show(lambda width: work(progress, time.monotonic() - began, before, width))
        else:
            self.close()
            self._work = ("", 0.0, 0)

    def _started(self, run: RunStarted) -> None:
        self.run, self._rate, self._curve = run, 0.0, Curve()
        if sys.stderr.isatty():
            with suppress(SeeWhyError):  # a damaged file does not hinder the training
                for row in seewhy.Run(run.path).history:  # of a run that is continued
                    self._curve.add(row[f"val_{run.metric}"], bool(row["best"]))
        if not run.name:
            self.write(f"run: {run.path}")

    def _step(self, step: Step) -> None:
        self._rate = 0.9 * (self._rate or step.images_per_second) + 0.1 * step.images_per_second
        self._show(lambda width: training(step, self.run, self._curve, self._rate, width))

    def _epoch(self, epoch: Epoch) -> None:
        metrics, run = epoch.validation, self.run
        if run is None:
            return
        self._curve.add(metrics[run.metric], epoch.best)
        if run.name:
            return
        watched = {"accuracy": metrics["accuracy"], run.metric: metrics[run.metric]}
        epochs = max(run.epochs, epoch.epoch)  # more where the time limit had ended the last one
        turn = f"epoch {epoch.epoch:>3}/{epochs}" if epoch.epoch else "last layer"
        self.write(
            f"{turn}  train {epoch.train_loss:.3f} {epoch.train_accuracy:6.1%}  val {metrics['loss']:.3f} "
            + "  ".join(
                f"{number:6.1%}" if name == "accuracy" else f"{name} {number:.3f}"
                for name, number in watched.items()
            )
            + f"  {epoch.seconds:,.0f} s"
            + (f"  {epoch.peak_memory / 1e9:.1f} GB" if epoch.peak_memory else "")
            + ("  best" if epoch.best and run.keep == "best" else ""),
            command=False,
        )

    def _finished(self, done: RunFinished) -> None:
        self.close()
        if not done.name:
            self.write(
                f"{done.path} is finished: {done.note}"
                if done.note
                else f"model: {done.path}/model.safetensors"
            )
            return
        turn = f"{self.run.number:>3}/{self.run.total}" if self.run else ""
        metric = "" if isnan(done.value) else f"{done.metric} {value(done.value, done.metric)}"
        took = "" if isnan(done.seconds) else f"{done.seconds:,.0f} s"
        self.write(f"{turn}  {done.name:<32}  {metric}  {took}  {done.note}".rstrip())


def again(run: RunStarted | None) -> str:
    """What to do after an interruption of work that continues by itself."""
    return "interrupted: run the same command again to continue"


@contextmanager
def shown(
    stopped: Callable[[RunStarted | None], str] = again, also: OnEvent = ignore
) -> Iterator[Terminal]:
    """A `Terminal` for the block; shows the line `stopped` of its run when a signal interrupts it."""
    terminal = Terminal(also)
    try:
        with _uninterrupted():
            importlib.import_module("torch")
        yield terminal
    except (KeyboardInterrupt, SystemExit) as stop:
        terminal.close()
        terminal.interrupted(stop, stopped(terminal.run))
        raise
    finally:
        terminal.close()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Holds Ctrl-C back within the block: one that comes while PyTorch loads leaves a broken NumPy."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def say(line: str) -> None:
    """Prints a line on standard error; standard output is for results."""
    print(visible(line), file=sys.stderr, flush=True)
