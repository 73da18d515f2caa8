"""Repeats a recipe: over seeds, to measure randomness, or over folds, to validate on all images."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from seewhy.analysis.experiments.repetition import Folds, Seeds
from seewhy.data import Data
from seewhy.evaluation.decision.temperature import fit_temperature
from seewhy.evaluation.metrics import by_name, metrics
from seewhy.evaluation.predictions import Predictions, concat
from seewhy.evaluation.stats.summary import Spread, Summary, summarise
from seewhy.events import OnEvent, ignore
from seewhy.files import write_json
from seewhy.plots.drawings import split_drawings
from seewhy.plots.experiments import draw_folds, draw_seeds
from seewhy.plots.style import write_drawings
from seewhy.run import Run
from seewhy.workflows.cluster import Engine
from seewhy.workflows.experiments.task import (
    Task,
    bounds,
    claimed,
    require_count,
    writing_results,
)
from seewhy.workflows.suited import suited_recipe


def seeds(
    data: Data = "cifar10",
    recipe: str | Path | None = None,
    count: int = 3,
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    init: str | Path | None = None,
    engine: Engine = "local",
    on_event: OnEvent = ignore,
) -> Seeds:
    """Trains a recipe with `count` consecutive seeds, starting at its own, into `out/seed-N`.

    Writes `seeds.json`. Called again, continues where it was interrupted; called by several processes with
    the same `out`, each trains a part of the runs. `engine="ray"` has a Ray cluster train them, whose
    machines reach data and `out` by the same paths.
    """
    require_count(count, 1, "seeds")
    recipe = recipe or suited_recipe(data, overrides, on_event)
    task = Task(data, recipe, overrides or {}, on_event, init, engine)
    first = task.planned().train.seed
    numbers = tuple(range(first, first + count))
    home = claimed(out, f"{task.planned().name}-seeds")
    jobs = task.over_seeds(home, numbers, {}, 0, count)
    runs = tuple(task.shared_out(jobs).values())
    with writing_results(home):
        result = Seeds(home, runs, numbers, summaries(runs))
        write_json(result, home / "seeds.json")
        draw_seeds(result, home / "figures")
    return result


def folds(
    data: Data = "cifar10",
    recipe: str | Path | None = None,
    count: int = 5,
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    init: str | Path | None = None,
    engine: Engine = "local",
    on_event: OnEvent = ignore,
) -> Folds:
    """Trains `count` runs into `out/fold-N`, each on train and val without one stratified fold.

    Groups and identical images are kept together, and test stays sealed. Writes `predictions-oof.parquet`,
    in which every image is predicted by the run that was not trained on it, and `folds.json`. Called again,
    continues as `seeds` does.
    """
    require_count(count, 2, "folds")
    recipe = recipe or suited_recipe(data, overrides, on_event)
    task = Task(data, recipe, overrides or {}, on_event, init, engine)
    home = claimed(out, f"{task.planned().name}-folds")
    jobs = {
        home / f"fold-{fold}": partial(
            Task.train,
            out=home / f"fold-{fold}",
            changes={"data.folds": count, "data.fold": fold},
            number=fold + 1,
            total=count,
        )
        for fold in range(count)
    }
    runs = tuple(task.shared_out(jobs).values())
    with writing_results(home):
        predictions = _out_of_fold(runs)
        spreads = {
            name: Spread(of_folds.values, of_folds.mean, of_folds.sd)
            for name, of_folds in summaries(runs).items()
        }
        result = Folds(home, runs, spreads, metrics(predictions, "oof"))
        predictions.to_parquet(result.predictions)
        write_json(result, home / "folds.json")
        draw_folds(result, home / "figures")
        write_drawings(split_drawings(result.whole), home / "figures")
    return result


def summaries(runs: tuple[Run, ...]) -> dict[str, Summary]:
    """The validation metrics of several runs, by metric: those that all of them have."""
    metrics = [by_name(run.metrics["val"]) for run in runs]
    shared = [name for name in metrics[0] if all(name in one for one in metrics)]
    return {name: summarise([one[name] for one in metrics], *bounds(name)) for name in shared}


def _out_of_fold(runs: tuple[Run, ...]) -> Predictions:
    """All held-out predictions, with one temperature: each run's own was fitted to its fold."""
    parts = [Predictions.from_parquet(run.predictions("val")) for run in runs]
    whole = concat(replace(part, temperature=1.0) for part in parts)
    return replace(whole, temperature=fit_temperature(whole))
