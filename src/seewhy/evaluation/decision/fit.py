"""A decision fitted to validation predictions, and what it gives on them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

from seewhy.evaluation.decision.ood import OodFit, Score, choose_ood_score
from seewhy.evaluation.decision.record import Decision, Scope
from seewhy.evaluation.decision.temperature import fit_temperature
from seewhy.evaluation.decision.threshold import (
    RiskCoverage,
    Threshold,
    risk_coverage,
    threshold_for_coverage,
    threshold_for_precision,
)
from seewhy.evaluation.metrics import (
    calibration_interval,
    labelled,
    log_loss_interval,
    reliability,
)
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import Interval


@dataclass(frozen=True, eq=False)
class Calibration:
    """A decision with what it gives on the validation images that it was fitted on."""

    n: int
    temperature: float
    ece_before: Interval
    ece_after: Interval
    nll_before: Interval
    nll_after: Interval
    risk_coverage: RiskCoverage
    threshold: Threshold | None
    scope: OodFit | None

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
    scores: Sequence[Score] = get_args(Score),
) -> Calibration:
    """Fits temperature, threshold and scope to validation predictions.

    `precision` or `coverage` (0 to 1) is what the threshold is to give; `outside` are predictions of
    images of another kind, `scores` those that may recognise them. Raises `UsageError` for a precision that
    cannot be had, and `DataError` where there are too few images.
    """
    plain = replace(labelled(inside), temperature=1.0)
    tempered = replace(plain, temperature=fit_temperature(plain))
    sure, correct = tempered.confidence(), tempered.predicted == tempered.labels
    threshold = None
    if precision is not None:
        threshold = threshold_for_precision(sure, correct, precision)
    elif coverage is not None:
        threshold = threshold_for_coverage(sure, correct, coverage)
    scope = None
    if outside is not None:
        others = replace(outside, temperature=tempered.temperature)
        scope = choose_ood_score(tempered, others, candidates=scores)
    return Calibration(
        n=len(tempered),
        temperature=tempered.temperature,
        ece_before=calibration_interval(plain, reliability(plain.confidence(), correct)),
        ece_after=calibration_interval(tempered, reliability(sure, correct)),
        nll_before=log_loss_interval(plain),
        nll_after=log_loss_interval(tempered),
        risk_coverage=risk_coverage(sure, correct),
        threshold=threshold,
        scope=scope,
    )
