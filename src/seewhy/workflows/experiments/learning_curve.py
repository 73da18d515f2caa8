"""Would more pictures help? The same recipe on growing parts of the training pictures."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from seewhy.analysis.experiments.learning_curve import LearningCurve, Share, fit
from seewhy.config.names import METRICS
from seewhy.config.recipe import Recipe
from seewhy.data import Data, load_data
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import by_name
from seewhy.evaluation.stats.summary import summarise
from seewhy.events import OnEvent, ignore
from seewhy.files import write_json
from seewhy.plots.experiments import draw_learning_curve
from seewhy.workflows.experiments.task import Task, held


def learning_curve(
    data: Data = "cifar10",
    recipe: str | Path = "fast",
    shares: Sequence[float] = (0.25, 0.5, 1.0),
    seeds: int = 3,
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    on_event: OnEvent = ignore,
) -> LearningCurve:
    """Trains on stratified parts of the training pictures, each within the next, and fits a power law.

    All runs take the same number of steps, a quarter of the pictures four times the epochs: else a
    longer training would pass for more pictures. Validation is the same throughout, so what is left of
    its own luck moves all points alike. Runs go to `out/share-S/seed-N`, the figures to
    `learning_curve.json`. Goes on where it stopped.
    """
    parts = sorted(set(shares))
    if len(parts) < 2 or parts[0] <= 0 or parts[-1] > 1:
        raise UsageError(f"shares {list(shares)}: expected two or more, above 0 and up to 1")
    if seeds < 1:
        raise UsageError(f"{seeds} seeds: expected 1 or more")
    task = Task(data, recipe, overrides or {}, on_event)
    planned = task.planned()
    metric = planned.train.monitor
    if METRICS[metric] == "min":
        metric = "accuracy"
    whole = len(load_data(data, planned.data, on_event=on_event).train)
    with held(out, f"{planned.name}-learning-curve") as home:
        found: list[Share] = []
        for share in parts:
            pictures = round(share * whole)
            changes = _same_steps(planned, share) | ({"data.limit": pictures} if share < 1 else {})
            runs = tuple(
                task.train(
                    home / f"share-{share:g}" / f"seed-{seed}",
                    {**changes, "train.seed": seed},
                    len(found) * seeds + turn,
                    len(parts) * seeds,
                    f"{pictures:,} pictures, seed {seed}",
                )
                for turn, seed in enumerate(_seeds(planned, seeds), 1)
            )
            scores = [by_name(run.metrics["val"])[metric] for run in runs]
            found.append(Share(share, pictures, runs, summarise(scores, 0, 1)))
        validated = found[0].runs[0].metrics["val"]["n"]
        result = LearningCurve(home, metric, tuple(found), fit(found, validated))
        write_json(result, home / "learning_curve.json")
    draw_learning_curve(result, home / "figures")
    return result


def _seeds(recipe: Recipe, count: int) -> range:
    return range(recipe.train.seed, recipe.train.seed + count)


def _same_steps(recipe: Recipe, share: float) -> dict[str, Any]:
    """What makes a run on a share of the pictures as long, in steps, as one on all of them."""
    train = recipe.train.model_dump()
    whole = {
        name: ceil(count / share)
        for name in ("epochs", "patience", "plateau_patience")
        if (count := train[name]) is not None
    }
    rise = {} if train["warmup"] is None else {"warmup": train["warmup"] / share}
    return {f"train.{name}": value for name, value in (whole | rise).items()}
