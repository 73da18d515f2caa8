"""The effect of each option: rows of runs that differ from a base, compared seed by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from math import nan
from pathlib import Path
from typing import Any

from seewhy.analysis.experiments.ablation import Ablation, Measured, ResultRow, as_csv
from seewhy.analysis.training_curves import best_row, kept_row
from seewhy.config.plan import Plan, Variant, load_plan, variants
from seewhy.config.recipe import load_recipe
from seewhy.data import Data, load_data
from seewhy.errors import DivergedError, UsageError
from seewhy.evaluation.metrics import value_of
from seewhy.evaluation.stats.significance import holm
from seewhy.evaluation.stats.summary import difference, summarise
from seewhy.events import Note, OnEvent, RunFinished, ignore
from seewhy.files import write_atomic, write_json
from seewhy.inference import bundle as bundles
from seewhy.models.registry import cost
from seewhy.plots import experiments as draw
from seewhy.run import Run
from seewhy.workflows.cluster import Engine
from seewhy.workflows.evaluate import evaluate
from seewhy.workflows.experiments.task import (
    Job,
    Task,
    bounds,
    claimed,
    writing_results,
)
from seewhy.workflows.suited import suited_recipe


def ablate(
    data: Data,
    plan: Plan | str | Path,
    *,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    engine: Engine = "local",
    on_event: OnEvent = ignore,
) -> Ablation:
    """Trains a base recipe and rows that differ from it, and measures the effect of each difference.

    `plan` contains the rows, or is a YAML file of them; if it names no recipe, the base is the one that suits
    the images. `overrides` sets recipe fields of every row. Runs go to `out/ROW/seed-N`, the metrics to
    `ablation.json`, `.csv` and `.md`. Called again, continues where it was interrupted, and several processes
    with the same `out` share the runs; `engine` is as for `seeds`. A run that diverged is a result, and the
    others continue. Raises `UsageError` before any training if a row does not fit the data.
    """
    chosen = plan if isinstance(plan, Plan) else load_plan(plan)
    recipe = chosen.recipe or suited_recipe(data, chosen.shared(overrides or {}), on_event)
    planned = variants(chosen, recipe, overrides or {})
    task = Task(data, recipe, planned[0].overrides, on_event, engine=engine)
    base = task.planned()
    mode = base.train.better
    seeds = tuple(range(base.train.seed, base.train.seed + chosen.seeds))
    metric = base.train.monitor
    for variant in planned:
        _require_fit(variant, data, on_event)
    home = claimed(out, f"{base.name}-ablation")
    trained = _train(task, planned, home, seeds)
    with writing_results(home):
        rows: list[ResultRow] = []
        for variant in planned:
            runs = trained[variant.folder]
            measured = [_measure(run, task, metric, chosen.target) for run in runs.values()]
            rows.append(_row(variant, runs, measured, seeds, metric))
        result = Ablation(
            home, chosen.about, metric, mode, seeds, chosen.target, tuple(_compared(rows))
        )
        write_json(result, home / "ablation.json")
        write_atomic(home / "ablation.md", result.markdown().encode())
        write_atomic(home / "ablation.csv", as_csv(result).encode())
        write_atomic(home / "figures" / "ablation.png", draw.ablation(result))
    return result


def _require_fit(variant: Variant, data: Data, on_event: OnEvent) -> None:
    """Raises `UsageError`, naming the row, if its network does not accept these images."""
    recipe = load_recipe(variant.recipe, variant.overrides)
    splits = load_data(data, recipe.data, on_event=on_event)
    options = recipe.model.options.model_dump()
    try:
        cost(recipe.model.name, num_classes=len(splits.classes), size=splits.rule.size, **options)
    except UsageError as error:
        raise UsageError(f"row {variant.name!r}: {error}") from None


def _train(
    task: Task, planned: Sequence[Variant], home: Path, seeds: Sequence[int]
) -> dict[str, dict[int, Run]]:
    """The runs by the folder of their row and by seed, without those that diverged."""
    turn, total = count(1), len(planned) * len(seeds)
    rows: list[dict[Path, Job[Run | None]]] = [
        {
            (out := home / variant.folder / f"seed-{seed}"): partial(
                _train_one, variant=variant, out=out, seed=seed, turn=next(turn), total=total
            )
            for seed in seeds
        }
        for variant in planned
    ]
    trained = task.in_groups(rows)
    return {
        variant.folder: {s: run for s, run in zip(seeds, runs, strict=True) if run is not None}
        for variant, runs in zip(planned, trained, strict=True)
    }


def _train_one(
    task: Task, variant: Variant, out: Path, seed: int, turn: int, total: int
) -> Run | None:
    """Trains a run of a row; None if it diverges, now or when it was trained before."""
    name, diverged = f"{variant.name}, seed {seed}", out / "diverged.txt"
    own = replace(task, recipe=variant.recipe, overrides=variant.overrides)
    changes = {"train.seed": seed}
    try:
        if diverged.is_file():
            with own.events(out, changes, turn, total, name):  # refuses other settings
                raise DivergedError(diverged.read_text("utf-8"))
        return own.train(out, changes, turn, total, name)
    except DivergedError as error:
        write_atomic(diverged, error.finding.encode())
        task.on_event(Note(f"{name}: {error}"))
        task.on_event(RunFinished(str(out), "accuracy", nan, nan, name))
        return None


def _measure(run: Run, task: Task, metric: str, target: float | None) -> Measured:
    if "train" not in run.metrics:
        evaluate(run.path, task.data, "train", on_event=task.on_event)
    history, metrics = run.history, run.metrics
    best = history[best_row(history)]
    kept = history[kept_row(history, run.config["recipe"]["train"]["keep"])]
    reached = [row for row in history if target is not None and row["val_accuracy"] >= target]
    first = reached[0] if reached else {"epoch": nan, "seconds": nan}
    network = bundles.load(run.model).network
    train, val = (metrics[split]["accuracy"]["value"] for split in ("train", "val"))
    return Measured(
        score=value_of(metrics["val"], metric),
        accuracy=val,
        train_accuracy=train,
        gap=train - val,
        running_accuracy=kept["train_accuracy"],
        running_gap=kept["train_accuracy"] - kept["val_accuracy"],
        parameters=sum(tensor.numel() for tensor in network.parameters()),
        best_epoch=int(best["epoch"]),
        epochs=int(history[-1]["epoch"]),
        seconds=history[-1]["seconds"],
        target_epochs=first["epoch"],
        target_seconds=first["seconds"],
    )


def _row(
    variant: Variant,
    runs: Mapping[int, Run],
    measured: Sequence[Measured],
    seeds: Sequence[int],
    metric: str,
) -> ResultRow:
    names = list(Measured.__dataclass_fields__) if measured else []
    values = {name: [float(getattr(one, name)) for one in measured] for name in names}
    limits = {"score": bounds(metric), "accuracy": (0, 1)}
    return ResultRow(
        name=variant.name,
        changes=variant.changes,
        after=variant.after,
        runs=runs,
        diverged=tuple(seed for seed in seeds if seed not in runs),
        figures={name: summarise(values[name], *limits.get(name, ())) for name in names},
    )


def _compared(rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The rows with their differences, each over the seeds that both of its rows have."""
    named = {row.name: row for row in rows}
    compared = [row if row.after is None else _against(row, named[row.after]) for row in rows]
    corrected = iter(holm([row.difference.p for row in compared if row.difference]))
    return [replace(row, p=next(corrected)) if row.difference else row for row in compared]


def _against(row: ResultRow, other: ResultRow) -> ResultRow:
    shared = [seed for seed in row.runs if seed in other.runs]
    if not shared:
        return row
    scores = [dict(zip(one.runs, one.figures["score"].values, strict=True)) for one in (row, other)]
    pairs = [[by_seed[seed] for seed in shared] for by_seed in scores]
    return replace(row, difference=difference(*pairs))
