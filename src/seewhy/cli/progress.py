"""What long work shows on standard error."""

import sys
from typing import Any

from tqdm import tqdm

from seewhy.events import Epoch, Event, Note, Progress, Step
from seewhy.text import visible


class ReadingBar:
    """A bar of pictures read; call it with (done, total)."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar: tqdm[Any] | None = None

    def __call__(self, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=total, desc=self._what, unit=" pictures", leave=False, disable=None
            )
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._bar.close()
            self._bar = None


class TrainingLine:
    """Shows a training: a live line of the epoch under way, a lasting line for each one done."""

    def __init__(self, epochs: int, monitor: str) -> None:
        self._epochs = epochs
        self._monitor = monitor
        self._bar: tqdm[Any] | None = None
        self._rate = 0.0

    def __call__(self, event: str | Step | Epoch) -> None:
        if isinstance(event, Step):
            self._step(event)
        elif isinstance(event, Epoch):
            self._epoch(event)
        else:
            self._write(visible(event))

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def _step(self, step: Step) -> None:
        if self._bar is None:
            self._bar = tqdm(
                total=step.total_steps,
                initial=step.step - 1,
                unit="step",
                leave=False,
                disable=None,
                bar_format="{desc} |{bar:20}| {percentage:3.0f}% {postfix} {remaining} left",
            )
        self._rate = 0.9 * (self._rate or step.images_per_second) + 0.1 * step.images_per_second
        self._bar.set_description_str(f"epoch {step.epoch}/{self._epochs}", refresh=False)
        self._bar.set_postfix_str(
            f"loss {step.loss:.3f}  accuracy {step.accuracy:.1%}  {self._rate:,.0f} images/s,",
            refresh=False,
        )
        self._bar.update(1)

    def _epoch(self, epoch: Epoch) -> None:
        figures = epoch.validation
        shown = {"accuracy": figures["accuracy"], self._monitor: figures[self._monitor]}
        self._write(
            f"epoch {epoch.epoch:>3}/{self._epochs}  "
            f"train {epoch.train_loss:.3f} {epoch.train_accuracy:6.1%}  val {figures['loss']:.3f} "
            + "  ".join(
                f"{value:6.1%}" if name == "accuracy" else f"{name} {value:.3f}"
                for name, value in shown.items()
            )
            + f"  {epoch.seconds:,.0f} s"
            + ("  best" if epoch.best else "")
        )

    def _write(self, line: str) -> None:
        with tqdm.external_write_mode(file=sys.stderr):
            print(line, file=sys.stderr, flush=True)


def say(line: str) -> None:
    """A line for the user on standard error; standard output is for results."""
    print(visible(line), file=sys.stderr, flush=True)


class Terminal:
    """Shows what a long work tells: bars of progress, and lines that stay."""

    def __init__(self) -> None:
        self._bars: dict[str, ReadingBar] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progress):
            bar = self._bars.setdefault(event.what, ReadingBar(event.what))
            bar(event.done, event.total)
        elif isinstance(event, Note):
            say(event.text)
