"""Would more images help? Runs on growing parts of the training images, and the law through them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.evaluation.stats.intervals import Interval
from seewhy.evaluation.stats.summary import Summary, t_quantile
from seewhy.run import Run


@dataclass(frozen=True)
class Share:
    """Runs on a part of the training images, and the metric that they reached on validation."""

    share: float
    pictures: int
    runs: tuple[Run, ...]
    score: Summary


@dataclass(frozen=True)
class PowerLaw:
    """The error as `scale * images ** -exponent`, fitted by least squares to the logs of all runs.

    `at` gives the score, 1 less the error, with the 95% interval of the fitted mean. The interval
    knows the scatter of the runs, not that curves flatten in the end: far out it is too sure.
    """

    scale: float
    exponent: Interval
    scatter: float  # std of the log error about the line
    runs: int
    centre: float  # mean log of the images
    spread: float  # sum of squares about it

    def at(self, count: float) -> Interval:
        x = log(count)
        mean = log(self.scale) - self.exponent.value * x
        half = t_quantile(self.runs - 2) * self.scatter
        half *= sqrt(1 / self.runs + (x - self.centre) ** 2 / self.spread)
        low, value, high = (
            1 - exp(min(log_error, 0)) for log_error in (mean + half, mean, mean - half)
        )
        return Interval(value, low, high)  # no error is above 1


@dataclass(frozen=True)
class LearningCurve:
    """How a metric, between 0 and 1, grows with the number of images; `law` is None below three runs."""

    path: Path
    metric: str
    shares: tuple[Share, ...]
    law: PowerLaw | None

    @property
    def gain(self) -> float:
        """What the last step brought, on average."""
        return self.shares[-1].score.mean - self.shares[-2].score.mean

    @property
    def more_helps(self) -> bool:
        """Whether the law rises for certain (95%), and its last step too."""
        return self.law is not None and self.law.exponent.low > 0 and self.gain > 0

    def json_form(self) -> dict[str, Any]:
        """All of it, as stored in `learning_curve.json`."""
        return {"sentence": self.sentence, "more_helps": self.more_helps, "curve": vars(self)}

    @property
    def verdict(self) -> str:
        return "would help" if self.more_helps else "are not shown to help"

    @property
    def sentence(self) -> str:
        """Whether more images would help, in a sentence."""
        before, last = self.shares[-2:]
        text = (
            f"More images {self.verdict}: from {before.pictures:,} to {last.pictures:,} the {self.metric} "
            f"changed by {100 * self.gain:+.1f} points"
        )
        if self.law is None:
            return f"{text}; use --seeds 3 for a confidence interval."
        twice = self.law.at(2 * last.pictures)
        return (
            f"{text}, and the fitted law puts twice as many at {twice.value:.1%} "
            f"(95% interval {twice.low:.1%} to {twice.high:.1%})."
        )


def fit(shares: Sequence[Share], validated: int) -> PowerLaw | None:
    """The power law through all runs; None below three, or where all parts are of one size.

    `validated` is the number of validation images: half a mistake is added, so that none at all
    still has a log.
    """
    points = [(one.pictures, score) for one in shares for score in one.score.values]
    if len(points) < 3 or len({count for count, _ in points}) < 2:
        return None
    counts, scores = np.array(points).T
    x = np.log(counts)
    y = np.log(((1 - scores) * validated + 0.5) / (validated + 1))
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    rest = y - y.mean() - slope * (x - x.mean())
    scatter = float(np.sqrt((rest**2).sum() / (len(x) - 2)))
    half = t_quantile(len(x) - 2) * scatter / sqrt(spread)
    return PowerLaw(
        scale=float(np.exp(y.mean() - slope * x.mean())),
        exponent=Interval(-slope, -slope - half, -slope + half),
        scatter=scatter,
        runs=len(x),
        centre=float(x.mean()),
        spread=spread,
    )
