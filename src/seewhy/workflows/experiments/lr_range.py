"""Which learning rate to train with: Smith's range test."""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from seewhy.analysis.experiments.lr_range import LrRange, own_losses, read, smooth
from seewhy.config.recipe import load_recipe
from seewhy.config.schedules import SCHEDULES
from seewhy.data import load_data
from seewhy.errors import DivergedError, UsageError
from seewhy.events import Epoch, Step
from seewhy.workflows.experiments.task import Loading, Show
from seewhy.workflows.train import train

HIGHEST = 10.0  # the rate of the last step; the first has a millionth of it
GIVE_UP = 4.0  # times the lowest smoothed loss, at which a training is lost
FEWEST = 20  # steps before a loss can be called lost

# What would end the test early, bend it, or cost time for nothing.
_OFF = dict.fromkeys(
    [
        *(f"train.{name}" for record in SCHEDULES.values() for name in record.model_fields),
        *("train.patience", "train.time_limit", "train.ema"),
    ]
)


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
        train(
            data,
            recipe,
            out=Path(folder, "run"),
            overrides={**(overrides or {}), **changes},
            show=listen,
        )
    return read(chosen.name, [step.lr for step in taken], own_losses(taken))
