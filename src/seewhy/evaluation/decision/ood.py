"""Out-of-distribution (OOD) detection: whether an image is of the kind that a model was trained on.

For all scores, higher is more familiar. `probability` is the confidence (Hendrycks and Gimpel 2017);
`max_logit` the largest logit (Hendrycks et al. 2022); `energy` the log of the sum of the exponentials
of the logits (Liu et al. 2020); `similarity` the cosine between the image's embedding and the nearest
mean embedding of a class. Which serves best depends on the network and on what else it is shown, so
`choose_ood_score` measures them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.ranking import ClassCurves, Ranked, curves
from seewhy.evaluation.stats.bootstrap import area_intervals
from seewhy.evaluation.stats.intervals import Interval, exact

Floats = NDArray[np.float64]
Score = Literal["probability", "max_logit", "energy", "similarity"]

KEPT = 0.95  # of the familiar images are still taken for such
LEAST_AREA = 0.7  # ROC area of a score that is of use; 0.5 is chance
MOST_NUMBERS = 20_000  # in the class means that a model file carries


@dataclass(frozen=True, eq=False)
class OodFit:
    """The score that tells familiar images from others best, with its threshold.

    `areas` are the ROC areas by which it was chosen, on one half of the other images; `auroc`, `curve`,
    `kept` (the share of the familiar that is accepted) and `caught` (the share of the others that
    falls out) are measured on the other half. `means` (K, D) unit vectors, or None for other scores.
    """

    score: Score
    threshold: float
    means: Floats | None
    areas: dict[Score, float]
    auroc: Interval
    curve: ClassCurves
    kept: Interval
    caught: Interval

    @property
    def fault(self) -> str:
        """Why the score is of no use; "" if it tells the others apart, also at its threshold.

        By chance the threshold detects as many of the others as of the familiar images.
        """
        area, caught = self.auroc.value, self.caught.value
        if area < LEAST_AREA:
            return (
                f"has a ROC area of {area:.2f} (0.5 is chance, {LEAST_AREA} is needed): it hardly tells "
                "these images from those of validation"
            )
        if caught <= 1 - KEPT:
            return (
                f"detects {caught:.1%} of these images at the threshold that accepts {KEPT:.0%} of "
                f"validation (more than {1 - KEPT:.0%} is needed), though its ROC area is {area:.2f}: some "
                "validation images look less familiar than nearly all of these"
            )
        return ""


def ood_scores(score: Score, predictions: Predictions, means: Floats | None = None) -> Floats:
    """How familiar each image looks, (N,); NaN for an image that could not be read."""
    if score == "probability":
        return predictions.confidence()
    logits = predictions.logits.astype(np.float64)
    highest = logits.max(axis=1)
    if score == "max_logit":
        return highest
    if score == "energy":
        return np.asarray(highest + np.log(np.exp(logits - highest[:, None]).sum(axis=1)))
    assert means is not None and predictions.embeddings is not None, "similarity needs embeddings"
    return np.asarray((_units(predictions.embeddings) @ means.T).max(axis=1))


def class_means(predictions: Predictions) -> Floats | None:
    """The mean direction of each class's embeddings, unit vectors (K, D); None where there are none.

    A class without images has the zero vector, which nothing is near.
    """
    embeddings, k = predictions.embeddings, len(predictions.classes)
    if embeddings is None or predictions.labels is None:
        return None
    sums = [_units(embeddings[predictions.labels == label]).sum(0) for label in range(k)]
    return np.round(_units(np.stack(sums)), 4)


def choose_ood_score(
    inside: Predictions,
    outside: Predictions,
    seed: int = 0,
    candidates: Sequence[Score] = get_args(Score),
) -> OodFit:
    """Measures each of these scores on familiar labelled images against others, and keeps the best.

    Chosen and given its threshold on one half of both, at which 95% of the familiar are kept; measured
    on the other half. Two images of each at least. Each class of the familiar is halved, and similarity is no
    candidate if none of them then has two images, or if its means are more numbers than a model file should
    carry.
    """
    assert inside.labels is not None
    rng = np.random.default_rng(seed)
    first, second = _half(inside.labels, rng), _half(np.zeros(len(outside), np.int64), rng)
    means = class_means(inside.take(first))
    if means is not None and means.size > MOST_NUMBERS:
        means = None
    twice = np.bincount(inside.labels[first]).max() > 1
    similar = means is not None and outside.embeddings is not None and twice
    names = [name for name in candidates if name != "similarity" or similar]

    def scores(name: Score, half: bool) -> tuple[Floats, Floats]:
        known, others = inside.take(first == half), outside.take(second == half)
        seen = half and name == "similarity"  # the means are of these very images
        familiar = _left_out_similarity(known) if seen else ood_scores(name, known, means)
        return familiar, ood_scores(name, others, means)

    areas = {name: _area(*scores(name, True)) for name in names}
    best = max(names, key=lambda name: areas[name])
    threshold = float(np.quantile(scores(best, True)[0], 1 - KEPT))
    familiar, other = scores(best, False)
    both = np.concatenate([familiar, other])
    own = np.arange(len(both)) < len(familiar)
    return OodFit(
        score=best,
        threshold=threshold,
        means=means if best == "similarity" else None,
        areas=areas,
        auroc=area_intervals(both[:, None], own[:, None]).auroc[0],
        curve=curves(both, own),
        kept=exact(int((familiar >= threshold).sum()), len(familiar)),
        caught=exact(int((other < threshold).sum()), len(other)),
    )


def _half(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    """A random half of the images, (N,), which has half of each class."""
    order = rng.permutation(len(labels))
    chosen = np.zeros(len(labels), bool)
    chosen[order[np.argsort(labels[order], kind="stable")][::2]] = True
    return chosen


def _left_out_similarity(predictions: Predictions) -> Floats:
    """The similarity of each image to the means of the classes without itself.

    An image that is alone in its class is left out: without itself its class has no mean.
    """
    assert predictions.embeddings is not None and predictions.labels is not None
    units, labels = _units(predictions.embeddings), predictions.labels
    sums = np.zeros((len(predictions.classes), units.shape[1]))
    np.add.at(sums, labels, units)
    similarity = units @ _units(sums).T
    similarity[np.arange(len(units)), labels] = (units * _units(sums[labels] - units)).sum(1)
    return np.asarray(similarity.max(axis=1)[np.bincount(labels)[labels] > 1])


def _area(familiar: Floats, other: Floats) -> float:
    both = np.concatenate([familiar, other])
    ranking = Ranked.of(both, np.arange(len(both)) < len(familiar))
    return float(ranking.areas(np.ones((len(both), 1)))[0, 0])


def _units(vectors: NDArray[np.floating]) -> Floats:
    """Vectors (N, D) of length 1; the zero vector stays."""
    vectors = vectors.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
