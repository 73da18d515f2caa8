"""Which of several smaller models may replace one: what each loses and gains, measured on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from seewhy.evaluation.metrics import metrics
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import Interval
from seewhy.evaluation.stats.significance import mcnemar_interval
from seewhy.inference.onnx import OnnxPredictor
from seewhy.inference.speed import Timed, best_rates, seconds_of_one

GAIN = 0.9  # of the bytes or the time of the reference; above it nothing is gained beyond noise
ROUNDS = 200


@dataclass(frozen=True)
class Speed:
    """Milliseconds for one image (median), and images per second at the best batch.

    Of prepared arrays, by one thread.
    """

    p50_ms: float
    images_per_second: float
    batch: int


@dataclass(frozen=True)
class Candidate:
    """A model that may replace another, the reference, measured on the same labelled images.

    `drop` is the reference's accuracy less its own, on the same images (Agresti and Min 2005); `agreement`
    the share of images on which both answer the same class; `worst_class` the class that loses most recall,
    and how much. `rejected` says why it should not replace the reference, None if it may; `file` is where it
    was written, None if it was not.
    """

    name: str
    accuracy: Interval
    drop: Interval
    agreement: float
    worst_class: tuple[str, float]
    bytes: int
    parameters: int
    speed: Speed
    rejected: str | None
    file: Path | None = None


def measure_speeds(predictors: Sequence[OnnxPredictor]) -> list[Speed]:
    """Times models by turns, so that they share any load of the machine."""
    models = [_timed(predictor.with_threads(1).session, predictor) for predictor in predictors]
    singles = seconds_of_one(models, ROUNDS)
    rates = best_rates(models, singles)
    return [Speed(1000 * median(one), *rate) for one, rate in zip(singles, rates, strict=True)]


def _timed(session: Any, predictor: OnnxPredictor) -> Timed:
    return Timed(lambda images: session.run(["logits"], {"images": images}), predictor.rule.size)


def judge(
    names: Sequence[str],
    models: Sequence[OnnxPredictor],
    predictions: Sequence[Predictions],
    max_drop: float,
) -> list[Candidate]:
    """Measures models on the same labelled images; the first is the reference.

    A model that loses more than `max_drop` (a share of the images), or is neither smaller nor faster by 10%,
    is rejected.
    """
    speeds = measure_speeds(models)
    first, labels = predictions[0], predictions[0].labels
    assert labels is not None
    right = [one.predicted == labels for one in predictions]
    results = [metrics(one, "val") for one in predictions]
    recalls = [np.array([row.recall for row in one.per_class.values()]) for one in results]
    candidates: list[Candidate] = []
    for place, (name, model, own) in enumerate(zip(names, models, predictions, strict=True)):
        lost = recalls[0] - recalls[place]
        worst = int(np.nanargmax(lost))
        alone = right[0] & ~right[place], right[place] & ~right[0]
        drop = mcnemar_interval(int(alone[0].sum()), int(alone[1].sum()), len(labels))
        size, speed = len(model.file.data), speeds[place]
        reasons = _faults(drop.value, max_drop, candidates[0], size, speed) if place else None
        candidates.append(
            Candidate(
                name=name,
                accuracy=results[place].accuracy,
                drop=drop,
                agreement=float((own.predicted == first.predicted).mean()),
                worst_class=(own.classes[worst], float(lost[worst])),
                bytes=size,
                parameters=model.parameters,
                speed=speed,
                rejected=reasons,
            )
        )
    return candidates


def _faults(
    drop: float, max_drop: float, reference: Candidate, size: int, speed: Speed
) -> str | None:
    points, most = round(100 * drop, 6), round(100 * max_drop, 6)  # 0.7 / 100 is below 7 / 1,000
    if points > most:
        return f"loses {points:.2f} points, more than {most:g}"
    smaller = size <= GAIN * reference.bytes
    faster = speed.p50_ms <= GAIN * reference.speed.p50_ms
    return None if smaller or faster else "neither smaller nor faster"
