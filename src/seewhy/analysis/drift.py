"""Whether new images differ from those that a model was judged on, and what that may cost.

Two tests look at every image without its label. One compares the probabilities of each class (black box
shift detection, Lipton 2018, arXiv:1802.03916; by Kolmogorov and Smirnov), the other the embeddings (maximum
mean discrepancy, Gretton 2012, with a permutation test). Their p-values are corrected for being two. Rabanser
(2019, arXiv:1810.11953) compares such tests on images.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import DriftError
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import Interval, exact, exact_bounds
from seewhy.evaluation.stats.significance import holm
from seewhy.text import counted

Floats = NDArray[np.float64]

FEWEST = 10  # images of a window
FEWEST_TO_TELL_NEW = 200  # images of the reference
SURE = 0.01  # corrected p-value below which images are said to differ
PERMUTATIONS = 999
MOST = 1000  # images of a side whose embeddings are compared: at most a second, however large the reference
NEIGHBOUR = 5  # the place of the nearest reference image whose distance tells how new an image is
NEW = 0.99  # share of the reference's own images that are nearer to each other than a new one is


@dataclass(frozen=True)
class DriftTest:
    """A test: of `classes` (probabilities) or `embeddings`; its p-value, and the one corrected for both."""

    name: Literal["classes", "embeddings"]
    statistic: float
    p: float
    corrected: float


@dataclass(frozen=True)
class ClassShare:
    """How often a class is predicted, in the reference and in the window, with 95% intervals.

    `moved` if the probabilities of this class alone tell the two apart, corrected for all classes.
    """

    reference: Interval
    window: Interval
    p: float
    moved: bool


@dataclass(frozen=True, eq=False)
class Drift:
    """A window of images compared with a reference.

    `drifted` if a corrected p-value is below `SURE`. `confidence` is the mean of the reference and of the
    window. `accuracy` is that of the reference and `expected` an estimate of the window's, to be read as "at
    most"; both are None where the reference has no labels. `new` are the rows of the window's images that are
    farther from the reference than its own are from each other, the farthest first, and `distances` how far
    they are, in units of that limit; there are none for a reference of fewer than `FEWEST_TO_TELL_NEW`.
    `errors` counts images of the window that could not be read, and are left out.
    """

    reference: int
    window: int
    tests: tuple[DriftTest, ...]
    classes: dict[str, ClassShare]
    confidence: tuple[float, float]
    accuracy: Interval | None
    expected: Interval | None
    new: tuple[int, ...]
    distances: tuple[float, ...]
    ids: tuple[str, ...]
    errors: int = 0

    @property
    def drifted(self) -> bool:
        """Whether the window differs by more than chance."""
        return any(test.corrected < SURE for test in self.tests)

    @property
    def worse(self) -> bool | None:
        """Whether even the accuracy to expect "at most" is below the reference's; None without labels."""
        if self.accuracy is None or self.expected is None:
            return None
        return self.expected.high < self.accuracy.value

    def json_form(self) -> dict[str, Any]:
        """All fields, and what follows from them."""
        told = {"drifted": self.drifted, "worse": self.worse, "untold": self.untold}
        return {field.name: getattr(self, field.name) for field in fields(self)} | told

    @property
    def untold(self) -> str | None:
        """Why `new` is empty whatever the images are; None where the reference can tell."""
        if self.reference >= FEWEST_TO_TELL_NEW:
            return None
        return (
            "which images are unlike any before is not said: that takes a reference of "
            f"{FEWEST_TO_TELL_NEW}, not {self.reference}"
        )


def drift(reference: Predictions, window: Predictions, *, seed: int = 0) -> Drift:
    """Compares predictions of one model on a window of images with those on a reference.

    The reference must be images that the model was not trained on, such as its validation images. Neither
    side has images that could not be read. Raises `DriftError` for fewer than `FEWEST` images on a side.
    """
    assert not reference.errors and not window.errors
    require_enough("reference", len(reference))
    require_enough("window", len(window))
    rng = np.random.default_rng(seed)
    class_ps, class_statistics = _class_tests(reference, window)
    seen, looked_at = _vectors(reference, window, rng)
    discrepancy, embedding_p = _mmd(_some(seen, rng), _some(looked_at, rng), rng)
    by_class = holm(class_ps.tolist())
    ps = [min(by_class), embedding_p]
    corrected = holm(ps)
    new, distances = _new(seen, looked_at, rng)
    known = _accuracy(reference)
    return Drift(
        reference=len(reference),
        window=len(window),
        tests=(
            DriftTest("classes", float(class_statistics.max()), ps[0], corrected[0]),
            DriftTest("embeddings", discrepancy, ps[1], corrected[1]),
        ),
        classes=_shares(reference, window, by_class),
        confidence=(float(reference.confidence().mean()), float(window.confidence().mean())),
        accuracy=known,
        expected=None if known is None else _expected(reference, window, known),
        new=tuple(new.tolist()),
        distances=tuple(distances.tolist()),
        ids=tuple(str(window.ids[row]) for row in new),
    )


def require_enough(side: str, images: int) -> None:
    """Raises `DriftError` where a side has too few images to be compared."""
    if images < FEWEST:
        raise DriftError(
            "too_few_images",
            f"a {side} of {counted(images, 'image')} says nothing: expected {FEWEST} at least, better 200",
        )


def _class_tests(reference: Predictions, window: Predictions) -> tuple[Floats, Floats]:
    """The p-value (K,) and the statistic (K,) of each class's probabilities.

    Kolmogorov's limit with the correction of Stephens (1970), since `scipy.stats` takes a second to load.
    """
    from scipy.special import kolmogorov

    before = np.sort(np.ascontiguousarray(reference.probabilities().T), axis=1)
    now = np.sort(np.ascontiguousarray(window.probabilities().T), axis=1)
    statistics = np.array([_farthest_apart(*both) for both in zip(before, now, strict=True)])
    root = np.sqrt(len(reference) * len(window) / (len(reference) + len(window)))
    return kolmogorov((root + 0.12 + 0.11 / root) * statistics), statistics


def _farthest_apart(before: Floats, now: Floats) -> float:
    """The largest difference between the empirical distributions of two sorted samples.

    As scipy's `ks_2samp`, which takes 3 ms; there may be 1,000 classes.
    """
    n, m = len(before), len(now)
    above = now.searchsorted(now, "right") / m - before.searchsorted(now, "right") / n
    below = before.searchsorted(now, "left") / n - now.searchsorted(now, "left") / m
    return float(max(above.max(), below.max()))


def _vectors(
    reference: Predictions, window: Predictions, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """What of each image is compared: its embedding, or its logits where a model gives none.

    Of a large reference 2 x `MOST` images are taken at random. Both sides are scaled by the mean and std of
    all: by those of one side a permutation test would find the side that they were taken from.
    """
    if reference.embeddings is not None and window.embeddings is not None:
        sides = reference.embeddings, window.embeddings
    else:
        sides = reference.logits, window.logits
    seen, looked_at = _some(sides[0], rng, 2 * MOST).astype(np.float64), sides[1].astype(np.float64)
    both = np.concatenate([seen, looked_at])
    middle, std = both.mean(0), np.maximum(both.std(0), 1e-6)
    return (seen - middle) / std, (looked_at - middle) / std


def _some(vectors: NDArray[Any], rng: np.random.Generator, most: int = MOST) -> NDArray[Any]:
    if len(vectors) <= most:
        return vectors
    return vectors[rng.choice(len(vectors), most, replace=False)]


def _mmd(first: Floats, second: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """The squared maximum mean discrepancy, by a Gaussian kernel of the median distance, and its p-value."""
    both = np.concatenate([first, second])
    squared = _squared_distances(both, both)
    upper = squared[np.triu_indices(len(both), 1)]
    kernel = np.exp(-squared / max(float(np.median(upper)), 1e-12))
    weights = np.full((len(both), PERMUTATIONS + 1), -1 / len(first))
    weights[len(first) :, 0] = 1 / len(second)
    drawn = rng.random((len(both), PERMUTATIONS)).argpartition(len(second) - 1, axis=0)
    np.put_along_axis(weights[:, 1:], drawn[: len(second)], 1 / len(second), axis=0)
    found = np.einsum("ij,ij->j", weights, kernel @ weights)
    return float(found[0]), float((found >= found[0] - 1e-12).sum() / len(found))


def _squared_distances(first: Floats, second: Floats) -> Floats:
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)
    return np.maximum(squares - 2 * first @ second.T, 0.0)


def _new(
    seen: Floats, looked_at: Floats, rng: np.random.Generator
) -> tuple[NDArray[np.int64], Floats]:
    """The rows of the images that are farther from the reference than its own are, and how far.

    A half of the reference is the measure, and the other half says what is usual. A small reference cannot.
    """
    if len(seen) < FEWEST_TO_TELL_NEW:
        return np.zeros(0, np.int64), np.zeros(0)
    measure, usual = np.split(rng.permutation(seen), [len(seen) // 2])

    def distance(vectors: Floats) -> Floats:
        place = NEIGHBOUR - 1
        blocks = (vectors[start : start + MOST] for start in range(0, len(vectors), MOST))
        squared = [
            np.partition(_squared_distances(block, measure), place, axis=1)[:, place]
            for block in blocks
        ]
        return np.asarray(np.sqrt(np.concatenate(squared)))

    limit = max(float(np.quantile(distance(usual), NEW)), 1e-12)
    distances = distance(looked_at) / limit
    rows = np.flatnonzero(distances > 1)
    rows = rows[np.argsort(-distances[rows], kind="stable")]
    return rows, distances[rows]


def _shares(
    reference: Predictions, window: Predictions, corrected: list[float]
) -> dict[str, ClassShare]:
    def share(predictions: Predictions, place: int) -> Interval:
        return exact(int((predictions.predicted == place).sum()), len(predictions))

    return {
        name: ClassShare(
            share(reference, place), share(window, place), corrected[place], corrected[place] < SURE
        )
        for place, name in enumerate(reference.classes)
    }


def _accuracy(predictions: Predictions) -> Interval | None:
    """The share of right answers among the images that have a label."""
    if predictions.labels is None or not (predictions.labels >= 0).any():
        return None
    labelled = predictions.labels >= 0
    right = (predictions.predicted == predictions.labels)[labelled]
    return exact(int(right.sum()), len(right))


def _expected(reference: Predictions, window: Predictions, known: Interval) -> Interval:
    """The accuracy on the window that its confidences speak for (Garg 2022, arXiv:2201.04234).

    It is the share above the confidence that as many of the reference's images have as are classified
    rightly. Where images are bad in a new way it is too high, so it is to be read as "at most".
    """
    assert reference.labels is not None
    labelled = reference.labels >= 0
    right = int((reference.predicted == reference.labels)[labelled].sum())
    confidences = np.sort(reference.confidence()[labelled])[::-1]
    threshold = confidences[right - 1] if right else np.inf
    above = int((window.confidence() >= threshold).sum())
    low, high = exact_bounds(above, len(window))
    # The threshold is as uncertain as the accuracy of the reference, `known`.
    value = above / len(window)
    below, over = value - float(low), float(high) - value
    return Interval(
        value,
        max(0.0, value - float(np.hypot(below, known.value - known.low))),
        min(1.0, value + float(np.hypot(over, known.high - known.value))),
    )
