"""Lists the runs below a folder: what was trained on what, and how good it is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, isnan, nan
from pathlib import Path
from typing import Any, Literal, get_args

from seewhy.errors import DataError, UsageError
from seewhy.evaluation.headline import headline
from seewhy.evaluation.stats.intervals import Interval
from seewhy.run import Run
from seewhy.text import no_such

Order = Literal["accuracy", "date", "name", "seconds"]
State = Literal["finished", "unfinished", "damaged"]

DEPTH = 4  # folders below the one that is named


@dataclass(frozen=True)
class RunSummary:
    """A run in a list.

    `accuracy` is that of `split`: test where it was evaluated, else validation; None before that. `seconds`
    are those of the training, `megabytes` those of the model, `date` (UTC, ISO 8601) when it last changed.
    `problem` says what is wrong with a damaged run, whose other facts may be missing.
    """

    path: Path
    state: State
    recipe: str | None = None
    network: str | None = None
    data: str | None = None
    images: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    split: str | None = None
    accuracy: Interval | None = None
    megabytes: float | None = None
    date: str = ""
    problem: str | None = None


def list_runs(folder: str | Path = ".", *, sort: Order = "date") -> list[RunSummary]:
    """The runs in a folder and below it, best, newest or shortest first, or by name.

    A damaged run is listed, with what is wrong. Raises `UsageError` if there is no such folder.
    """
    folder = Path(folder)
    if sort not in get_args(Order):
        raise UsageError(no_such("order", str(sort), get_args(Order)))
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name one that has runs in it, such as runs")
    return sorted(map(_summary, _runs(folder, DEPTH)), key=_KEYS[sort])


def _accuracy(run: RunSummary) -> float:
    return inf if run.accuracy is None or isnan(run.accuracy.value) else -run.accuracy.value


_KEYS: dict[Order, Callable[[RunSummary], Any]] = {
    "accuracy": lambda run: (_accuracy(run), str(run.path)),
    "date": lambda run: tuple(-ord(character) for character in run.date),
    "name": lambda run: str(run.path),
    "seconds": lambda run: (inf if run.seconds is None else run.seconds, str(run.path)),
}


def _runs(folder: Path, depth: int) -> Iterator[Run]:
    """The started runs, without looking into them for others."""
    run = Run(folder)
    if run.started and ((folder / "log.txt").exists() or run.finished):
        yield run
    elif depth:
        for below in sorted(folder.iterdir()):
            if below.is_dir() and not below.is_symlink() and not below.name.startswith("."):
                yield from _runs(below, depth - 1)


def _summary(run: Run) -> RunSummary:
    changed = max(path.stat().st_mtime for path in run.path.iterdir() if path.is_file())
    date = datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds")
    try:
        config, history, metrics = run.config, run.history, run.metrics
        split = next((name for name in ("test", "val") if name in metrics), None)
        return RunSummary(
            path=run.path,
            state="finished" if run.finished else "unfinished",
            recipe=config["recipe"].get("name"),
            network=config["recipe"].get("model", {}).get("name"),
            data=str(config["data"]),
            images=run.split_sizes["train"] if (run.path / "splits.csv").exists() else None,
            epochs=int(history[-1]["epoch"]) if history else None,
            seconds=history[-1]["seconds"] if history else None,
            split=split,
            accuracy=None if split is None else _interval(metrics[split]),
            megabytes=run.model.stat().st_size / 1e6 if run.finished else None,
            date=date,
        )
    except (DataError, LookupError, TypeError, AttributeError, ValueError, OSError) as error:
        problem = str(error) if isinstance(error, DataError) else f"{run.path} is damaged"
        return RunSummary(run.path, "damaged", date=date, problem=problem)


def _interval(stored: Any) -> Interval:
    bounds = headline(stored).accuracy
    value, low, high = (
        nan if one is None else one for one in (bounds.value, bounds.low, bounds.high)
    )
    return Interval(value, low, high)
