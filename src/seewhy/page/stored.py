"""The stored results of a run, read once for a report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.analysis import diagnostics
from seewhy.config.training import TrainConfig
from seewhy.errors import UsageError
from seewhy.events import Diagnostic, RunStarted, StoredEvent
from seewhy.inference.container import read_header
from seewhy.run import Run
from seewhy.text import escape_cell


@dataclass(frozen=True)
class Stored:
    """The results of one run, as stored.

    `analysis` has the files of analysis/ by name ("mistakes", ...), of the validation split and of no split;
    `test_analysis` those of the test split; `counts` the images per class, by split. If the run stored no
    events, `diagnostics` are computed from its history and counts, and `derived` is true.
    """

    path: Path
    config: dict[str, Any]
    history: list[dict[str, float]]
    metrics: dict[str, Any]
    environment: dict[str, Any]
    analysis: dict[str, Any]
    counts: dict[str, dict[str, int]]
    bad_files: int
    diagnostics: tuple[Diagnostic, ...]
    model: dict[str, Any]
    test_analysis: dict[str, Any] = field(default_factory=dict)
    derived: bool = False
    test_readings: int = 0

    @property
    def val(self) -> dict[str, Any]:
        """The metrics of the validation split."""
        metrics: dict[str, Any] = self.metrics["val"]
        return metrics

    @property
    def keep(self) -> str:
        """Which epoch's weights are the model's: the "best" or the "last"."""
        return str(self.config["recipe"]["train"].get("keep", "best"))

    @property
    def recalls(self) -> dict[str, float]:
        """The recall of each class that has validation images."""
        rows = self.val["per_class"].items()
        return {name: row["recall"] for name, row in rows if row["recall"] is not None}

    @property
    def classes(self) -> list[str]:
        return list(self.val["classes"])


def read_stored(run: Run) -> Stored:
    """Reads a finished run. Raises `UsageError`, which says what to do, if the run is not finished."""
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
    counts = _counts(run, list(run.metrics["val"]["classes"]))
    events = run.events
    return Stored(
        path=run.path,
        config=config,
        history=[row for row in history if not isinstance(epochs, int) or row["epoch"] <= epochs],
        metrics=run.metrics,
        environment=run.environment,
        analysis=_analysis(run, "val", ""),
        test_analysis=_analysis(run, "test"),
        counts=counts,
        bad_files=len(run.rows("bad_files.csv")),
        diagnostics=_derived(run, counts) if events is None else _latest(events),
        test_readings=run.test_readings,
        derived=events is None,
        model={
            "digest": header.digest,
            "megabytes": header.size / 1e6,
            "network": header.metadata.architecture.name,
            "size": header.metadata.rule.size,
            "views": header.metadata.views,
            "fingerprint": header.metadata.fingerprint,
            "threshold": header.metadata.decision.threshold,
        },
    )


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


def _derived(run: Run, counts: Mapping[str, Mapping[str, int]]) -> tuple[Diagnostic, ...]:
    """The diagnostics of a run that stored no events, from its history and images per class, by split."""
    train, val = (np.array(list(counts[split].values())) for split in ("train", "val"))
    config = TrainConfig(**run.config["recipe"]["train"])
    return tuple(diagnostics.in_run(run.history, train, val, list(counts["train"]), config))


def _analysis(run: Run, *splits: str) -> dict[str, Any]:
    """The parts of analysis/ of these splits, by name; the split of a file without one is ""."""
    parts = {}
    for path in sorted((run.path / "analysis").glob("*.json")):
        name, _, split = path.stem.partition("-")
        if split in splits:
            parts[name] = run.record(f"analysis/{path.name}")
    return parts


def _counts(run: Run, classes: list[str]) -> dict[str, dict[str, int]]:
    """Images per class, by split, from splits.csv."""
    rows = run.rows("splits.csv", "split", "label")
    tally = Counter((row["split"], row["label"]) for row in rows)
    return {
        split: {name: tally[split, escape_cell(name)] for name in classes}
        for split in ("train", "val", "test")
    }
