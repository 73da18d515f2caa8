"""Calibrates a model, with the answers "not sure" and "out of distribution" (OOD), into a new model file."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np

from seewhy.config.input_rule import InputRule
from seewhy.data import Data, sources
from seewhy.data.images.decode import ImageLike, read
from seewhy.data.sources.folders import scan
from seewhy.errors import DataError, ImageError, UsageError
from seewhy.evaluation.decision.fit import Calibration, fit_decision
from seewhy.evaluation.decision.ood import OodFit, Score
from seewhy.evaluation.decision.temperature import unfitted
from seewhy.evaluation.headline import headline
from seewhy.evaluation.metrics import metrics
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path, require_new, require_writable, to_json, write_atomic
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.classifier import Classifier, unlabelled
from seewhy.inference.ensemble_network import EnsembleNetwork
from seewhy.inference.forward import full_precision
from seewhy.inference.loading import opened
from seewhy.inference.pytorch import PyTorchPredictor
from seewhy.plots.analysis import ood_curve, risk_coverage_curve
from seewhy.text import counted
from seewhy.workflows.evaluate import Model, part_of, read_splits

MOST_OTHERS = 2_000  # OOD images that are used
FEWEST = 20


@dataclass(frozen=True, eq=False)
class CalibratedModel:
    """The new model file, its digest, and the results of its decision on the validation images."""

    file: Path
    digest: str
    calibration: Calibration


def calibrate(
    model: Model,
    data: Data,
    *,
    out: str | Path,
    precision: float | None = None,
    coverage: float | None = None,
    out_of_scope: Data | None = None,
    figures: str | Path | None = None,
    force: bool = False,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> CalibratedModel:
    """Fits a model's decision on the validation split of `data`, and writes it to a new file.

    `precision` (0 to 1) is the required accuracy of the answers, `coverage` the share of the images to
    answer; one of them sets the threshold. `out_of_scope` is a data set or a folder of out-of-distribution
    images; a score whose ROC area against validation images is below 0.7, or whose threshold detects no more
    than 5% of them, is refused, unless `force`.
    `figures` is a folder for plots. The new bundle's parents are the model and the model's parents. Raises
    `UsageError` if `out` exists, for a precision that cannot be reached, and for several models at once.
    """
    require_targets(precision, coverage)
    file = named_path(out)
    bundles.require_name(file)
    require_new(file)
    if figures is not None:
        figures = named_path(figures)
        require_writable(figures)
    with opened(model, device=device) as classifier:
        bundle = _bundle(classifier)
        splits = read_splits(classifier, data, options, on_event)
        others = None
        with full_precision():
            if out_of_scope is not None:
                images = read_others(out_of_scope, classifier.rule)
                unseen = unlabelled(images, classifier.classes)
                others = classifier.predict_set(unseen, embed=True, on_event=on_event)
            val = part_of(splits, "val")
            inside = classifier.predict_set(val, embed=others is not None, on_event=on_event)
    # The logits of an ensemble are log probabilities, of which the other scores tell nothing more.
    one = not isinstance(bundle.network, EnsembleNetwork)
    scores = get_args(Score) if one else ("probability",)
    calibration = fit_decision(
        inside, precision=precision, coverage=coverage, outside=others, scores=scores
    )
    if (reason := unfitted(inside)) is not None:
        on_event(Note(f"the temperature stays 1: {reason}"))
    if calibration.scope is not None:
        _require_telling(calibration.scope, force, on_event)
    _report_dropped(bundle, calibration, on_event)
    facts, parents = dict(bundle.facts), (*bundle.parents, bundle.digest)
    if splits.fingerprint == bundle.fingerprint:
        tempered = metrics(replace(inside, temperature=calibration.temperature), "val")
        facts["metrics"] = {"val": headline(to_json(tempered)).model_dump(mode="json")}
    fitted = replace(bundle, decision=calibration.decision, facts=facts, parents=parents, digest="")
    digest = bundles.save(fitted, file).digest
    if figures is not None:
        _draw(calibration, figures)
    return CalibratedModel(file, digest, calibration)


def require_targets(precision: float | None, coverage: float | None) -> None:
    """Raises `UsageError` for two targets of the threshold, or one that is no share."""
    if precision is not None and coverage is not None:
        raise UsageError("--precision and --coverage both set the threshold: give one of them")
    for flag, target in (("--precision", precision), ("--coverage", coverage)):
        if target is not None and not 0 <= target <= 1:
            raise UsageError(f"{flag} {target:g}: expected a share from 0 to 1")


def _bundle(classifier: Classifier) -> Bundle:
    if not isinstance(classifier.predictor, PyTorchPredictor):
        raise UsageError(f"only a bundle can be calibrated: {classifier.predictor.no_network}")
    return classifier.predictor.bundle


def _require_telling(scope: OodFit, force: bool, on_event: OnEvent) -> None:
    """Refuses an OOD score that hardly tells the images apart; with `force`, says so."""
    if not scope.fault:
        return
    finding = f"the best OOD score, {scope.score}, {scope.fault}"
    if not force:
        raise UsageError(f"{finding}. Leave --out-of-scope out, or accept it by --force")
    on_event(Note(finding))


def _report_dropped(bundle: Bundle, calibration: Calibration, on_event: OnEvent) -> None:
    before, after = bundle.decision, calibration.decision
    if before.threshold is not None and after.threshold is None:
        on_event(
            Note("the model's threshold is dropped: fit a new one with --precision or --coverage")
        )
    if before.scope is not None and after.scope is None:
        on_event(
            Note(
                "the model's out-of-distribution (OOD) score is dropped: fit a new one with --out-of-scope"
            )
        )


def _draw(calibration: Calibration, folder: Path) -> None:
    write_atomic(folder / "risk-coverage.png", risk_coverage_curve(calibration.risk_coverage))
    if calibration.scope is not None:
        write_atomic(folder / "scope.png", ood_curve(calibration.scope))


def read_others(data: Data, rule: InputRule) -> np.ndarray:
    """OOD images by a model's input rule, uint8 (N, S, S, 3), evenly spaced among all; labels are ignored.

    Raises `DataError` for too few.
    """
    folder = named_path(data) if isinstance(data, str | Path) else None
    if folder is not None and folder.is_dir() and (names := scan(folder).images):
        images: Iterable[ImageLike | ImageError] = (folder / name for name in names)
        total = len(names)
    else:
        reading = sources.find(data).read()
        images, total = (record.image for record in reading.records), reading.total
    stored = []
    for image in islice(images, 0, None, -(-total // MOST_OTHERS)):
        with suppress(ImageError):  # unreadable images are left out
            if not isinstance(image, ImageError):
                stored.append(read(image, rule))
    if len(stored) < FEWEST:
        raise DataError(
            f"{counted(len(stored), 'readable image')} in {sources.describe(data)}: at least "
            f"{FEWEST} are needed"
        )
    return np.stack(stored)
