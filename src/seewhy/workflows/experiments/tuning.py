"""Searches for better settings of a recipe, and confirms the best with fresh seeds."""

import hashlib
import json
import socket
import time
from collections.abc import Mapping, Sequence
from functools import partial
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import yaml

from seewhy.analysis.experiments.tuning import Contender, Trial, TrialState, Tuning, ranked
from seewhy.config.recipe import Recipe, to_yaml
from seewhy.data import Data, load_data
from seewhy.errors import DivergedError, UsageError
from seewhy.evaluation.metrics import value_of
from seewhy.evaluation.stats.summary import difference, summarise
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import exclusive, write_atomic, write_json
from seewhy.plots.experiments import draw_tuning
from seewhy.run import Run
from seewhy.text import counted
from seewhy.workflows.cluster import Engine
from seewhy.workflows.experiments.task import LOCK, Job, Task, bounds, claimed, require_count
from seewhy.workflows.request import flat, require_same
from seewhy.workflows.suited import suited_recipe

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


REPEATS = 3  # fresh seeds for each of the best trials, and for the base


def tune(
    data: Data,
    recipe: str | Path | None = None,
    trials: int = 20,
    *,
    time_limit: float | None = None,
    storage: str | None = None,
    pruner: Literal["median", "hyperband", "none"] = "median",
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    engine: Engine = "local",
    on_event: OnEvent = ignore,
) -> Tuning:
    """Searches the space in a recipe's `search` section for the best value of its monitored metric.

    Trials are sampled by TPE (Bergstra et al. 2011) and unpromising ones stopped early. The best three and
    the base are then trained with three fresh seeds each, because the best of many is partly best by chance.
    A trial whose loss then diverges is left out.
    The best trial that is significantly better than the base, otherwise the best mean, possibly the base's,
    is written to `best.yaml`. Only validation is read.

    The study is in `out/study.db`, or in the database or the `journal:FILE` at `storage`, which several
    processes, of a database also on several machines, can share. Called again, it continues; more `trials`
    add to the finished ones. No trial starts after `time_limit` seconds. `engine="ray"` has a Ray cluster
    train trials and contenders, whose machines reach data and `out` by the same paths; several machines need
    a database as `storage`. Raises `UsageError` if the recipe has no search section, if no trial could be
    completed, and if Optuna is not installed.
    """
    studies = _studies()
    recipe = recipe or suited_recipe(data, overrides, on_event)
    task = Task(data, recipe, overrides or {}, on_event, engine=engine)
    planned = task.planned()
    if not planned.search:
        raise UsageError(
            f"recipe {planned.name} has no search section, which lists what to try: add one, such "
            "as\n  extends: "
            + planned.name
            + "\n  search:\n    train.lr: {low: 0.001, high: 0.1, log: true}"
        )
    require_count(trials, 1, "trials")
    home = claimed(out, f"{planned.name}-tune")
    url = storage or f"sqlite:///{(home / 'study.db').resolve()}"
    deadline = None if time_limit is None else time.time() + time_limit
    fingerprint = load_data(data, planned.data, on_event=on_event).fingerprint
    with studies.quiet():
        with exclusive(home / LOCK, wait=True):
            name = _begin(Run(home), planned, data, fingerprint)
            mode, epochs, host = planned.train.better, planned.train.epochs, socket.gethostname()
            begin = partial(studies.open_study, url, name, mode, pruner, epochs, host)
            study = begin()
        if engine == "ray":
            studies.search_on_cluster(study, begin, task, home, trials, deadline)
        else:
            studies.search(study, task, home, trials, deadline)
        result = _result(studies, study, task, home)
        with exclusive(home / LOCK, wait=True):
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
    """Stores recipe and data, or requires them unchanged; returns the study's name, derived from them."""
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
        config = home.config  # which names the study, whatever may differ now
    else:
        home.write_config(config)
    del config["data"]  # its path may differ from machine to machine
    digest = hashlib.sha256(
        json.dumps(config, sort_keys=True, allow_nan=False).encode()
    ).hexdigest()
    return f"{planned.name}-{digest[:12]}"


def _result(studies: Any, study: "Study", task: Task, home: Path) -> Tuning:
    """The results of the study, with its best trials trained again with fresh seeds."""
    best = studies.best_trials(study)
    trials = study.get_trials(deepcopy=False)
    if not best:
        errors = [trial.user_attrs.get("refused") for trial in trials]
        last = next((text for text in reversed(errors) if text), "the time limit came first")
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
    """The base and the best trials with fresh seeds, the trials best first; none whose loss diverges."""
    seed, metric = task.planned().train.seed, task.planned().train.monitor
    fields: dict[str, dict[str, Any]] = {"base": {}}
    fields |= {f"trial {trial.number}": dict(trial.params) for trial in best}
    jobs: list[Mapping[Path, Job[Run | None]]] = []
    for number, (name, params) in enumerate(fields.items()):
        own = task.over_seeds(
            home / "best" / name.replace(" ", "-"),
            range(seed + 1, seed + 1 + REPEATS),
            params,
            before=number * REPEATS,
            total=len(fields) * REPEATS,
            name=name,
        )
        spared = {path: partial(_unless_diverged, job=job) for path, job in own.items()}
        jobs.append(spared if number else own)
    contenders: list[Contender] = []
    for (name, params), results in zip(fields.items(), task.in_groups(jobs), strict=True):
        runs = tuple(run for run in results if run is not None)
        if len(runs) < len(results):
            task.on_event(Note(f"{name} is left out: its loss diverged with a fresh seed"))
            continue
        values = [value_of(run.metrics["val"], metric) for run in runs]
        change = difference(values, contenders[0].score.values) if contenders else None
        contenders.append(Contender(name, params, runs, summarise(values, *bounds(metric)), change))
    return ranked(contenders, mode)


def _unless_diverged(task: Task, job: Job[Run]) -> Run | None:
    try:
        return job(task)
    except DivergedError:
        return None


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
        "about": (
            f"{base.stem}, tuned over {counted(len(result.trials), 'trial')}: "
            f"{result.verdict}; validation {result.metric} {mean:.4f}{gain} over {REPEATS} fresh seeds"
        ),
        "extends": str(base.resolve()) if base.is_file() else str(task.recipe),
    }
    values = flat(task.planned(result.best.params).model_dump(mode="json"))
    for name in {**task.overrides, **result.best.params}:
        *sections, leaf = name.split(".")
        inner = tree
        for section in sections:
            inner = inner.setdefault(section, {})
        inner[leaf] = values[name]
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
