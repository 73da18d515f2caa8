"""Mirrors runs beside the training: a tracker that is slow, away or broken costs it nothing."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seewhy.errors import UsageError
from seewhy.events import Epoch, Event, Note, OnEvent, RunFinished, RunStarted, ignore
from seewhy.run import Run
from seewhy.text import command_line, no_such
from seewhy.workflows.tracking.mlflow import MlflowTracker, mlflow_place
from seewhy.workflows.tracking.stored import Tracker, reason_of
from seewhy.workflows.tracking.tensorboard import TensorBoardTracker

PATIENCE = 20.0  # seconds at the end without an answer of the tracker
IMPATIENCE = 5.0  # after an error or an interruption


@contextmanager
def track(*where: str, on_event: OnEvent = ignore) -> Iterator[OnEvent]:
    """Yields an `on_event` that mirrors the runs whose events it receives.

        with seewhy.track("mlflow:http://127.0.0.1:5000") as tracker:
            seewhy.train("photos/", on_event=tracker)

    `where` are "mlflow", "mlflow:URI" and "tensorboard". They get the parameters, the metrics of each epoch,
    the final ones with their intervals and, for MLflow, the model and the report; a run that is continued is
    the same one there. A thread reads the run's files, so a tracker that is away or slow never stops or
    delays a training. At the end `on_event` receives a `Note` that says where the run is or what is missing,
    after 20 seconds without an answer at the latest. Raises `UsageError` for another place, or without its
    extra.
    """
    mirrors = [_Mirror(one, _tracker(one)) for one in where]

    def consume(event: Event) -> None:
        for mirror in mirrors:
            mirror.receive(event)

    patience = IMPATIENCE
    try:
        yield consume
        patience = PATIENCE
    finally:
        for mirror in mirrors:
            mirror.close(patience)
            on_event(Note(mirror.outcome()))


def _tracker(where: str) -> Tracker:
    kind = where.partition(":")[0]
    if kind == "mlflow":
        return MlflowTracker(mlflow_place(where))
    if where == "tensorboard":
        return TensorBoardTracker()
    raise UsageError(no_such("tracker", where, ("mlflow", "mlflow:URI", "tensorboard")))


class _Mirror:
    """A thread that brings a tracker up to date with the runs that have changed."""

    def __init__(self, where: str, tracker: Tracker) -> None:
        self._where, self._tracker = where, tracker
        self._due: dict[Path, bool] = {}  # runs to mirror, and whether it is for the last time
        self._behind: dict[Path, Exception] = {}  # runs that the tracker has not, and why
        self._run: Path | None = None
        self._closing = False
        self._answered = time.monotonic()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)
        self._thread.start()

    def receive(self, event: Event) -> None:
        """Notes which run has changed; waits for nothing."""
        if isinstance(event, RunStarted | RunFinished):
            if self._run not in (None, path := Path(event.path)):
                self._mark(self._run, last=True)
            self._run = path
        if isinstance(event, RunStarted | RunFinished | Epoch):
            self._mark(self._run)

    def _mark(self, run: Path | None, last: bool = False) -> None:
        if run is not None:
            with self._changed:
                self._due[run] = last or self._due.get(run, False)
                self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._due or self._closing)
                if not self._due:
                    return
                run = next(iter(self._due))
                last = self._due.pop(run)
            try:
                self._tracker.mirror(Run(run), last)
                self._behind.pop(run, None)
            except Exception as error:  # a tracker's client may raise anything
                self._behind[run] = error
                if self._closing:
                    return
            self._answered = time.monotonic()

    def close(self, patience: float) -> None:
        """Lets the thread finish, as long as the tracker answers within so many seconds."""
        self._answered = time.monotonic()
        for run in (*self._behind, self._run):
            self._mark(run, last=True)
        with self._changed:
            self._closing = True
            self._changed.notify()
        while self._thread.is_alive() and time.monotonic() < self._answered + patience:
            self._thread.join(0.1)

    def outcome(self) -> str:
        """Where the runs are, or which are not all there, why, and what sends the rest."""
        missing = list(dict.fromkeys([*self._behind, *self._due]))
        if self._thread.is_alive() and self._run is not None:
            missing = missing or [self._run]
        if self._run is None:
            return f"{self._where}: no run was tracked"
        if not missing:
            return f"tracked: {self._tracker.place(Run(self._run))}"
        error = self._behind.get(missing[0])
        reason = "it did not answer" if error is None else reason_of(error)
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        again = command_line("train", "--resume", "--out", missing[0], "--track", self._where)
        complete = ". The training is complete without it" if Run(missing[0]).finished else ""
        lacks = f"{self._where} has not all of {missing[0]}{more} ({reason})"
        return f"{lacks}{complete}; `{again}` sends the rest"
