"""Which recipe suits a data set, where the user names none."""

from collections.abc import Mapping
from typing import Any

from seewhy.config.recipe import load_recipe
from seewhy.data import Data, Listed, list_data
from seewhy.events import Note, OnEvent, ignore

THUMBNAIL = 64  # pixels; the side up to which images are thumbnails
DATA = "cifar10"  # if none is named


def suited_recipe(
    data: Data | Listed | None, overrides: Mapping[str, Any] | None, on_event: OnEvent
) -> str:
    """`fast` for thumbnails; for photographs `transfer`, or `photos` if `overrides` choose the network.

    By the median shorter side of images outside test. `on_event` receives a `Note` that says why.
    """
    images = listed(data, overrides, on_event)
    side = images.shorter_side if isinstance(images, Listed) else None
    if side is None or side <= THUMBNAIL:
        return "fast"
    own = [name for name in overrides or {} if name.startswith("model.")]
    name, why = "transfer", "a pretrained network"
    if own:
        name, why = "photos", f"{own[0]} chooses the network, which is trained from nothing"
    reason = f"photographs, {side} pixels on the shorter side; {why}"
    on_event(Note(f"recipe {name}: {reason} (--recipe chooses another)"))
    return name


def listed(
    data: Data | Listed | None, overrides: Mapping[str, Any] | None, on_event: OnEvent = ignore
) -> Data | Listed | None:
    """The data with their files listed, so that it is done once; the default data are known as they are."""
    if data is None or (isinstance(data, str) and data == DATA):
        return data
    return list_data(data, load_recipe("fast", overrides).data, on_event)
