"""The stored results of a run, read once for a report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from seewhy.analysis import diagnostics
from seewhy.analysis.causes import Causes, Explained
from seewhy.analysis.confidence import Confidence
from seewhy.analysis.mistakes import Mistakes
from seewhy.analysis.overview import Analysis
from seewhy.analysis.robustness_record import Robustness
from seewhy.config.recipe import Recipe
from seewhy.errors import ModelFileError, UsageError
from seewhy.evaluation.metrics import Metrics
from seewhy.events import Diagnostic, RunStarted, StoredEvent
from seewhy.inference.container import Header, read_header
from seewhy.run import DAMAGED, Run
from seewhy.text import escape_cell

Counts = Mapping[str, Mapping[str, int]]  # images per class, by split


@dataclass(frozen=True)
class Environment:
    """The machine of the training, and the package versions."""

    platform: str
    processor: str
    cuda: str | None
    threads: int
    python: str
    packages: dict[str, str]

    @property
    def device(self) -> str:
        return self.cuda or self.processor


@dataclass(frozen=True)
class StoredModel:
    """The facts of a model file."""

    digest: str
    megabytes: float
    network: str
    size: int
    views: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Results:
    """What was measured of one split; `reading` counts the evaluations of the test split."""

    metrics: Metrics
    analysis: Analysis | None = None
    reading: int = 0


@dataclass(frozen=True, eq=False)
class Stored:
    """The results of one run, as stored.

    `abstains` says that its model, or one in its directory that was made from it, answers "not sure".
    `data` and `init` are what it was trained on and fine-tuned from, as given; `init` is "" where it is not
    known, and None where there is none. If the run stored no events, `diagnostics` are computed from its
    history and counts, and `derived` is true.
    """

    path: Path
    recipe: Recipe
    data: str
    history: Sequence[Mapping[str, float]]
    val: Results
    counts: Counts
    model: StoredModel
    test: Results | None = None
    robustness: Robustness | None = None
    environment: Environment | None = None
    init: str | None = None
    bad_files: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()
    derived: bool = False
    test_readings: int = 0
    abstains: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        return self.val.metrics.classes

    @property
    def epochs(self) -> int:
        """The epochs of the training; 0 where the last layer alone was fitted, to frozen features."""
        return int(self.history[-1]["epoch"])

    @property
    def confidence(self) -> Confidence | None:
        """The confidence on validation, if it was analysed."""
        return self.val.analysis.confidence if self.val.analysis else None

    @property
    def mistakes(self) -> Mistakes | None:
        """The mistakes on validation, if they were analysed."""
        return self.val.analysis.mistakes if self.val.analysis else None

    @property
    def causes(self) -> Causes | None:
        """The causes of the mistakes on validation, if they were looked for."""
        return self.val.analysis.causes if self.val.analysis else None

    @property
    def explained(self) -> tuple[Explained, ...]:
        """The mistakes on validation whose cause was looked for."""
        return self.causes.mistakes if self.causes else ()

    @property
    def recalls(self) -> dict[str, float]:
        """The recall of each class that has validation images."""
        rows = self.val.metrics.per_class.items()
        return {name: row.recall for name, row in rows if row.support}

    def images(self, split: str) -> int:
        """The number of images of a split."""
        return sum(self.counts[split].values())


def read_stored(run: Run) -> Stored:
    """Reads a finished run. Raises `UsageError`, which says what to do, if the run is not finished."""
    if not run.started:
        raise UsageError(
            f"{run.path} is not a finished run (no config.yaml): give the directory of a run, as "
            "`seewhy train` and `seewhy runs` show it"
        )
    if not run.finished:
        raise UsageError(
            f"{run.path} is not a finished run (no model.safetensors): give a run directory, or finish the "
            f"run with `{run.resume_command}`"
        )
    config = run.config
    if "val" not in run.metrics:
        raise run.lacks("metrics.json", "has no metrics of val")
    header, history = read_header(run.model), run.history
    epochs = header.metadata.facts.get("epochs")  # fewer than those done, if it is being trained on
    if not history or (isinstance(epochs, int) and history[-1]["epoch"] < epochs):
        raise run.lacks("history.csv", f"has {len(history)} of {epochs} epochs")
    val = _results(run, "val")
    counts, events = _counts(run, val.metrics.classes), run.events
    try:
        recipe = Recipe.model_validate(config["recipe"])
    except ValidationError:
        raise run.lacks("config.yaml", DAMAGED) from None
    return Stored(
        path=run.path,
        recipe=recipe,
        data=config["data"],
        history=[row for row in history if not isinstance(epochs, int) or row["epoch"] <= epochs],
        val=val,
        counts=counts,
        model=_model(header),
        test=_results(run, "test") if "test" in run.metrics else None,
        robustness=run.typed(Robustness, "analysis/robustness.json"),
        environment=run.typed(Environment, "environment.json"),
        init=config.get("init_model") or "" if config.get("init") else None,
        bad_files=len(run.rows("bad_files.csv")),
        diagnostics=_derived(run, recipe, counts) if events is None else _latest(events),
        derived=events is None,
        test_readings=run.test_readings,
        abstains=_abstains(run, header),
    )


def _model(header: Header) -> StoredModel:
    metadata = header.metadata
    return StoredModel(
        digest=header.digest,
        megabytes=header.size / 1e6,
        network=metadata.architecture.name,
        size=metadata.rule.size,
        views=metadata.views,
        fingerprint=metadata.fingerprint,
    )


def _abstains(run: Run, own: Header) -> bool:
    """Whether the run's model has a threshold, or a calibrated file beside it; damaged files do not count."""
    made = [own]
    for file in set(run.path.glob("*.safetensors")) - {run.model}:
        with suppress(ModelFileError):
            header = read_header(file)
            if own.digest in header.metadata.parents:
                made.append(header)
    return any(header.metadata.decision.threshold is not None for header in made)


def _results(run: Run, split: str) -> Results:
    """What was measured of a split; its analysis is None where a part of every analysis is missing."""
    metrics = run.typed(Metrics, "metrics.json", split)
    assert metrics is not None
    kinds: dict[str, Any] = {field.name: field.type for field in fields(Analysis)}
    parts: dict[str, Any] = {
        name: run.typed(kind, f"analysis/{name}-{split}.json") for name, kind in kinds.items()
    }
    whole = all(parts[name] is not None for name in ("confidence", "curves", "mistakes"))
    reading = run.metrics[split].get("reading", 0)
    return Results(metrics, Analysis(**parts) if whole else None, reading)


def _latest(events: Sequence[StoredEvent]) -> tuple[Diagnostic, ...]:
    """The diagnostics of a run; of a kind that a run which was trained on had before, only the newer."""
    starts = [row for row, event in enumerate(events) if isinstance(event, RunStarted)]
    start = max(starts, default=0)
    before, after = (
        [event for event in part if isinstance(event, Diagnostic)]
        for part in (events[:start], events[start:])
    )
    kinds = {event.kind for event in after}
    return tuple(dict.fromkeys([*(one for one in before if one.kind not in kinds), *after]))


def _derived(run: Run, recipe: Recipe, counts: Counts) -> tuple[Diagnostic, ...]:
    """The diagnostics of a run that stored no events, from its history and images per class, by split."""
    train, val = (np.array(list(counts[split].values())) for split in ("train", "val"))
    found = diagnostics.in_run(run.history, train, val, list(counts["train"]), recipe.train)
    return tuple(found)


def _counts(run: Run, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Images per class, by split, from splits.csv."""
    rows = run.rows("splits.csv", "split", "label")
    tally = Counter((row["split"], row["label"]) for row in rows)
    return {
        split: {name: tally[split, escape_cell(name)] for name in classes}
        for split in ("train", "val", "test")
    }
