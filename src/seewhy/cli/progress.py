"""Progress on standard error."""

import importlib
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from math import isnan
from typing import TYPE_CHECKING, Any

from seewhy.cli.tables import value
from seewhy.events import Diagnostic, Epoch, Event, Note, Progress, RunFinished, RunStarted, Step
from seewhy.text import visible

if TYPE_CHECKING:
    from tqdm import tqdm

TRAINING = "{desc} |{bar:20}| {percentage:3.0f}% {postfix} {remaining} left"


class Terminal:
    """Shows events: a live bar for work in progress, a permanent line for what is done.

    A single run has one line per epoch, a run of an experiment one line in all. No note is shown twice.
    `run` is the last run that started.
    """

    def __init__(self) -> None:
        self.run: RunStarted | None = None
        self._bar: tqdm[Any] | None = None
        self._what = ""
        self._rate = 0.0
        self._validation = ""
        self._notes: set[str] = set()

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
                self.run, self._validation = event, ""
                if not event.name:
                    self.write(f"run: {event.path}")
            case RunFinished():
                self._finished(event)

    def close(self) -> None:
        """Removes the live bar."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None

    def write(self, line: str) -> None:
        """Shows a permanent line."""
        with nullcontext() if self._bar is None else self._bar.external_write_mode(sys.stderr):
            say(line)

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self.write(text)
        self._notes.add(text)

    def _bar_of(self, what: str, total: int, **options: Any) -> "tqdm[Any]":
        """The bar of `what`, which replaces any other."""
        from tqdm import tqdm  # here, so that --help need not load it

        if self._bar is None or self._what != what:
            self.close()
            self._bar = tqdm(total=total, desc=what, leave=False, disable=None, **options)
            self._what = what
        return self._bar

    def _progress(self, progress: Progress) -> None:
        unit = "B" if progress.what == "downloading" else " images"
        options = {"unit": unit, "unit_scale": unit == "B", "initial": progress.done}
        bar = self._bar_of(progress.what, progress.total, **options)
        bar.update(progress.done - bar.n)
        if progress.done >= progress.total:
            self.close()

    def _step(self, step: Step) -> None:
        bar = self._bar_of("training", step.total_steps, initial=step.step - 1, bar_format=TRAINING)
        run = self.run
        turn = f"{run.number}/{run.total} {run.name}  " if run and run.name else ""
        of = f"/{run.epochs}" if run else ""
        self._rate = 0.9 * (self._rate or step.images_per_second) + 0.1 * step.images_per_second
        bar.set_description_str(f"{visible(turn)}epoch {step.epoch}{of}", refresh=False)
        bar.set_postfix_str(
            f"loss {step.loss:.3f}  accuracy {step.accuracy:.1%}{self._validation}  "
            f"{self._rate:,.0f} images/s,",
            refresh=False,
        )
        bar.update(1)

    def _epoch(self, epoch: Epoch) -> None:
        metrics, run = epoch.validation, self.run
        self._validation = f"  val {metrics['accuracy']:.1%}"
        if run is None or run.name:
            return
        watched = {"accuracy": metrics["accuracy"], run.metric: metrics[run.metric]}
        turn = f"epoch {epoch.epoch:>3}/{run.epochs}" if epoch.epoch else "last layer"
        self.write(
            f"{turn}  train {epoch.train_loss:.3f} {epoch.train_accuracy:6.1%}  val {metrics['loss']:.3f} "
            + "  ".join(
                f"{number:6.1%}" if name == "accuracy" else f"{name} {number:.3f}"
                for name, number in watched.items()
            )
            + f"  {epoch.seconds:,.0f} s"
            + (f"  {epoch.peak_memory / 1e9:.1f} GB" if epoch.peak_memory else "")
            + ("  best" if epoch.best and run.keep == "best" else "")
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
def shown(stopped: Callable[[RunStarted | None], str] = again) -> Iterator[Terminal]:
    """A `Terminal` for the block; shows the line `stopped` of its run when a signal interrupts it."""
    terminal = Terminal()
    try:
        with _uninterrupted():
            importlib.import_module("torch")
        yield terminal
    except (KeyboardInterrupt, SystemExit):
        terminal.close()
        terminal.write(stopped(terminal.run))
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
