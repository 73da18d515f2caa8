"""How reliable a model's confidence is, on right and on wrong predictions."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.decision.threshold import RiskCoverage, risk_coverage
from seewhy.evaluation.metrics import Reliability, labelled, reliability
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import Interval, exact, mean_of_shares

Floats = NDArray[np.float64]

SURE = 0.9  # a mistake above this confidence is a confident one
BINS = 20


@dataclass(frozen=True, eq=False)
class Confidence:
    """Confidence after temperature, of right and of wrong answers.

    `right`, `wrong` mean confidences (NaN where there is none of the kind); `least_right` and
    `most_wrong` the extremes, with the ids of their images; `sure_mistakes` how many mistakes are
    above 90%, and `sure_mistake_rate` their share of all images. `edges` (21,), `right_counts` and
    `wrong_counts` (20,) histograms; `reliability` with and `untempered` without the temperature.
    """

    n: int
    temperature: float
    right: Interval
    wrong: Interval
    least_right: float
    least_right_id: str
    most_wrong: float
    most_wrong_id: str
    sure_mistakes: int
    sure_mistake_rate: Interval
    edges: Floats
    right_counts: NDArray[np.int64]
    wrong_counts: NDArray[np.int64]
    reliability: Reliability
    untempered: Reliability
    risk_coverage: RiskCoverage


def confidence(predictions: Predictions) -> Confidence:
    """Measures how reliable the confidence is. Raises `DataError` when no image has a label."""
    kept = labelled(predictions)
    sure, correct = kept.confidence(), kept.predicted == kept.labels
    edges = np.linspace(0, 1, BINS + 1)
    mistakes = int((~correct & (sure > SURE)).sum())
    least_right, least_right_id = _extreme(kept, np.where(correct, -sure, -np.inf))
    most_wrong, most_wrong_id = _extreme(kept, np.where(correct, -np.inf, sure))
    return Confidence(
        n=len(kept),
        temperature=kept.temperature,
        right=mean_of_shares(sure[correct]),
        wrong=mean_of_shares(sure[~correct]),
        least_right=-least_right,
        least_right_id=least_right_id,
        most_wrong=most_wrong,
        most_wrong_id=most_wrong_id,
        sure_mistakes=mistakes,
        sure_mistake_rate=exact(mistakes, len(kept)),
        edges=edges,
        right_counts=np.histogram(sure[correct], edges)[0],
        wrong_counts=np.histogram(sure[~correct], edges)[0],
        reliability=reliability(sure, correct),
        untempered=reliability(replace(kept, temperature=1.0).confidence(), correct),
        risk_coverage=risk_coverage(sure, correct),
    )


def _extreme(predictions: Predictions, score: Floats) -> tuple[float, str]:
    """The highest score and its image's id; NaN and "" where no image counts."""
    row = int(score.argmax())
    value = float(score[row])
    return (value, str(predictions.ids[row])) if np.isfinite(value) else (np.nan, "")
