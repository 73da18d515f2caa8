"""The likeliest cause of each of the most confident mistakes, with the evidence.

In this order, the first that applies: the same image has another label elsewhere in the data; networks that
had not seen the image say its label is wrong; it shows little; it is like nothing in training; or, where
nothing else is found, the classes are confused. Limits come from validation or are fixed, never from test.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.analysis.labels.review import Suspect
from seewhy.analysis.mistakes import Mistake
from seewhy.analysis.neighbours import nearest
from seewhy.config.input_rule import InputRule
from seewhy.data import ImageSet
from seewhy.data.images import near_duplicates
from seewhy.data.inspect.quality import measure_all, quality_findings
from seewhy.evaluation.decision.ood import class_means, ood_scores
from seewhy.evaluation.decision.record import Scope
from seewhy.evaluation.predictions import Predictions
from seewhy.text import counted

Cause = Literal["duplicate", "label", "picture", "scope", "confusion"]

NAMES: dict[Cause, str] = {
    "duplicate": "the same image has another label",
    "label": "likely a wrong label",
    "picture": "a poor image",
    "scope": "out of distribution",
    "confusion": "a true confusion",
}
SURE = (
    0.9  # probability, calibrated out of fold, from which another class makes a label likely wrong
)
UNFAMILIAR = 0.01  # of the validation images are as unlike all classes
COMPARED = 10_000  # training images that are compared by their features
SAMPLE = 500  # training images by which it is told whether all are alike by nature
FEWEST = 100  # validation images; of fewer, the least like any class is no hundredth of them
_POOR = {
    "dark": "nearly black",
    "bright": "nearly white",
    "flat": "hardly any contrast",
    "blurry": "less than half its resolution",
    "odd-shape": "far from square",
    "small": "enlarged from a small image",
}


@dataclass(frozen=True)
class Near:
    """A training image that is near to a mistake by the network's features, or looks the same.

    `row` is its place in train; `similarity` as in `Neighbours`, None where it is not among the nearest by
    features; `same` says that it looks the same.
    """

    row: int
    id: str
    label: str
    similarity: float | None
    same: bool


@dataclass(frozen=True)
class Explained:
    """A mistake with its likeliest cause. `reasons` are the evidence for it, then for other causes."""

    row: int
    cause: Cause
    reasons: tuple[str, ...]
    nearest: tuple[Near, ...]


@dataclass(frozen=True)
class LabelDoubts:
    """How many labels of train and val are likely wrong, and of train alone; the folder says which."""

    count: int
    train: int
    folder: str


@dataclass(frozen=True)
class Causes:
    """The causes of the surest mistakes, in the order of these; `counts` has every cause.

    `unknown` are causes that could not be looked for. `labels` is None where no labels were judged.
    """

    counts: dict[Cause, int]
    unknown: tuple[Cause, ...]
    labels: LabelDoubts | None
    mistakes: tuple[Explained, ...]

    @property
    def named(self) -> dict[str, int | None]:
        """The counts by what a reader calls each cause; None where it could not be looked for."""
        return {NAMES[c]: None if c in self.unknown else n for c, n in self.counts.items()}


@dataclass(frozen=True, eq=False)
class Evidence:
    """What causes are derived from: images, features of the network, and suspected labels.

    `found` and `known` are predictions with embeddings: of `val`, and of the rows `compared` of `train`.
    `scope` is the model's own rule, if it has one; `suspects` are doubted labels by content hash, None where
    none were judged, and `folder` where they are listed. `left_out` are images that are in no split, among
    them training images that are in validation, too.
    """

    val: ImageSet
    train: ImageSet
    found: Predictions
    known: Predictions
    compared: NDArray[np.int64]
    rule: InputRule
    scope: Scope | None = None
    suspects: Mapping[bytes, Suspect] | None = None
    folder: str = ""
    left_out: ImageSet | None = None


def find_causes(mistakes: Sequence[Mistake], evidence: Evidence) -> Causes:
    """The cause of each mistake, whose rows count the validation images."""
    rows = np.array([mistake.row for mistake in mistakes], np.int64)
    comparable = _comparable(evidence)
    near = _near(rows, evidence, comparable)
    poor = _poor(evidence.val.take(rows), evidence.rule)
    strange, doubted = _strange(evidence), _doubted(evidence)
    others = _other_labels(rows, evidence)
    own = evidence.scope is not None
    unfamiliar = (
        "out of distribution by the model's own score"
        if own
        else "of the 1% least like the images of any class"
    )
    explained = []
    for place, mistake in enumerate(mistakes):
        reasons: dict[Cause, str] = {}
        twin = next((n for n in near[place] if n.same and n.label != mistake.true), None)
        if twin is not None:
            reasons["duplicate"] = f"looks the same as {twin.id} in training, labelled {twin.label}"
        elif mistake.row in others:
            reasons["duplicate"] = others[mistake.row]
        suspect = doubted.get(bytes(evidence.val.hashes[mistake.row]))
        if suspect is not None:
            sure = f"{suspect.suggested_probability:.0%}"
            reasons["label"] = f"networks that had not seen it say {suspect.suggested}, {sure}"
        if poor[place]:
            reasons["picture"] = ", ".join(poor[place])
        if strange is not None and strange[mistake.row]:
            reasons["scope"] = unfamiliar
        reasons.setdefault("confusion", _confusion(mistake, near[place], evidence))
        cause = next(iter(reasons))
        evidence_texts = tuple(
            text for key, text in reasons.items() if key == cause or key != "confusion"
        )
        explained.append(Explained(mistake.row, cause, evidence_texts, near[place]))
    found = Counter(one.cause for one in explained)
    looked: dict[Cause, bool] = {
        "duplicate": comparable,
        "label": _sure_networks(evidence.suspects),
        "scope": strange is not None,
    }
    return Causes(
        counts={cause: found[cause] for cause in NAMES},
        unknown=tuple(cause for cause, done in looked.items() if not done and not found[cause]),
        labels=_doubts(evidence, doubted),
        mistakes=tuple(explained),
    )


def _other_labels(rows: NDArray[np.int64], evidence: Evidence) -> dict[int, str]:
    """Which of these validation images are identical to one with another label, and to which.

    One that is in train, too, was left out of it; one within validation stays.
    """
    val, left_out = evidence.val, evidence.left_out
    places = [(val, "in validation")]
    if left_out is not None:
        places.append((left_out, "which was left out of train, as it is in validation too"))
    reasons = {}
    for row in rows.tolist():
        for images, where in places:
            same = (images.hashes == val.hashes[row]) & (images.labels >= 0)
            for other in np.flatnonzero(same & (images.labels != val.labels[row])):
                label = images.classes[images.labels[other]]
                reasons[row] = f"the same image as {images.ids[other]}, labelled {label}, {where}"
    return reasons


def _comparable(evidence: Evidence) -> bool:
    """Whether looks can tell that two images are one: not where all look alike."""
    train = evidence.train
    if evidence.known.embeddings is None or train.images.shape[1] < near_duplicates.SMALLEST:
        return False
    some = train.take(train.drawn_rows(SAMPLE))
    described = np.concatenate([near_duplicates.describe(part) for part in some.chunks()])

    def looks(rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return near_duplicates.look(some.images[rows])

    return not near_duplicates.are_crowded(described, looks, len(train))


def _near(rows: NDArray[np.int64], evidence: Evidence, comparable: bool) -> list[tuple[Near, ...]]:
    """The training images nearest to each by the network's features, none where it has none.

    The first of them is the one that looks the same, if there is one. All have as many.
    """
    embeddings, known, train = evidence.found.embeddings, evidence.known.embeddings, evidence.train
    if embeddings is None or known is None or not len(rows):
        return [()] * len(rows)
    by_features = nearest(embeddings[rows], known)
    near = evidence.compared[by_features.rows]
    if comparable:  # the same image, however the network takes it
        near = np.hstack([_most_alike(rows, evidence), near])
    same = _same(rows, near, evidence) if comparable else np.zeros(near.shape, bool)
    listed: list[tuple[Near, ...]] = []
    for place, similarity in enumerate(by_features.similarity.tolist()):
        by_row = dict(zip(near[place][-len(similarity) :].tolist(), similarity, strict=True))
        twins = set(near[place][same[place]].tolist())
        found = [n for n in dict.fromkeys(near[place].tolist()) if n in by_row or n in twins]
        listed.append(
            tuple(
                Near(n, train.ids[n], train.classes[train.labels[n]], by_row.get(n), n in twins)
                for n in found[: len(by_row)]
            )
        )
    return listed


def _most_alike(rows: NDArray[np.int64], evidence: Evidence) -> NDArray[np.int64]:
    """The training images that look most like each and like its mirror image, (M, 2)."""
    described = [near_duplicates.describe(part) for part in evidence.train.chunks()]
    mine = evidence.val.images[rows]
    both = [near_duplicates.describe(images) for images in (mine, mine[:, :, ::-1])]
    return nearest(np.concatenate(both), np.concatenate(described), 1).rows.reshape(2, -1).T


def _same(
    rows: NDArray[np.int64], near: NDArray[np.int64], evidence: Evidence
) -> NDArray[np.bool_]:
    """Which of the training images `near` (M, k) are near-duplicates, (M, k)."""
    same = np.zeros(near.shape, bool)
    for place, (row, others) in enumerate(zip(rows, near, strict=True)):
        mine, theirs = evidence.val.images[row][None], evidence.train.images[others]
        spectra, looks = (
            (of(mine).repeat(len(others), axis=0), of(theirs))
            for of in (near_duplicates.describe, near_duplicates.look)
        )
        same[place] = near_duplicates.are_near(spectra, looks)
    return same


def _poor(images: ImageSet, rule: InputRule) -> list[list[str]]:
    """What is poor about each image."""
    faults: list[list[str]] = [[] for _ in range(len(images))]
    for finding in quality_findings(images, measure_all(images), rule):
        for example in finding.examples:
            faults[example.rows[0]].append(_POOR[finding.kind])
    return faults


def _strange(evidence: Evidence) -> NDArray[np.bool_] | None:
    """Which validation images are out of distribution, (N,); None where that is unknown.

    By the model's own rule, or else those least like the mean of any class, one in a hundred of `FEWEST`
    images or more.
    """
    scope = evidence.scope
    if scope is not None:
        means = np.array(scope.means) if scope.means else None
        return ood_scores(scope.score, evidence.found, means) < scope.threshold
    means = class_means(evidence.known)
    if means is None or len(evidence.val) < FEWEST:
        return None
    scores = ood_scores("similarity", evidence.found, means)
    return np.asarray(scores < np.quantile(scores, UNFAMILIAR))


def _confusion(mistake: Mistake, near: Sequence[Near], evidence: Evidence) -> str:
    if not near:
        return "nothing else was found"
    alike = sum(one.label == mistake.predicted for one in near)
    compared = len(evidence.compared)
    every = compared == len(evidence.train)
    among = "training images" if every else f"of {counted(compared, 'training image')}"
    return f"{alike} of its {len(near)} nearest {among} are {mistake.predicted}"


def _doubted(evidence: Evidence) -> dict[bytes, Suspect]:
    """The suspects of which the networks are sure (where they are weak, most are merely hard).

    Only labels that an image of these data still has: a corrected one is no longer doubted.
    """
    suspects = evidence.suspects or {}
    present = {
        (bytes(digest), part.classes[label])
        for part in (evidence.train, evidence.val)
        for digest, label in zip(part.hashes, part.labels, strict=True)
    }
    return {
        key: one
        for key, one in suspects.items()
        if one.suggested_probability >= SURE and (key, one.label) in present
    }


def _sure_networks(suspects: Mapping[bytes, Suspect] | None) -> bool:
    """Whether there were other opinions, and not only faint ones."""
    if suspects is None:
        return False
    sure = any(one.suggested_probability >= SURE for one in suspects.values())
    return sure or not suspects


def _doubts(evidence: Evidence, doubted: Mapping[bytes, Suspect]) -> LabelDoubts | None:
    if evidence.suspects is None:
        return None
    known = set(evidence.train.hashes.tolist())
    return LabelDoubts(len(doubted), len(known & doubted.keys()), evidence.folder)
