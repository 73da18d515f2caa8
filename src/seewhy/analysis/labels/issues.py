"""Labels that look wrong, by what models say that have not seen the image: confident learning.

The confident joint is that of Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in
Dataset Labels", 2021. Images are ranked by Bayes' rule with the noise that it estimates, where the paper
prunes each pair of classes by margins; `benchmarks/label_issues.py` compares the two. Probabilities must be
out of sample (validation, or out of fold): a network believes what it was trained on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


RARE = 1e-3  # the least chance of one label in place of another: the joint has zeros by chance


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
    # How likely each class is the true one, given the image and that it was labelled so.
    of_true = np.divide(joint, joint.sum(0), out=np.zeros((k, k)), where=joint.sum(0) > 0)
    likely = chances * (of_true[kept_labels] + RARE)
    likely /= likely.sum(axis=1, keepdims=True)
    scores = 1 - likely[np.arange(n), kept_labels]
    likely[np.arange(n), kept_labels] = -1
    order = np.argsort(-scores, kind="stable")[: round(n * noise)]
    issues = order[chances.argmax(axis=1)[order] != kept_labels[order]]
    return LabelIssues(kept[issues], likely.argmax(axis=1)[issues], scores[issues], joint, noise)


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
