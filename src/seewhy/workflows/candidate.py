"""Makes a candidate from the champion: the data checked, trained, calibrated, each step once.

    check.json          the data were checked
    champion.safetensors
    recipe.yaml
    run/                the training, resumed where it was interrupted
    model.safetensors   the candidate

A step whose file is there is skipped, so that a retraining that was killed goes on where it was.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seewhy.config.recipe import Recipe, load_recipe, make_recipe, to_yaml
from seewhy.data import Data, Splits, load_data
from seewhy.data.inspect.findings import Finding
from seewhy.data.sources import describe
from seewhy.errors import DataError, UsageError
from seewhy.events import Note, OnEvent
from seewhy.files import write_atomic, write_json
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.ensemble_network import EnsembleNetwork
from seewhy.inference.loading import load
from seewhy.inference.registered import file_of
from seewhy.registry.records import Version
from seewhy.run import Run
from seewhy.text import command_line
from seewhy.workflows.calibrate import calibrate, read_others, require_targets
from seewhy.workflows.check import find_faults
from seewhy.workflows.fine_tuning import fine_tuned
from seewhy.workflows.gate import asked
from seewhy.workflows.train import train

if TYPE_CHECKING:
    from seewhy.registry.registry import Registry


@dataclass(frozen=True)
class DecisionTargets:
    """What the candidate's decision is fitted to, as for `calibrate`."""

    precision: float | None = None
    coverage: float | None = None
    out_of_scope: Data | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """What a candidate is made from: the champion, with its file, a recipe, and data as its rule reads them.

    `others` is the digest of the images of `targets.out_of_scope`; `home` has a folder for each key. `given`
    are the data as a person has named them, where `data` also have served images and are there for a while.
    """

    champion: Bundle
    file: Path
    recipe: Recipe
    data: Data
    splits: Splits
    targets: DecisionTargets
    others: str | None
    home: Path
    given: Data | None = None

    @cached_property
    def identity(self) -> dict[str, str]:
        """The fingerprint of images and corrected labels, and the digests of settings and parent."""
        targets = self.targets
        settings = [
            *(targets.precision, targets.coverage, self.others),
            self.recipe.model_dump(mode="json"),
        ]
        return {
            "data": self.splits.fingerprint,
            "recipe": _digest(settings),
            "parent": self.champion.digest,
        }

    @property
    def key(self) -> str:
        """64 hex digits: what has the same key is the same retraining."""
        return _digest(self.identity)

    @property
    def folder(self) -> Path:
        return self.home / self.key[:16]

    @property
    def source(self) -> str:
        """What it is trained on, in words."""
        if self.given is None:
            return describe(self.data)
        return f"{describe(self.given)} and served images"

    @property
    def candidate(self) -> Path:
        """The file of the candidate."""
        return self.folder / "model.safetensors"


def make_plan(
    registry: "Registry",
    version: Version,
    data: Data,
    recipe: str | Path | None,
    overrides: Mapping[str, Any],
    targets: DecisionTargets,
    home: Path,
    on_event: OnEvent,
) -> Plan:
    """Reads the champion, a version of a registry, its recipe or another one, and the data.

    OOD images are read before a training, too: where there are none, it would be lost.
    """
    champion, file = _opened(registry, version)
    _require_targets(champion, targets, version)
    others = None
    if targets.out_of_scope is not None:
        others = hashlib.sha256(read_others(targets.out_of_scope, champion.rule).data).hexdigest()
    chosen = fine_tuned(_recipe(recipe, overrides, champion), champion, overrides, None)
    splits = load_data(data, chosen.data, rule=champion.rule, on_event=on_event)
    for note in splits.notes:
        on_event(Note(note))
    return Plan(champion, file, chosen, data, splits, targets, others, home)


def make_candidate(plan: Plan, on_event: OnEvent) -> None:
    """Checks the data, trains from the champion, and calibrates. Raises `DataError` for wrong data."""
    _check(plan, on_event)
    run = Run(plan.folder / "run")
    if not run.finished:
        _train(plan, run, on_event)
    if not plan.candidate.exists():
        _calibrate(plan, run, on_event)


def _opened(registry: "Registry", champion: Version) -> tuple[Bundle, Path]:
    """The champion and its file. Raises `UsageError` for a model from which nothing can be trained."""
    named = f"{champion.name}@{champion.version}"
    if champion.kind != "bundle":
        raise UsageError(f"{named} is an ONNX file, from which nothing is trained: add its bundle")
    file = file_of(registry, champion)
    start = bundles.load(file)
    if isinstance(start.network, EnsembleNetwork):
        raise UsageError(f"{named} is an ensemble, which is not retrained: retrain its members")
    return start, file


def _require_targets(start: Bundle, targets: DecisionTargets, champion: Version) -> None:
    require_targets(targets.precision, targets.coverage)
    if start.decision.scope is not None and targets.out_of_scope is None:
        raise UsageError(
            f"{champion.name}@{champion.version} recognises images that are out of distribution, and so must "
            "the new model: give such images by --out-of-scope"
        )


def _recipe(recipe: str | Path | None, overrides: Mapping[str, Any], start: Bundle) -> Recipe:
    if recipe is not None:
        return load_recipe(recipe, overrides)
    own = start.facts.get("recipe")
    if not isinstance(own, Mapping) or "train" not in own:
        raise UsageError("the champion does not say by which recipe it was trained: give --recipe")
    return make_recipe(own, overrides, "of the champion")


def _check(plan: Plan, on_event: OnEvent) -> None:
    """Checks the data as `seewhy data check` does; what it calls an error stops the retraining."""
    record = plan.folder / "check.json"
    if record.exists():
        return
    on_event(Note("checking the data"))
    report = find_faults(plan.splits, on_event)
    wrong = [one for one in report.findings if _stops(one, plan.recipe)]
    if wrong:
        lines = [f"{one.what} ({one.count:,}): {one.advice}" for one in wrong]
        check = command_line("data", "check", describe(plan.data))
        where = f"the data have errors, which `{check}` shows:"
        if plan.given is not None:
            where = "the data, with the served images in train, have errors:"
        raise DataError("\n  ".join([where, *lines]))
    write_json(report, record)


def _stops(finding: Finding, recipe: Recipe) -> bool:
    """Whether a finding is an error, but for images that a training by this recipe leaves out anyway."""
    left_out = {"leak", "group-leak"} | ({"unreadable"} if recipe.data.on_bad == "skip" else set())
    return finding.severity == "error" and finding.kind not in left_out


def _train(plan: Plan, run: Run, on_event: OnEvent) -> None:
    start, recipe = plan.folder / "champion.safetensors", plan.folder / "recipe.yaml"
    write_atomic(start, plan.file.read_bytes())
    write_atomic(recipe, to_yaml(plan.recipe).encode())
    train(plan.data, recipe, out=run.path, init=start, resume=True, on_event=on_event)


def _calibrate(plan: Plan, run: Run, on_event: OnEvent) -> None:
    """Fits the decision; without targets, a candidate answers as large a share of val as the champion."""
    on_event(Note("calibrating"))
    targets, device = plan.targets, plan.recipe.train.device
    coverage = targets.coverage
    chosen = coverage is not None or targets.precision is not None
    if plan.champion.decision.threshold is not None and not chosen:
        with load(plan.file, device=device) as champion, champion.in_full_precision():
            sure = asked(champion, plan.splits.val, on_event).confidence()
        coverage = max(float(np.mean(sure >= plan.champion.decision.threshold)), 1 / len(sure))
        on_event(Note(f"the candidate answers {coverage:.1%} of val, as the champion does"))
    calibrate(
        run.path,
        plan.data,
        out=plan.candidate,
        precision=targets.precision,
        coverage=coverage,
        out_of_scope=targets.out_of_scope,
        device=device,
        on_event=on_event,
    )


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
