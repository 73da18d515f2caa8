"""Finds a learning rate by Smith's range test."""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from seewhy.analysis.experiments.lr_range import LrRange, own_losses, read, smooth
from seewhy.config.recipe import load_recipe
from seewhy.config.schedules import SCHEDULES
from seewhy.data import Data, load_data
from seewhy.errors import DivergedError, UsageError
from seewhy.events import OnEvent, Step, ignore
from seewhy.files import write_atomic, write_json
from seewhy.plots import experiments as draw
from seewhy.workflows.experiments.task import claimed
from seewhy.workflows.suited import suited_recipe
from seewhy.workflows.train import training_events

HIGHEST = 10.0  # the rate of the last step; the first has a millionth of it
GIVE_UP = 4.0  # a loss of so many times the lowest smoothed loss has diverged
FEWEST = 20  # steps before a loss can be called diverged

# Options that would end the test early, distort it, or waste time.
_OFF = dict.fromkeys(
    [
        *(f"train.{name}" for record in SCHEDULES.values() for name in record.model_fields),
        *("train.patience", "train.time_limit", "train.ema", "train.swa"),
    ]
)


def find_lr(
    data: Data = "cifar10",
    recipe: str | Path | None = None,
    *,
    steps: int = 200,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    on_event: OnEvent = ignore,
) -> LrRange:
    """Trains for about `steps` steps at rates from 1e-5 up to 10, and reads the best off the loss.

    Uses the recipe's own loop, batches, network and optimiser; the run is not kept, `out` gets the plot and
    its numbers. The rate rises by the same factor every step (linearly in Smith 2017, "Cyclical learning
    rates"), until the loss is four times its minimum. Raises `UsageError` if no rate can be read off the
    loss.
    """
    if steps < FEWEST:
        raise UsageError(f"{steps} steps: expected {FEWEST} or more")
    recipe = recipe or suited_recipe(data, overrides, on_event)
    chosen = load_recipe(recipe, overrides)
    home = claimed(out, f"{chosen.name}-find-lr")
    count = len(load_data(data, chosen.data, on_event=on_event).train)
    batch = min(chosen.train.batch_size, count)  # as in training
    changes = {
        **_OFF,
        "train.schedule": "range",
        "train.lr": HIGHEST,
        "train.epochs": max(1, round(steps * batch / count)),
    }
    if count > steps * batch:  # one epoch of exactly so many
        changes["data.limit"] = steps * batch
    changes = {**(overrides or {}), **changes}
    done: list[Step] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        suppress(DivergedError),
        training_events(data, recipe, out=Path(folder, "run"), overrides=changes) as events,
    ):
        for event in events:
            if isinstance(event, Step):  # diagnostics are expected here
                on_event(event)
                done.append(event)
                if len(done) >= FEWEST and _diverged(done):
                    break
    if not done:
        raise UsageError(
            f"no step was made: {chosen.name} fits the last layer alone to these images, which takes no "
            "learning rate. --train.unfreeze all trains all layers, --recipe chooses another"
        )
    result = read(home, chosen.name, [step.lr for step in done], own_losses(done))
    write_atomic(home / "find-lr.png", draw.lr_range(result))
    write_json(result, home / "find-lr.json")
    return result


def _diverged(steps: list[Step]) -> bool:
    """Whether the loss has diverged, so that higher rates need no test."""
    losses = own_losses(steps)
    return bool(losses[-1] > GIVE_UP * smooth([step.lr for step in steps], losses).min())
