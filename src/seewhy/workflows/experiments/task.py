"""What all experiments share: a directory of runs, each trained once."""

import math
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from seewhy.config.recipe import Recipe, load_recipe
from seewhy.data import Data
from seewhy.errors import LockedError, UsageError
from seewhy.events import Event, OnEvent, RunFinished, RunStarted, ignore
from seewhy.files import clear_temporaries, exclusive, holds_something, make_directory, named_path
from seewhy.run import Run
from seewhy.training.schedules import in_words
from seewhy.workflows.cluster import Engine, load_ray, on_cluster
from seewhy.workflows.train import training_events

LOCK = "experiment.lock"
POLL = 1.0  # seconds between two looks at the runs of other processes

T = TypeVar("T")


@dataclass(frozen=True)
class Task:
    """The common settings of an experiment's runs. `on_event` receives their events.

    With the engine "ray" a Ray cluster trains them; raises `UsageError` where Ray is not installed.
    """

    data: Data
    recipe: str | Path
    overrides: Mapping[str, Any]
    on_event: OnEvent
    init: str | Path | None = None
    engine: Engine = "local"

    def __post_init__(self) -> None:
        if self.engine == "ray":
            load_ray()

    def planned(self, changes: Mapping[str, Any] | None = None) -> Recipe:
        """The recipe of a run with these changes. Raises `UsageError`."""
        return load_recipe(self.recipe, {**self.overrides, **(changes or {})})

    @contextmanager
    def events(
        self, out: Path, changes: Mapping[str, Any], number: int, total: int, name: str = ""
    ) -> Iterator[Iterator[Event]]:
        """The events of a run in `out`: a new, a continued or a finished one.

        A run whose block is left early can be continued.
        """
        if Run(out).finished:  # it stays as it is, also where a kill left its checkpoints
            shutil.rmtree(Run(out).checkpoints, ignore_errors=True)
        config = self.planned(changes).train
        started = RunStarted(
            str(out),
            config.epochs,
            config.monitor,
            name or out.name,
            number,
            total,
            schedule=in_words(config),
            patience=config.patience,
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
        """Trains a run in `out`, continues an interrupted one, and does not change a finished one.

        A finished run keeps its model and metrics; its checkpoints, which are much larger, are removed.
        """
        with self.events(out, changes, number, total, name) as events:
            for event in events:
                self.on_event(event)
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        return Run(out)

    def over_seeds(
        self,
        home: Path,
        seeds: Sequence[int],
        changes: Mapping[str, Any],
        before: int,
        total: int,
        name: str = "",
    ) -> "dict[Path, Job[Run]]":
        """The jobs that train a run per seed in `home/seed-N`; `before` of the `total` runs come earlier."""
        return {
            home / f"seed-{seed}": partial(
                Task.train,
                out=home / f"seed-{seed}",
                changes={**changes, "train.seed": seed},
                number=number,
                total=total,
                name=f"{name}, seed {seed}" if name else "",
            )
            for number, seed in enumerate(seeds, before + 1)
        }

    def shared_out(self, jobs: "Mapping[Path, Job[T]]") -> dict[Path, T]:
        """The results of jobs, in their order; each works in a run directory, which its process locks.

        A job that another process does is left to it, and waited for: done again, it gives what is there. One
        whose process was killed is taken over.
        """
        done: dict[Path, T] = {}
        if self.engine == "ray":
            new = [path for path in jobs if not Run(path).finished]
            alone = [partial(_alone, path=path, job=jobs[path]) for path in new]
            done = dict(zip(new, self.on_cluster(alone), strict=True))
        while len(done) < len(jobs):
            before = len(done)
            for path, job in jobs.items():
                if path not in done and not is_locked(path):
                    with suppress(LockedError):  # by a process that was faster
                        done[path] = job(self)
            if len(done) == before:
                time.sleep(POLL)
        return {path: done[path] for path in jobs}

    def in_groups(self, groups: "Iterable[Mapping[Path, Job[T]]]") -> list[tuple[T, ...]]:
        """The results of groups of jobs, all of which are shared out together."""
        kept = list(groups)
        done = self.shared_out({path: job for group in kept for path, job in group.items()})
        return [tuple(done[path] for path in group) for group in kept]

    def on_cluster(self, jobs: "Iterable[Job[T]]") -> list[T]:
        """The results of jobs that a Ray cluster does."""
        there = replace(self, on_event=ignore, engine="local")  # since a terminal is not sent away
        bound = [partial(_with_events, there, job) for job in jobs]
        return on_cluster(bound, self.planned().train.device, self.on_event) if bound else []


Job = Callable[[Task], T]


def _with_events(task: Task, job: Job[T], on_event: OnEvent) -> T:
    return job(replace(task, on_event=on_event))


def _alone(task: Task, path: Path, job: Job[T]) -> T:
    return task.shared_out({path: job})[path]


def _named(events: Iterator[Event], started: RunStarted) -> Iterator[Event]:
    """The events of a run, with its name in the experiment."""
    yield started
    for event in events:
        if isinstance(event, RunFinished):
            yield replace(event, name=started.name, note="")
        elif not isinstance(event, RunStarted):
            yield event


def is_locked(path: Path) -> bool:
    """Whether a process works in a run directory."""
    lock = Run(path).lock
    if not lock.exists():
        return False
    try:
        with exclusive(lock):
            return False
    except LockedError:
        return True


@contextmanager
def writing_results(home: Path) -> Iterator[None]:
    """Has one process at a time write what the runs of an experiment give."""
    with exclusive(home / LOCK, wait=True):
        clear_temporaries(home)
        yield


def claimed(out: str | Path | None, name: str) -> Path:
    """Makes the directory of an experiment, new or continued. Raises `UsageError` as `place` does."""
    home = place(out, name)
    make_directory(home)
    (home / LOCK).touch()
    return home


def place(out: str | Path | None, name: str) -> Path:
    """The directory of an experiment, not made yet. Raises `UsageError` if it contains something else."""
    home = Path("runs", name) if out is None else named_path(out)
    if holds_something(home) and not (home / LOCK).exists():
        raise UsageError(f"{home} is not empty: choose another --out")
    return home


def bounds(metric: str) -> tuple[float, float]:
    """The smallest and the largest possible value of a metric."""
    return (0, math.inf) if metric == "loss" else (0, 1)


def require_count(count: int, least: int, what: str) -> None:
    """Raises `UsageError` for fewer than `least`."""
    if count < least:
        raise UsageError(f"{count} {what}: expected {least} or more")
