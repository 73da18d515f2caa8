"""How a model's answers are given: with honest confidence, "not sure", "out of scope"."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.bundle import Bundle, Decision, Scope
from seewhy.classifier import Classifier, unlabelled
from seewhy.data import ImageSet, sources
from seewhy.data.images.decode import Picture, read
from seewhy.data.sources.folders import scan
from seewhy.errors import DataError, ImageError
from seewhy.evaluation import Predictions
from seewhy.evaluation.calibration import fit_temperature
from seewhy.evaluation.intervals import Interval
from seewhy.evaluation.metrics import labelled, metrics
from seewhy.evaluation.scope import ScopeFit, choose_scope
from seewhy.evaluation.selective import (
    RiskCoverage,
    Threshold,
    risk_coverage,
    threshold_for_coverage,
    threshold_for_precision,
)

Progress = Callable[[int, int], None] | None

MOST_OTHERS = 2_000  # pictures of another kind that are looked at
FEWEST = 20


@dataclass(frozen=True, eq=False)
class Calibration:
    """A decision with what it gives on the validation pictures that it was fitted on."""

    n: int
    temperature: float
    ece_before: Interval
    ece_after: Interval
    nll_before: Interval
    nll_after: Interval
    risk_coverage: RiskCoverage
    threshold: Threshold | None
    scope: ScopeFit | None

    @property
    def decision(self) -> Decision:
        """What the model file keeps of it."""
        scope = None
        if self.scope is not None:
            means = () if self.scope.means is None else self.scope.means.tolist()
            scope = Scope(
                score=self.scope.score,
                threshold=self.scope.threshold,
                means=tuple(map(tuple, means)),
            )
        return Decision(
            temperature=self.temperature,
            threshold=self.threshold.confidence if self.threshold else None,
            scope=scope,
        )


def fit_decision(
    inside: Predictions,
    *,
    precision: float | None = None,
    coverage: float | None = None,
    outside: Predictions | None = None,
) -> Calibration:
    """Fits temperature, threshold and scope to validation predictions.

    `precision` or `coverage` (0 to 1) is what the threshold is to give; `outside` are predictions of
    pictures of another kind. Raises `UsageError` for a precision that cannot be had, and `DataError`
    where there are too few pictures.
    """
    plain = replace(labelled(inside), temperature=1.0)
    tempered = replace(plain, temperature=fit_temperature(plain))
    before, after = metrics(plain, "val").intervals, metrics(tempered, "val").intervals
    sure, correct = tempered.confidence(), tempered.predicted == tempered.labels
    threshold = None
    if precision is not None:
        threshold = threshold_for_precision(sure, correct, precision)
    elif coverage is not None:
        threshold = threshold_for_coverage(sure, correct, coverage)
    scope = None
    if outside is not None:
        scope = choose_scope(tempered, replace(outside, temperature=tempered.temperature))
    return Calibration(
        n=len(tempered),
        temperature=tempered.temperature,
        ece_before=before["ece"],
        ece_after=after["ece"],
        nll_before=before["nll"],
        nll_after=after["nll"],
        risk_coverage=risk_coverage(sure, correct),
        threshold=threshold,
        scope=scope,
    )


def calibrate(
    classifier: Classifier,
    data: str | Path,
    *,
    precision: float | None = None,
    coverage: float | None = None,
    out_of_scope: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    show: Callable[[str], None] = lambda line: None,
    progress: Progress = None,
    loading: Progress = None,
) -> tuple[Bundle, Calibration]:
    """Fits a model's decision on the validation split of `data`; gives a new bundle, to be saved.

    `out_of_scope` is a data set, or any folder of pictures, of another kind. The bundle's parents are
    those of the model and the model itself.
    """
    splits = classifier.splits(data, options, progress=loading)
    for note in splits.notes:
        show(note)
    others = None
    if out_of_scope is not None:
        pictures = _others(classifier, out_of_scope)
        others = classifier.predict_set(pictures, embed=True, progress=progress)
    inside = classifier.predict_set(splits.val, embed=others is not None, progress=progress)
    found = fit_decision(inside, precision=precision, coverage=coverage, outside=others)
    model = classifier.bundle
    if model.decision.threshold is not None and found.decision.threshold is None:
        show("the model's threshold is dropped: --precision or --coverage fits it anew")
    if model.decision.scope is not None and found.decision.scope is None:
        show("the model's scope is dropped: --out-of-scope fits it anew")
    bundle = replace(
        model, decision=found.decision, parents=(*model.parents, model.digest), digest=""
    )
    return bundle, found


def _others(classifier: Classifier, data: str | Path) -> ImageSet:
    """Pictures of another kind as this model takes them, evenly from all there are; labels do not count."""
    folder = Path(data)
    if folder.is_dir() and (names := scan(folder).pictures):
        pictures: Iterable[Picture | ImageError] = (folder / name for name in names)
        total = len(names)
    else:
        reading = sources.find(data).read()
        pictures, total = (record.picture for record in reading.records), reading.total
    stored = []
    for picture in islice(pictures, 0, None, -(-total // MOST_OTHERS)):
        # What cannot be read needs no score.
        with suppress(ImageError):
            if not isinstance(picture, ImageError):
                stored.append(read(picture, classifier.rule))
    if len(stored) < FEWEST:
        raise DataError(
            f"{len(stored)} readable pictures in {data}: {FEWEST} at least tell one kind from another"
        )
    return unlabelled(np.stack(stored), classifier.classes)
