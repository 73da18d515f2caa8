"""Which learning rate a range test suggests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import UsageError
from seewhy.events import Step

WIDTH = 0.15  # std of the smoothing window, in powers of ten


@dataclass(frozen=True, eq=False)
class LrRange:
    """The loss by learning rate, each step's and smoothed, both (N,), and the rates that they suggest.

    `suggested` is where the smoothed loss falls fastest; at `lowest` it falls no more, and beyond it
    training is at risk. A tenth of that is the `cautious` choice.
    """

    path: Path  # the folder of find-lr.png and find-lr.json
    recipe: str
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggested: float
    lowest: float

    @property
    def cautious(self) -> float:
        return self.lowest / 10

    def json_form(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {"suggested": self.suggested, "cautious": self.cautious, "range": vars(self)}


def read(path: Path, recipe: str, rates: list[float], losses: list[float]) -> LrRange:
    """Derives the suggestions from the losses of a range test. Raises `UsageError` where it cannot."""
    smoothed = smooth(rates, losses)
    lowest = int(np.argmin(smoothed))
    if lowest < 2 or smoothed[lowest] > 0.98 * smoothed[:lowest].max():
        raise UsageError(
            "the loss falls at no learning rate: is the data learnable, and the network suited to it? "
            "`seewhy data check` looks at the data"
        )
    slope = np.gradient(smoothed[: lowest + 1], np.log(rates[: lowest + 1]))
    return LrRange(
        path=path,
        recipe=recipe,
        rates=np.array(rates),
        losses=np.array(losses),
        smoothed=smoothed,
        suggested=rates[int(np.argmin(slope))],
        lowest=rates[lowest],
    )


def smooth(rates: list[float], losses: list[float]) -> NDArray[np.float64]:
    """The losses (N,), each the mean of its neighbours' under a Gaussian window on the log of the rate."""
    place = np.log10(rates)
    weights = np.exp(-0.5 * ((place[:, None] - place) / WIDTH) ** 2)
    return np.asarray(weights @ np.array(losses) / weights.sum(axis=1))


def own_losses(steps: list[Step]) -> list[float]:
    """The loss of each step's own batch, out of the means over the epoch so far that steps report."""
    losses, number, total = [], 0, 0.0
    for step, before in zip(steps, [None, *steps], strict=False):
        if before is None or step.epoch != before.epoch:
            number, total = 0, 0.0
        number += 1
        losses.append(step.loss * number - total)
        total = step.loss * number
    return losses
