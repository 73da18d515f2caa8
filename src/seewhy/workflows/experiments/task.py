"""What all experiments share: a directory that holds runs, each trained once, and what they tell."""

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seewhy.config.recipe import Recipe, load_recipe
from seewhy.data import Data
from seewhy.errors import UsageError
from seewhy.events import Event, OnEvent, RunFinished, RunStarted
from seewhy.files import clear_temporaries, exclusive, sync_directory
from seewhy.run import Run
from seewhy.workflows.train import training_events

LOCK = "experiment.lock"


@dataclass(frozen=True)
class Task:
    """What the runs of an experiment have in common. `on_event` hears of each run by its name in it."""

    data: Data
    recipe: str | Path
    overrides: Mapping[str, Any]
    on_event: OnEvent
    init: str | Path | None = None

    def planned(self, changes: Mapping[str, Any] | None = None) -> Recipe:
        """The recipe as a run with these changes will use it. Raises `UsageError`."""
        return load_recipe(self.recipe, {**self.overrides, **(changes or {})})

    @contextmanager
    def events(
        self, out: Path, changes: Mapping[str, Any], number: int, total: int, name: str = ""
    ) -> Iterator[Iterator[Event]]:
        """The events of a run in `out`: a new one, a stopped one that goes on, or a finished one.

        Leaving the block early leaves a run that can go on.
        """
        config = self.planned(changes).train
        started = RunStarted(
            str(out), config.epochs, config.monitor, name or out.name, number, total
        )
        with training_events(
            self.data,
            self.recipe,
            out=out,
            overrides={**self.overrides, **changes},
            resume=True,
            init=self.init,
            on_event=self.on_event,
        ) as events:
            yield _named(events, started)

    def train(
        self, out: Path, changes: Mapping[str, Any], number: int, total: int, name: str = ""
    ) -> Run:
        """Trains a run in `out`, goes on with a stopped one, and leaves a finished one as it is.

        A finished run keeps its model and metrics; its checkpoints, many times as large, go.
        """
        with self.events(out, changes, number, total, name) as events:
            for event in events:
                self.on_event(event)
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        return Run(out)


def _named(events: Iterator[Event], started: RunStarted) -> Iterator[Event]:
    """The events of a run, begun and finished as the one of an experiment."""
    yield started
    for event in events:
        if isinstance(event, RunFinished):
            yield replace(event, name=started.name, note="")
        elif not isinstance(event, RunStarted):
            yield event


@contextmanager
def held(out: str | Path | None, name: str) -> Iterator[Path]:
    """Holds an experiment's directory, `out` or `runs/NAME`, for one process; it may have begun before.

    Raises `UsageError` when something else lies there, `LockedError` while another process is at it.
    """
    home = claimed(out, name)
    with exclusive(home / LOCK):
        clear_temporaries(home)
        yield home


def claimed(out: str | Path | None, name: str) -> Path:
    """The directory of an experiment, new or begun before. Raises `UsageError` when it is another's."""
    home = place(out, name)
    if not home.exists():
        home.mkdir(parents=True, exist_ok=True)
        sync_directory(home.parent)
    (home / LOCK).touch()
    return home


def place(out: str | Path | None, name: str) -> Path:
    """Where an experiment may write; nothing is made there yet. Raises `UsageError` as `claimed` does."""
    home = Path("runs", name) if out is None else Path(out)
    other = home.exists() and not (home / LOCK).exists()
    if other and (not home.is_dir() or any(home.iterdir())):
        raise UsageError(f"{home} already holds something else: choose another --out")
    return home


def bounds(metric: str) -> tuple[float, float]:
    """The least and the largest value that a metric can have."""
    return (0, math.inf) if metric == "loss" else (0, 1)
