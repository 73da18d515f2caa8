"""Which recipe suits a data set, where the user names none."""

from collections.abc import Mapping
from typing import Any

from seewhy.config.recipe import load_recipe
from seewhy.data import Data, shorter_side
from seewhy.events import Note, OnEvent

THUMBNAIL = 64  # pixels; the side up to which images are thumbnails
DATA = "cifar10"  # if none is named


def suited_recipe(data: Data | None, overrides: Mapping[str, Any] | None, on_event: OnEvent) -> str:
    """`fast` for thumbnails; for photographs `transfer`, or `photos` if `overrides` choose the network.

    By the median shorter side of images outside test. `on_event` receives a `Note` that says why.
    """
    data = DATA if data is None else data
    side = (
        None if data == DATA else shorter_side(data, load_recipe("fast", overrides).data, on_event)
    )
    if side is None or side <= THUMBNAIL:
        return "fast"
    own = [name for name in overrides or {} if name.startswith("model.")]
    name, why = "transfer", "a pretrained network"
    if own:
        name, why = "photos", f"{own[0]} chooses the network, which is trained from nothing"
    reason = f"photographs, {side} pixels on the shorter side; {why}"
    on_event(Note(f"recipe {name}: {reason} (--recipe chooses another)"))
    return name
