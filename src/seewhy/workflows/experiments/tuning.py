"""Better settings for a recipe, searched for within bounds, and believed only over fresh seeds."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import yaml

from seewhy.analysis.experiments.tuning import Contender, Trial, TrialState, Tuning, ranked
from seewhy.config.recipe import Recipe, to_yaml
from seewhy.data import Data, load_data
from seewhy.errors import UsageError
from seewhy.evaluation.metrics import by_name
from seewhy.evaluation.stats.summary import difference, summarise
from seewhy.events import OnEvent, ignore
from seewhy.files import exclusive, write_atomic, write_json
from seewhy.plots.experiments import draw_tuning
from seewhy.run import Run, require_same
from seewhy.workflows.experiments.task import LOCK, Task, bounds, claimed

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


REPEATS = 3  # fresh seeds for each of the best trials, and for the base


def tune(
    data: Data,
    recipe: str | Path = "photos",
    trials: int = 20,
    *,
    time_limit: float | None = None,
    storage: str | None = None,
    pruner: Literal["median", "hyperband", "none"] = "median",
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    on_event: OnEvent = ignore,
) -> Tuning:
    """Searches the space in a recipe's `search` section for the best of the metric that it watches.

    Trials are drawn by TPE (Bergstra et al. 2011) and stopped early when they fall behind. The best
    three and the base are then trained with three fresh seeds each, as the best of many is best by luck
    too. The best trial that is better than the base beyond chance, else the best mean, which may be the
    base's, is named and written to `best.yaml`. Only validation is read.

    The study is in `out/study.db`, or in the database at `storage`, where several processes and machines
    may work at it at once. Called again, it goes on; more `trials` add to those done. No trial starts
    after `time_limit` seconds. Raises `UsageError` when the recipe has no search section, when no trial
    could be completed, and when Optuna is not installed.
    """
    studies = _studies()
    task = Task(data, recipe, overrides or {}, on_event)
    planned = task.planned()
    if not planned.search:
        raise UsageError(
            f"recipe {planned.name} has no search section, which says what to try: extend it by one, such "
            "as\n  extends: "
            + planned.name
            + "\n  search:\n    train.lr: {low: 0.001, high: 0.1, log: true}"
        )
    if trials < 1:
        raise UsageError(f"{trials} trials: expected 1 or more")
    home = claimed(out, f"{planned.name}-tune")
    url = storage or f"sqlite:///{(home / 'study.db').resolve()}"
    fingerprint = load_data(data, planned.data, on_event=on_event).fingerprint
    with studies.quiet():
        with exclusive(home / LOCK, wait=True):
            name = _begin(Run(home), planned, data, fingerprint)
            mode = planned.train.better
            study = studies.open_study(url, name, mode, pruner, planned.train.epochs)
        studies.search(study, task, home, trials, time_limit)
        with exclusive(home / LOCK, wait=True):
            result = _result(studies, study, task, home)
            write_atomic(result.recipe, _recipe(task, result).encode())
            write_json(result, home / "tuning.json")
    draw_tuning(result, home / "figures")
    return result


def _studies() -> Any:
    """The module that needs Optuna. Raises `UsageError` saying how to install it."""
    try:
        from seewhy.workflows.experiments import study
    except ModuleNotFoundError as error:
        if error.name not in ("optuna", "sqlalchemy"):
            raise
        raise UsageError("tuning needs Optuna: pip install 'seewhy[tune]'") from None
    return study


def _begin(home: Run, planned: Recipe, data: Data, fingerprint: str) -> str:
    """Notes what is searched on what, or finds it unchanged; gives the study's name, made of that."""
    written = yaml.safe_load(to_yaml(planned))
    search = written.pop("search")
    config = {
        "recipe": written,
        "search": search,
        "data": str(data),
        "data_fingerprint": fingerprint,
    }
    if home.started:
        require_same(home, config, {"recipe": Recipe().model_dump(mode="json")})
    else:
        home.write_config(config)
    del config["data"]  # its path may differ from machine to machine
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
    return f"{planned.name}-{digest[:12]}"


def _result(studies: Any, study: "Study", task: Task, home: Path) -> Tuning:
    """What the study found, its best trials trained again under fresh seeds."""
    best = studies.best_trials(study)
    trials = study.get_trials(deepcopy=False)
    if not best:
        said = [trial.user_attrs.get("refused") for trial in trials]
        last = next((text for text in reversed(said) if text), "the time limit came first")
        raise UsageError(f"no trial was completed: {last}")
    planned = task.planned()
    mode = planned.train.better
    return Tuning(
        path=home,
        study=study.study_name,
        metric=planned.train.monitor,
        mode=mode,
        trials=tuple(_trial(trial, home / studies.folder(trial)) for trial in trials),
        importance=studies.importance(study),
        contenders=_contenders(task, home, best, mode),
    )


def _contenders(
    task: Task, home: Path, best: Sequence["FrozenTrial"], mode: str
) -> tuple[Contender, ...]:
    """The base and the best trials under fresh seeds, the trials best first."""
    seed, metric = task.planned().train.seed, task.planned().train.monitor
    fields: dict[str, dict[str, Any]] = {"base": {}}
    fields |= {f"trial {trial.number}": dict(trial.params) for trial in best}
    found: list[Contender] = []
    for name, params in fields.items():
        runs = tuple(
            task.train(
                home / "best" / name.replace(" ", "-") / f"seed-{fresh}",
                {**params, "train.seed": fresh},
                len(found) * REPEATS + turn,
                len(fields) * REPEATS,
                f"{name}, seed {fresh}",
            )
            for turn, fresh in enumerate(range(seed + 1, seed + 1 + REPEATS), 1)
        )
        values = [by_name(run.metrics["val"])[metric] for run in runs]
        change = difference(values, found[0].score.values) if found else None
        found.append(Contender(name, params, runs, summarise(values, *bounds(metric)), change))
    return ranked(found, mode)


def _trial(trial: "FrozenTrial", path: Path) -> Trial:
    states: dict[str, TrialState] = {"FAIL": "failed"}
    reported = trial.intermediate_values
    last = reported[max(reported)] if reported else nan
    return Trial(
        number=trial.number,
        state=states.get(trial.state.name, cast(TrialState, trial.state.name.lower())),
        value=last if trial.value is None else trial.value,
        epochs=len(reported),
        params=trial.params,
        path=path,
    )


def _recipe(task: Task, result: Tuning) -> str:
    """The best as a recipe that extends the base."""
    base = Path(task.recipe)
    mean, change = result.best.score.mean, result.best.change
    gain = f" ({change.mean:+.4f})" if change else ""
    tree: dict[str, Any] = {
        "about": f"{base.stem}, tuned over {len(result.trials)} trials: {result.verdict}; validation "
        f"{result.metric} {mean:.4f}{gain} over {REPEATS} fresh seeds",
        "extends": str(base.resolve()) if base.is_file() else str(task.recipe),
    }
    for name, value in {**task.overrides, **result.best.params}.items():
        *sections, leaf = name.split(".")
        inner = tree
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[leaf] = value
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
