"""The same recipe again: over seeds, to tell luck from merit, and over folds, to validate on all."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from seewhy.analysis.experiments.repetition import Folds, Seeds
from seewhy.data import Data
from seewhy.errors import UsageError
from seewhy.evaluation.decision.temperature import fit_temperature
from seewhy.evaluation.metrics import by_name, metrics
from seewhy.evaluation.predictions import Predictions, concat
from seewhy.evaluation.stats.summary import Spread, Summary, summarise
from seewhy.events import OnEvent, ignore
from seewhy.files import to_json, write_json
from seewhy.plots.drawings import split_drawings
from seewhy.plots.experiments import draw_folds, draw_seeds
from seewhy.plots.style import write_drawings
from seewhy.run import Run
from seewhy.workflows.experiments.task import Task, bounds, held


def seeds(
    data: Data = "cifar10",
    recipe: str | Path = "fast",
    count: int = 3,
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    init: str | Path | None = None,
    on_event: OnEvent = ignore,
) -> Seeds:
    """Trains a recipe with `count` seeds, from its own on, into `out/seed-N`; writes `seeds.json`.

    Stopped, it goes on where it was when it is called again; finished runs are not trained again.
    """
    if count < 1:
        raise UsageError(f"{count} seeds: expected 1 or more")
    task = Task(data, recipe, overrides or {}, on_event, init)
    first = task.planned().train.seed
    numbers = tuple(range(first, first + count))
    with held(out, f"{task.planned().name}-seeds") as home:
        runs = tuple(
            task.train(home / f"seed-{seed}", {"train.seed": seed}, turn, count)
            for turn, seed in enumerate(numbers, 1)
        )
        result = Seeds(home, runs, numbers, summaries(runs))
        write_json(result, home / "seeds.json")
    draw_seeds(result, home / "figures")
    return result


def folds(
    data: Data = "cifar10",
    recipe: str | Path = "fast",
    count: int = 5,
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    init: str | Path | None = None,
    on_event: OnEvent = ignore,
) -> Folds:
    """Trains `count` runs into `out/fold-N`, each on all of train and val but one stratified part.

    Groups and identical pictures are never parted, and test stays sealed. Writes
    `predictions-oof.parquet`, in which every picture is predicted by the run that had not seen it, and
    `folds.json`. Goes on where it stopped, as `seeds` does.
    """
    if count < 2:
        raise UsageError(f"{count} folds: expected 2 or more")
    task = Task(data, recipe, overrides or {}, on_event, init)
    with held(out, f"{task.planned().name}-folds") as home:
        runs = tuple(
            task.train(
                home / f"fold-{fold}", {"data.folds": count, "data.fold": fold}, fold + 1, count
            )
            for fold in range(count)
        )
        predictions = _out_of_fold(runs)
        spreads = {
            name: Spread(of_folds.values, of_folds.mean, of_folds.sd)
            for name, of_folds in summaries(runs).items()
        }
        result = Folds(home, runs, spreads, metrics(predictions, "oof"))
        predictions.to_parquet(result.predictions)
        write_json(result, home / "folds.json")
    draw_folds(result, home / "figures")
    drawings = split_drawings(to_json(result.whole), result.whole.reliability)
    write_drawings(drawings, home / "figures")
    return result


def summaries(runs: tuple[Run, ...]) -> dict[str, Summary]:
    """The validation metrics of several runs, by metric: those that all of them have."""
    metrics = [by_name(run.metrics["val"]) for run in runs]
    shared = [name for name in metrics[0] if all(name in one for one in metrics)]
    return {name: summarise([one[name] for one in metrics], *bounds(name)) for name in shared}


def _out_of_fold(runs: tuple[Run, ...]) -> Predictions:
    """All held-out predictions, under one temperature: each run's own was fitted to its part."""
    parts = [Predictions.from_parquet(run.predictions("val")) for run in runs]
    whole = concat(replace(part, temperature=1.0) for part in parts)
    return replace(whole, temperature=fit_temperature(whole))
