"""One number that gives a label away: how well brightness, colour or size alone tell the classes.

A network learns what is easiest. Where the images of a class are all brighter, or all of another size,
than the rest, it need not look at what they show, and fails on images taken elsewhere (Geirhos 2020,
"Shortcut learning in deep neural networks").
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seewhy.data.imageset import ImageSet
from seewhy.data.inspect.findings import Example, Finding
from seewhy.data.inspect.quality import Measures
from seewhy.evaluation.stats.intervals import difference, wilson
from seewhy.text import visible

# Informedness of one number for one class, at its lower limit: chance is 0, and the number tells the
# class without fail at 1. CIFAR-10's best is 0.32 (contrast for trucks), hymenoptera's 0.16.
GIVEN_AWAY = 0.5
FOLDS = 5
FEWEST = 10  # images of a class; with fewer, nothing can be said of it
MOST = 20_000  # images looked at; more make the interval no narrower that matters

MEASURED = ("brightness", "contrast", "red", "green", "blue", "colour", "sharpness")


@dataclass(frozen=True)
class Telling:
    """How well one number alone tells one class: `share` of it found, `false` of the others taken for it.

    `low` is the lower limit of the 95% interval of `share` - `false` (Newcombe 1998), out of fold.
    """

    number: str
    label: int
    share: float
    false: float
    low: float


def numbers(images: ImageSet, measures: Measures) -> dict[str, np.ndarray]:
    """Returns by name the numbers `(N,)` of each image that may tell its label."""
    values = {name: getattr(measures, name) for name in MEASURED}
    if images.sizes is not None:
        width, height = images.sizes.T.astype(np.float64)
        values |= {"width": width, "height": height, "width by height": width / height}
    return values


def shortcuts(images: ImageSet, values: Mapping[str, np.ndarray], seed: int = 0) -> list[Telling]:
    """Returns the numbers that give a class away, the plainest first.

    Classes of fewer than `FEWEST` images are left out.
    """
    strong = [one for one in telling(images, values, seed) if one.low >= GIVEN_AWAY]
    return sorted(strong, key=lambda one: -one.low)


def telling(images: ImageSet, values: Mapping[str, np.ndarray], seed: int = 0) -> list[Telling]:
    """Returns for each number and class how well it tells it."""
    large = np.flatnonzero(images.counts >= FEWEST)
    rows = np.flatnonzero(np.isin(images.labels, large))
    if len(large) < 2:
        return []
    if len(rows) > MOST:  # the same share of each class, of a small one all that are needed
        rng, share = np.random.default_rng(seed), MOST / len(rows)
        of_class = [rng.permutation(np.flatnonzero(images.labels == label)) for label in large]
        kept = [some[: max(FEWEST, round(share * len(some)))] for some in of_class]
        rows = np.sort(np.concatenate(kept))
    labels = images.labels[rows]
    return [
        found
        for name, value in values.items()
        if np.ptp(value[rows]) > 0
        for found in _telling(name, value[rows], labels, large)
    ]


def _telling(name: str, value: np.ndarray, labels: np.ndarray, large: np.ndarray) -> list[Telling]:
    """Guesses labels out of fold by a small tree over one number, in which all classes weigh the same."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        max_leaf_nodes=4 * len(large), min_samples_leaf=5, class_weight="balanced", random_state=0
    )
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    guessed = cross_val_predict(tree, value[:, None], labels, cv=folds)
    candidates = []
    for label in large:
        own, taken = labels == label, guessed == label
        share, false = (wilson(int(taken[rows].sum()), int(rows.sum())) for rows in (own, ~own))
        low = difference(share, false).low
        candidates.append(Telling(name, int(label), share.value, false.value, low))
    return candidates


def shortcut_findings(shortcuts: Sequence[Telling], classes: Sequence[str]) -> list[Finding]:
    """Says of numbers that give a class away which and how well."""
    examples = [
        Example(
            f"{one.number} alone finds {one.share:.0%} of {visible(classes[one.label])} and takes "
            f"{one.false:.0%} of the others for it",
            name=classes[one.label],
        )
        for one in shortcuts
    ]
    finding = Finding(
        "shortcut",
        "warning",
        "classes that one number gives away, without a look at what the images show",
        "take images of all classes in the same way, or train with brightness, contrast and colour "
        "varied; test on images from elsewhere",
        examples,
    )
    return [finding] if examples else []
