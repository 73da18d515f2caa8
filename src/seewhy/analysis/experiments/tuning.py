"""What a search for better settings found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from seewhy.evaluation.stats.significance import holm
from seewhy.evaluation.stats.summary import Difference, Summary, verdict
from seewhy.run import Run

TrialState = Literal["complete", "pruned", "failed", "running", "waiting"]


@dataclass(frozen=True)
class Trial:
    """One trial. `value` is the metric of its finished run, or of the last epoch before it was pruned."""

    number: int
    state: TrialState
    value: float
    epochs: int
    params: Mapping[str, Any]
    path: Path


@dataclass(frozen=True)
class Contender:
    """The base, or one of the best trials, over seeds that the search had not seen.

    `change` is the difference to the base, paired by seed, and `p` its p-value, corrected by Holm's
    method over the trials; None for the base.
    """

    name: str
    params: Mapping[str, Any]
    runs: tuple[Run, ...]
    score: Summary
    change: Difference | None
    p: float | None = None


@dataclass(frozen=True)
class Tuning:
    """What a search found. `contenders` are the base and then the best trials, best first.

    `importance` is the share of each field in what the trials differ by; empty when they are too few.
    """

    path: Path
    study: str
    metric: str
    mode: Literal["max", "min"]
    trials: tuple[Trial, ...]
    importance: Mapping[str, float]
    contenders: tuple[Contender, ...]

    @property
    def better(self) -> tuple[Contender, ...]:
        """The trials that are better than the base, beyond chance, best first."""
        wanted = "higher" if self.mode == "max" else "lower"
        return tuple(
            one
            for one in self.contenders
            if one.change and one.p is not None and verdict(one.change, one.p) == wanted
        )

    @property
    def best(self) -> Contender:
        """The first of the `better`; else the best mean over fresh seeds, which may be the base's."""
        choose = max if self.mode == "max" else min
        return next(iter(self.better), choose(self.contenders, key=lambda one: one.score.mean))

    @property
    def verdict(self) -> str:
        """Says whether a trial is better than the base."""
        best = self.best
        if best.p is None:
            return "no trial is better than the base"
        if self.better:
            return f"{best.name} is better than the base, beyond chance"
        return (
            "no trial is shown to be better than the base: "
            f"{best.name} has the best mean, which may be chance"
        )

    @property
    def recipe(self) -> Path:
        """The recipe of the best, ready for `seewhy train --recipe`."""
        return self.path / "best.yaml"

    def json_form(self) -> dict[str, Any]:
        """All of it, as stored in `tuning.json`."""
        return {
            "best": self.best.name,
            "verdict": self.verdict,
            "recipe": self.recipe,
            "tuning": vars(self),
        }


def ranked(contenders: Sequence[Contender], mode: str) -> tuple[Contender, ...]:
    """The base first and the trials best first, their p-values corrected for being several."""
    base, *others = contenders
    ps = holm([one.change.p for one in others if one.change])
    tested = [replace(one, p=p) for one, p in zip(others, ps, strict=True)]
    sign = -1 if mode == "max" else 1
    return (base, *sorted(tested, key=lambda one: sign * one.score.mean))
