"""Which learning rate to train with: Smith's range test."""

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
from seewhy.files import write_json
from seewhy.plots.experiments import draw_lr_range
from seewhy.workflows.experiments.task import claimed, place
from seewhy.workflows.train import training_events

HIGHEST = 10.0  # the rate of the last step; the first has a millionth of it
GIVE_UP = 4.0  # times the lowest smoothed loss, at which a training has diverged
FEWEST = 20  # steps before a loss can be called diverged

# What would end the test early, bend it, or cost time for nothing.
_OFF = dict.fromkeys(
    [
        *(f"train.{name}" for record in SCHEDULES.values() for name in record.model_fields),
        *("train.patience", "train.time_limit", "train.ema"),
    ]
)


def find_lr(
    data: Data = "cifar10",
    recipe: str | Path = "fast",
    *,
    steps: int = 200,
    out: str | Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    on_event: OnEvent = ignore,
) -> LrRange:
    """Trains for about `steps` steps at rates from 1e-5 up to 10, and reads the best off the loss.

    The recipe's own loop, batches, net and optimiser; nothing of the run is kept. The rate rises by the
    same factor every step (Smith 2017, "Cyclical learning rates", there in a line), until the loss is
    four times its lowest. `out` is a folder for find-lr.png and find-lr.json. Raises `UsageError` where the
    loss tells nothing.
    """
    if out is not None:
        place(out, "find-lr")  # refused before the training, not after
    if steps < FEWEST:
        raise UsageError(f"{steps} steps: expected {FEWEST} or more to read a curve from")
    chosen = load_recipe(recipe, overrides)
    count = len(load_data(data, chosen.data, on_event=on_event).train)
    batch = chosen.train.batch_size
    changes = {
        **_OFF,
        "train.schedule": "range",
        "train.lr": HIGHEST,
        "train.epochs": max(1, round(steps * batch / count)),
    }
    if count > steps * batch:  # an epoch of just so many
        changes["data.limit"] = steps * batch
    changes = {**(overrides or {}), **changes}
    taken: list[Step] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        suppress(DivergedError),
        training_events(data, recipe, out=Path(folder, "run"), overrides=changes) as events,
    ):
        for event in events:
            if isinstance(event, Step):  # diagnostics are the point here, and no news
                on_event(event)
                taken.append(event)
                if len(taken) >= FEWEST and _diverged(taken):
                    break
    result = read(chosen.name, [step.lr for step in taken], own_losses(taken))
    if out is not None:
        home = claimed(out, "find-lr")
        draw_lr_range(result, home)
        write_json(result, home / "find-lr.json")
    return result


def _diverged(steps: list[Step]) -> bool:
    """Whether the loss has diverged, so that higher rates tell nothing more."""
    losses = own_losses(steps)
    return bool(losses[-1] > GIVE_UP * smooth([step.lr for step in steps], losses).min())
