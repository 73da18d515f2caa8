"""Would more images help? The same recipe on growing shares of the training images."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any

from seewhy.analysis.experiments.learning_curve import LearningCurve, Share, fit
from seewhy.config.names import METRICS
from seewhy.config.recipe import Recipe
from seewhy.data import Data, load_data
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import value_of
from seewhy.evaluation.stats.summary import summarise
from seewhy.events import OnEvent, ignore
from seewhy.files import write_atomic, write_json
from seewhy.plots import experiments as draw
from seewhy.text import counted
from seewhy.workflows.cluster import Engine
from seewhy.workflows.experiments.task import Task, claimed, require_count, writing_results
from seewhy.workflows.suited import suited_recipe


def learning_curve(
    data: Data = "cifar10",
    recipe: str | Path | None = None,
    shares: Sequence[float] = (0.25, 0.5, 1.0),
    seeds: int = 3,
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    engine: Engine = "local",
    on_event: OnEvent = ignore,
) -> LearningCurve:
    """Trains on nested stratified shares of the training images, and fits a power law.

    All runs take the same number of steps (a quarter of the images for four times the epochs; where they are
    fewer than a batch, for fewer): otherwise longer training would look like the effect of more images. All
    use the same validation split, so its sampling error shifts all points alike. Runs go to
    `out/share-S/seed-N`, the metrics to `learning_curve.json`. Called again, continues where it was
    interrupted. `engine` is as for `seeds`.
    """
    parts = sorted(set(shares))
    if len(parts) < 2 or not all(0 < share <= 1 for share in parts):
        raise UsageError(f"shares {list(shares)}: expected two or more, above 0 and up to 1")
    require_count(seeds, 1, "seeds")
    recipe = recipe or suited_recipe(data, overrides, on_event)
    task = Task(data, recipe, overrides or {}, on_event, engine=engine)
    planned = task.planned()
    metric = planned.train.monitor
    if METRICS[metric] == "min":
        metric = "accuracy"
    whole = len(load_data(data, planned.data, on_event=on_event).train)
    home = claimed(out, f"{planned.name}-learning-curve")
    images = {share: round(share * whole) for share in parts}
    jobs = [
        task.over_seeds(
            home / f"share-{share:g}",
            range(planned.train.seed, planned.train.seed + seeds),
            _same_steps(planned, share, whole) | ({"data.limit": some} if share < 1 else {}),
            before=number * seeds,
            total=len(parts) * seeds,
            name=counted(some, "image"),
        )
        for number, (share, some) in enumerate(images.items())
    ]
    measured: list[Share] = []
    for share, runs in zip(parts, task.in_groups(jobs), strict=True):
        scores = [value_of(run.metrics["val"], metric) for run in runs]
        measured.append(Share(share, images[share], runs, summarise(scores, 0, 1)))
    with writing_results(home):
        validated = measured[0].runs[0].metrics["val"]["n"]
        result = LearningCurve(home, metric, tuple(measured), fit(measured, validated))
        write_json(result, home / "learning_curve.json")
        write_atomic(home / "figures" / "learning-curve.png", draw.learning_curve(result))
    return result


def _same_steps(recipe: Recipe, share: float, whole: int) -> dict[str, Any]:
    """The settings that give a run on a share of the `whole` images as many steps as one on all of them."""
    train = recipe.train.model_dump() | recipe.train.schedule_options.model_dump()
    batch = recipe.train.batch_size
    smaller = min(batch, round(share * whole)) / min(
        batch, whole
    )  # a batch of all images, if they are few
    counts = {
        name: ceil(count / share * smaller)
        for name in ("epochs", "patience", "plateau_patience")
        if (count := train[name]) is not None
    }
    warmup = {} if train["warmup"] is None else {"warmup": train["warmup"] / share * smaller}
    return {f"train.{name}": value for name, value in (counts | warmup).items()}
