"""What all experiments share: a directory that holds runs, each trained once, and what they tell."""

import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seewhy.config.recipe import Recipe, load_recipe
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import METRICS
from seewhy.events import Begun, Done, Epoch, Step
from seewhy.files import clear_temporaries, exclusive, sync_directory
from seewhy.run import Run
from seewhy.workflows.train import train

LOCK = "experiment.lock"


# What an experiment shows as it goes; between Begun and Done, what its run shows.
Show = Callable[[str | Step | Epoch | Begun | Done], None]
Loading = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """What the runs of an experiment have in common."""

    data: str | Path
    recipe: str | Path
    overrides: Mapping[str, Any]
    show: Show
    loading: Loading | None
    init: str | Path | None = None

    def planned(self, changes: Mapping[str, Any] | None = None) -> Recipe:
        """The recipe as a run with these changes will use it. Raises `UsageError`."""
        return load_recipe(self.recipe, {**self.overrides, **(changes or {})})

    def train(
        self, out: Path, changes: Mapping[str, Any], number: int, total: int, name: str = ""
    ) -> Run:
        """Trains a run in `out`, goes on with a stopped one, and leaves a finished one as it is.

        A finished run keeps its model and figures; its checkpoints, many times as large, go.
        """
        name = name or out.name
        self.show(Begun(name, number, total))
        run = train(
            self.data,
            self.recipe,
            out=out,
            overrides={**self.overrides, **changes},
            resume=True,
            init=self.init,
            show=self.show,
            loading=self.loading,
        )
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        metric = run.config["recipe"]["train"]["monitor"]
        self.show(Done(name, metric, figures(run)[metric], run.history[-1]["seconds"]))
        return run


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


def figures(run: Run) -> dict[str, float]:
    """The validation figures of a finished run, under their names in `METRICS`."""
    stored = run.metrics["val"]
    named = {
        **stored,
        "accuracy": stored["accuracy"]["value"],
        "macro_f1": stored["macro"]["f1"],
        "loss": stored["nll"],
    }
    return {name: named[name] for name in METRICS if named.get(name) is not None}


def bounds(metric: str) -> tuple[float, float]:
    """The least and the largest value that a metric can have."""
    return (0, math.inf) if metric == "loss" else (0, 1)
