"""Whether a retrained model may replace the one in use: on the same images, class by class, and corrupted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.stats.intervals import Interval, exact, mean_with_t
from seewhy.evaluation.stats.significance import SIGNIFICANT, holm, mcnemar_interval
from seewhy.text import counted, shortened

Flags = NDArray[np.bool_]
Verdict = Literal["better", "not worse", "unproven", "worse"]

MOST_CLASSES = 10  # whose changes are kept, the worst first
FEWEST = 5  # images of a class; fewer say nothing of it


@dataclass(frozen=True)
class GateLimits:
    """How much worse a candidate could be and still replace the champion, in points (0 to 100).

    The intervals (95%) of the change in accuracy and in accuracy under corruptions must lie above -`margin`
    and -`robust_margin`, and not below 0. A class whose recall falls by more than `class_limit` stops it,
    unless that may be chance.
    """

    margin: float = 1.0
    class_limit: float = 5.0
    robust_margin: float = 2.0


@dataclass(frozen=True)
class ClassChange:
    """A class's recall by the champion and by the candidate on `n` images, and the change of it.

    `p` is that of the one-sided exact test that recall has fallen, corrected over the classes (Holm).
    """

    name: str
    n: int
    champion: float
    candidate: float
    gain: Interval
    p: float


@dataclass(frozen=True)
class Gate:
    """Whether a candidate may replace the champion, and why, in sentences.

    `images` is how many both were asked, of `source`: val or the hold-out; `left_out` how many of it were
    not, and why. `gain` is the accuracy of the candidate less that of the champion on these same images;
    `robustness` the same under `corruptions`, which have the accuracies of champion and candidate. `classes`
    are those that lost most recall.
    """

    passed: bool
    verdict: Verdict
    reasons: tuple[str, ...]
    source: str
    images: int
    champion: Interval
    candidate: Interval
    gain: Interval
    robustness: Interval
    corruptions: dict[str, tuple[float, ...]]
    classes: tuple[ClassChange, ...]
    limits: GateLimits
    left_out: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Trial:
    """What both models answered: which of the images (N,) each has right.

    `labels` (N,) are positions in `classes`; `corrupted` has, by corruption, the same two of some images.
    """

    classes: Sequence[str]
    labels: NDArray[np.int64]
    champion: Flags
    candidate: Flags
    corrupted: Mapping[str, tuple[Flags, Flags]]


def judge(trial: Trial, limits: GateLimits, source: str, others: Sequence[str] = ()) -> Gate:
    """Compares a candidate with the champion on the same images.

    `others` are sentences on what speaks against the candidate beside the answers, such as a class that it
    does not know. Without images nothing is proven.
    """
    n = len(trial.labels)
    alone = trial.candidate & ~trial.champion, trial.champion & ~trial.candidate
    won, lost = (int(one.sum()) for one in alone)
    gain = mcnemar_interval(won, lost, n) if n else Interval.without(0.0, "no images")
    apart = _apart(trial)
    robust = mean_with_t(apart, (-1.0, 1.0)) if len(apart) else Interval.without(0.0, "no images")
    changes = _changes(trial, alone)
    fallen, doubtful = _fallen(changes, trial.classes, limits)
    rates = [exact(int(one.sum()), n) for one in (trial.champion, trial.candidate)]
    faults = [
        _fault(
            gain, limits.margin, "margin", f"on {counted(n, 'image')}", (won + lost) / max(n, 1)
        ),
        _fault(robust, limits.robust_margin, "robust-margin", "on corrupted images") if n else None,
    ]
    worse = [*others, *fallen, *(text for kind, text in filter(None, faults) if kind == "worse")]
    unproven = [text for kind, text in filter(None, faults) if kind == "unproven"]
    verdict: Verdict = "better" if gain.low > 0 else "not worse"
    if worse or unproven:
        verdict = "worse" if worse else "unproven"
    compared = (
        f"on the same {counted(n, 'image')} of {source}, the candidate has {rates[1].value:.1%} right and "
        f"the champion {rates[0].value:.1%}: {_points(gain)}"
    )
    return Gate(
        passed=not worse and not unproven,
        verdict=verdict,
        reasons=(*([compared] if n else []), *worse, *unproven, *doubtful),
        source=source,
        images=n,
        champion=rates[0],
        candidate=rates[1],
        gain=gain,
        robustness=robust,
        corruptions={
            name: tuple(float(one.mean()) for one in both) for name, both in trial.corrupted.items()
        },
        classes=tuple(changes[:MOST_CLASSES]),
        limits=limits,
    )


def _apart(trial: Trial) -> NDArray[np.float64]:
    """For each image that was corrupted, the share of corruptions won by the candidate less that lost."""
    both = [second.astype(float) - first for first, second in trial.corrupted.values()]
    return np.mean(both, axis=0) if both else np.zeros(0)


def _fault(
    gain: Interval, points: float, flag: str, where: str, disagreement: float | None = None
) -> tuple[Literal["worse", "unproven"], str] | None:
    """What a change in accuracy says against the candidate: that it is worse, or may be."""
    if gain.reason is not None:
        return "unproven", f"nothing could be compared {where}: {gain.reason}"
    value, least = 100 * gain.value, 100 * gain.low
    if gain.high < 0 or value < -points:
        return "worse", f"the candidate is worse {where}: {_points(gain)}"
    if least > -points:
        return None
    more = ""
    if disagreement is not None and value > -points:
        needed = (1.96 / (value + points) * 100) ** 2 * max(disagreement - gain.value**2, 1e-4)
        more = f"about {counted(ceil(needed / 10) * 10, 'image')} would tell, or "
    return "unproven", (
        f"unproven {where}: the candidate may be {-least:.1f} points worse, and {points:g} are allowed; "
        f"{more}--{flag} allows more"
    )


def _points(gain: Interval) -> str:
    value, low, high = (100 * one for one in (gain.value, gain.low, gain.high))
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"


def _changes(trial: Trial, alone: tuple[Flags, Flags]) -> list[ClassChange]:
    """The classes that have images, those that lost most first."""
    from scipy.stats import binom

    support = np.bincount(trial.labels, minlength=len(trial.classes))
    present = np.flatnonzero(support).tolist()
    won, lost, first, second = (
        np.bincount(trial.labels[one], minlength=len(trial.classes))
        for one in (*alone, trial.champion, trial.candidate)
    )
    ps = [float(binom.sf(lost[k] - 1, won[k] + lost[k], 0.5)) for k in present]
    changes = [
        ClassChange(
            name=trial.classes[k],
            n=int(support[k]),
            champion=float(first[k] / support[k]),
            candidate=float(second[k] / support[k]),
            gain=mcnemar_interval(int(won[k]), int(lost[k]), int(support[k])),
            p=p,
        )
        for k, p in zip(present, holm(ps), strict=True)
    ]
    return sorted(changes, key=lambda one: one.gain.value)


def _fallen(
    changes: Sequence[ClassChange], classes: Sequence[str], limits: GateLimits
) -> tuple[list[str], list[str]]:
    """Sentences on classes whose recall fell by more than the limit, and on those of which it is unclear."""
    fallen, doubtful = [], []
    enough = {one.name for one in changes if one.n >= FEWEST}
    few = [name for name in classes if name not in enough]
    for one in changes:
        if -100 * one.gain.value <= limits.class_limit or one.n < FEWEST:
            continue
        text = (
            f"class {one.name}: {one.champion:.1%} of its {counted(one.n, 'image')} were right and "
            f"{one.candidate:.1%} are now"
        )
        if one.p < SIGNIFICANT:
            fallen.append(f"{text}; {limits.class_limit:g} points may be lost")
        else:
            doubtful.append(f"{text}, which may be chance")
    if few:
        doubtful.append(
            f"fewer than {FEWEST} images, which say nothing, of {counted(len(few), 'class')}: "
            f"{shortened(few)}"
        )
    return fallen, doubtful
