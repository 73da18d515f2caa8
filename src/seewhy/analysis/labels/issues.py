"""Labels that look wrong, by what models say that have not seen the image: confident learning.

How many are wrong is estimated by the confident joint of Northcutt, Jiang and Chuang, "Confident Learning:
Estimating Uncertainty in Dataset Labels", 2021. Which are wrong is ranked by Bayes' rule
(`true_class_chances`); `benchmarks/label_issues.py` compares it with other rankings. Probabilities must be
out of sample (validation, or out of fold): a network believes what it was trained on.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.decision.temperature import fit_temperature
from seewhy.evaluation.predictions import Predictions

Floats = NDArray[np.float64]

RARE = 1e-3  # the least share of wrong labels that is assumed
PSEUDO = 10  # images of each class that are added, with evenly wrong labels
ROUNDS = 5  # of expectation and maximisation
CLEAR = 0.15  # the share of the noise that must follow the classes to be half believed
SURER = 1.1  # networks trained on wrong labels expect some, and so are less sure of the true class


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """Which labels look wrong.

    `rows` (M,) of the images, the surest first; `suggested` (M,) the class that each looks like;
    `scores` (M,) how likely its label is wrong, in [0, 1]. `joint` (K, K) estimates the share of all
    images with each given label (row) and each true one; `noise` is what it has off its diagonal, the
    share of wrong labels (too high where classes are hard to tell apart).
    """

    rows: NDArray[np.int64]
    suggested: NDArray[np.int64]
    scores: Floats
    joint: Floats
    noise: float


def label_issues(labels: NDArray[np.int64], probabilities: Floats) -> LabelIssues:
    """Finds labels that look wrong, from out-of-sample probabilities (N, K).

    As many are named as the joint says are wrong, those first that are likeliest to be; none whose label
    is the likeliest class. Images without a label (-1) are left alone.
    """
    kept = np.flatnonzero(labels >= 0)
    kept_labels, chances = labels[kept], probabilities[kept]
    n, k = chances.shape
    if n == 0:
        nothing = np.empty(0, np.int64)
        return LabelIssues(nothing, nothing, np.empty(0), np.zeros((k, k)), 0.0)
    joint = confident_joint(kept_labels, chances)
    noise = float(1 - np.trace(joint))
    likely = true_class_chances(kept_labels, chances)
    right = likely[np.arange(n), kept_labels]
    likely[np.arange(n), kept_labels] = -1
    # By the chance of being right: that of being wrong is rounded to 1 for the surest.
    order = np.argsort(right, kind="stable")[: round(n * noise)]
    issues = order[chances.argmax(axis=1)[order] != kept_labels[order]]
    # Networks trained on wrong labels expect them; raised to as many as the joint says are wrong.
    expected = float(right.mean())
    raised = noise * expected / max((1 - noise) * (1 - expected), 1e-12)
    odds = raised * (1 - right[issues])
    scores = odds / (odds + right[issues])
    return LabelIssues(kept[issues], likely.argmax(axis=1)[issues], scores, joint, noise)


def true_class_chances(labels: NDArray[np.int64], probabilities: Floats) -> Floats:
    """How likely each class is the true one, (N, K), given the image and that it was labelled so.

    By Bayes' rule, with calibrated and somewhat sharpened probabilities (N, K) and the share of each true
    class's images that get each label: estimated by expectation and maximisation where that explains the
    labels clearly better than wrong labels spread evenly over the classes, else the latter, which ranks by
    the label's probability.
    """
    n, k = probabilities.shape
    answers = Predictions(
        logits=np.log(np.maximum(probabilities, 1e-30)).astype(np.float32),
        labels=labels,
        classes=tuple(map(str, range(k))),
        ids=np.arange(n).astype(str),
    )
    sharpened = replace(answers, temperature=fit_temperature(answers) / SURER)
    shown = np.maximum(sharpened.probabilities(), 1e-300)
    shown[:, np.bincount(labels, minlength=k) == 0] = 0  # a class without labels is never suggested
    even = by_class = _evenly_wrong(0.1, k)
    for _ in range(ROUNDS):
        likely = shown * by_class[labels]
        likely /= likely.sum(axis=1, keepdims=True)
        counts = np.stack([likely[labels == label].sum(axis=0) for label in range(k)])
        noise = max(float(1 - np.trace(counts) / n), RARE)
        even = _evenly_wrong(noise, k)
        by_class = (counts + PSEUDO * even) / (counts.sum(axis=0) + PSEUDO)
    # Less half of what so many free shares gain by chance (Wilks 1938), since PSEUDO holds these back, of
    # what is gained where the class determines the wrong label.
    gain = _log_likelihood(shown, by_class, labels) - _log_likelihood(shown, even, labels)
    chance = k * (k - 1) / (4 * n)
    clear = max(gain - chance, 0) / (noise * np.log(max(k, 2)))
    trusted = clear**2 / (clear**2 + CLEAR**2)
    likely = shown * (trusted * by_class + (1 - trusted) * even)[labels]
    return likely / likely.sum(axis=1, keepdims=True)


def _log_likelihood(shown: Floats, given: Floats, labels: NDArray[np.int64]) -> float:
    """The mean log of the probability of the labels, by `given` (K, K), the share of each class's labels."""
    return float(np.log((shown * given[labels]).sum(axis=1)).mean())


def _evenly_wrong(share: float, k: int) -> Floats:
    """The chance of each label (row) for each true class (column), where wrong ones are spread evenly."""
    return np.full((k, k), share / max(k - 1, 1)) + np.eye(k) * (1 - share - share / max(k - 1, 1))


def confident_joint(labels: NDArray[np.int64], probabilities: Floats) -> Floats:
    """The share of images with each given label (row) and each true one (column), (K, K).

    An image counts for the likeliest class among those of which it is surer than images so labelled
    are on average; for none where there is no such class. Rows are then scaled to the labels' shares.
    """
    n, k = probabilities.shape
    counts = np.bincount(labels, minlength=k)
    sums = np.bincount(labels, probabilities[np.arange(n), labels], minlength=k)
    # A class that no image is labelled with has no threshold, and is never suggested.
    thresholds = np.divide(sums, counts, out=np.full(k, np.inf), where=counts > 0)
    confident = np.where(probabilities >= thresholds - 1e-6, probabilities, -1.0)
    true = confident.argmax(axis=1)
    counted = confident[np.arange(n), true] >= 0
    cells = labels[counted] * k + true[counted]
    joint = np.bincount(cells, minlength=k * k).reshape(k, k).astype(np.float64)
    # A class none of whose images counts is taken to be labelled rightly.
    empty = joint.sum(axis=1) == 0
    joint[empty, empty] = 1
    joint *= (counts / joint.sum(axis=1))[:, None]
    return joint / n
