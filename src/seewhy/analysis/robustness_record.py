"""The records of a robustness test."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seewhy.evaluation.stats.intervals import Interval
from seewhy.events import Diagnostic


@dataclass(frozen=True)
class Curve:
    """Accuracy by severity (`strengths`); `about` says what is varied."""

    about: str
    strengths: tuple[float, ...]
    accuracy: tuple[Interval, ...]


@dataclass(frozen=True)
class Robustness:
    """The accuracy that is left, on `n` images of which `clean` are recognised as they are.

    `corruptions` by name, in five strengths; `mean_corruption_error` the mean error over all of them, and
    `lost` what it is above the clean error; `worst` the corruption of highest mean error.
    `transformations` and `attacks` are curves by name; `attacked` says on how many images each attack
    was tried; `diagnostics` what makes these numbers doubtful.
    """

    n: int
    clean: Interval
    corruptions: dict[str, tuple[Interval, ...]]
    mean_corruption_error: Interval
    lost: Interval
    worst: str
    transformations: dict[str, Curve]
    attacks: dict[str, Curve]
    attacked: dict[str, int]
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, eq=False)
class Adversarial:
    """Adversarial images made by PGD that change the prediction, also when rounded to bytes.

    `before`, `after` uint8 (M, S, S, 3); `labels`, `answers` (M,) the true class and the one they are then
    taken for; `radius` the largest change, of 255.
    """

    radius: float
    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    labels: NDArray[np.int64]
    answers: NDArray[np.int64]
