"""Which learning rate to train with: Smith's range test."""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy import pipeline
from seewhy.config.recipe import load_recipe
from seewhy.data import load_data
from seewhy.errors import DivergedError, UsageError
from seewhy.experiments.task import Loading, Show
from seewhy.training.loop import Epoch, Step

HIGHEST = 10.0  # the rate of the last step; the first has a millionth of it
GIVE_UP = 4.0  # times the lowest smoothed loss, at which a training is lost
WIDTH = 0.15  # standard deviation of the smoothing window, in powers of ten
FEWEST = 20  # steps before a loss can be called lost

# What would end the test early, bend it, or cost time for nothing.
_OFF = dict.fromkeys(
    [
        *("train.warmup", "train.plateau_factor", "train.plateau_patience", "train.patience"),
        *("train.time_limit", "train.ema"),
    ]
)


@dataclass(frozen=True, eq=False)
class LrRange:
    """The loss by learning rate, each step's and smoothed, both (N,), and the rates that they suggest.

    `suggested` is where the smoothed loss falls fastest; at `lowest` it falls no more, and beyond it
    training is at risk. A tenth of that is the `cautious` choice.
    """

    recipe: str
    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smoothed: NDArray[np.float64]
    suggested: float
    lowest: float

    @property
    def cautious(self) -> float:
        return self.lowest / 10

    @property
    def facts(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {"suggested": self.suggested, "cautious": self.cautious, "range": self}


class _Enough(Exception):
    """The loss is lost: higher rates say no more."""


def find_lr(
    data: str | Path = "cifar10",
    recipe: str | Path = "fast",
    *,
    steps: int = 200,
    overrides: Mapping[str, Any] | None = None,
    show: Show = lambda event: None,
    loading: Loading | None = None,
) -> LrRange:
    """Trains for about `steps` steps at rates from 1e-5 up to 10, and reads the best off the loss.

    The recipe's own loop, batches, net and optimiser; nothing of the run is kept. The rate rises by the
    same factor every step (Smith 2017, "Cyclical learning rates", there in a line), until the loss is
    four times its lowest. Raises `UsageError` where the loss tells nothing.
    """
    if steps < FEWEST:
        raise UsageError(f"{steps} steps: expected {FEWEST} or more to read a curve from")
    chosen = load_recipe(recipe, overrides)
    pictures = len(load_data(data, chosen.data, progress=loading).train)
    batch = chosen.train.batch_size
    changes = {
        **_OFF,
        "train.schedule": "range",
        "train.lr": HIGHEST,
        "train.epochs": max(1, round(steps * batch / pictures)),
    }
    if pictures > steps * batch:  # an epoch of just so many
        changes["data.limit"] = steps * batch
    taken: list[Step] = []

    def listen(event: str | Step | Epoch) -> None:
        if not isinstance(event, str):  # signs of a training that goes wrong are the point here
            show(event)
        if isinstance(event, Step):
            taken.append(event)
            losses = own_losses(taken)
            lost = losses[-1] > GIVE_UP * smooth([step.lr for step in taken], losses).min()
            if lost and len(taken) >= FEWEST:
                raise _Enough

    with tempfile.TemporaryDirectory() as folder, suppress(_Enough, DivergedError):
        pipeline.train(
            data,
            recipe,
            out=Path(folder, "run"),
            overrides={**(overrides or {}), **changes},
            show=listen,
        )
    return read(chosen.name, [step.lr for step in taken], own_losses(taken))


def read(recipe: str, rates: list[float], losses: list[float]) -> LrRange:
    """Reads the suggestions off the losses of a range test. Raises `UsageError` where it cannot."""
    smoothed = smooth(rates, losses)
    lowest = int(np.argmin(smoothed))
    if lowest < 2 or smoothed[lowest] > 0.98 * smoothed[:lowest].max():
        raise UsageError(
            "the loss falls at no learning rate: is the data learnable, and the net fit for it? "
            "`seewhy data check` looks at the data"
        )
    slope = np.gradient(smoothed[: lowest + 1], np.log(rates[: lowest + 1]))
    return LrRange(
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
