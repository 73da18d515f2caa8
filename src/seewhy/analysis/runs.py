"""Runs side by side: what each was trained on, by what recipe, and how good it is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, isnan
from pathlib import Path
from typing import Any, Literal, get_args

from seewhy.errors import DataError, UsageError
from seewhy.evaluation.stats.intervals import Interval
from seewhy.files import from_json
from seewhy.run import Run
from seewhy.text import no_such

Order = Literal["accuracy", "test_accuracy", "date", "name", "recipe", "data", "seconds"]
State = Literal["finished", "unfinished", "damaged"]


@dataclass(frozen=True)
class RunSummary:
    """A run in a list.

    `fingerprint` is that of its images and labels. `accuracy` is that on validation, by which runs are
    compared, `test_accuracy` that on test where it was evaluated. `epochs` were done of `planned`; `seconds`
    are those of the training, `megabytes` those of the model, `date` (UTC, ISO 8601) when its model was
    written, or of an unfinished run when it last changed.
    `problem` says what is wrong with a damaged run, whose other facts may be missing.
    """

    path: Path
    state: State
    recipe: str | None = None
    network: str | None = None
    data: str | None = None
    fingerprint: str | None = None
    images: int | None = None
    epochs: int | None = None
    planned: int | None = None
    seconds: float | None = None
    accuracy: Interval | None = None
    test_accuracy: Interval | None = None
    megabytes: float | None = None
    date: str = ""
    problem: str | None = None


def summarise_run(run: Run) -> RunSummary:
    """What the files of a run say of it, also where some are damaged."""
    files = [run.model] if run.finished else filter(Path.is_file, run.path.iterdir())
    changed = max(path.stat().st_mtime for path in files)
    date = datetime.fromtimestamp(changed, UTC).isoformat(timespec="seconds")
    try:
        config, history, metrics = run.config, run.history, run.metrics
        accuracies = {
            split: from_json(Interval, metrics[split]["accuracy"])
            for split in ("val", "test")
            if split in metrics
        }
        return RunSummary(
            path=run.path,
            state="finished" if run.finished else "unfinished",
            recipe=config["recipe"].get("name"),
            network=config["recipe"].get("model", {}).get("name"),
            data=str(config["data"]),
            fingerprint=config.get("data_fingerprint"),
            images=run.split_sizes["train"] if (run.path / "splits.csv").exists() else None,
            epochs=int(history[-1]["epoch"]) if history else None,
            planned=config["recipe"]["train"].get("epochs"),
            seconds=history[-1]["seconds"] if history else None,
            accuracy=accuracies.get("val"),
            test_accuracy=accuracies.get("test"),
            megabytes=run.model.stat().st_size / 1e6 if run.finished else None,
            date=date,
        )
    except (DataError, LookupError, TypeError, AttributeError, ValueError, OSError) as error:
        problem = str(error) if isinstance(error, DataError) else f"{run.path} is damaged"
        return RunSummary(run.path, "damaged", date=date, problem=problem)


def sorted_runs(runs: Iterable[RunSummary], order: Order) -> list[RunSummary]:
    """The best, newest or shortest first, or by name; what lacks the value comes last."""
    if order not in get_args(Order):
        raise UsageError(no_such("order", str(order), get_args(Order)))
    return sorted(runs, key=lambda run: (_KEYS[order](run), str(run.path)))


def _best_first(accuracy: Interval | None) -> float:
    return inf if accuracy is None or isnan(accuracy.value) else -accuracy.value


_KEYS: dict[Order, Callable[[RunSummary], Any]] = {
    "accuracy": lambda run: _best_first(run.accuracy),
    "test_accuracy": lambda run: _best_first(run.test_accuracy),
    "date": lambda run: tuple(-ord(character) for character in run.date),
    "name": lambda run: "",
    "recipe": lambda run: (run.recipe is None, run.recipe or ""),
    "data": lambda run: (run.data is None, run.data or ""),
    "seconds": lambda run: inf if run.seconds is None else run.seconds,
}
