"""Which recipe suits a data set, where the user names none."""

from collections.abc import Mapping
from typing import Any

from seewhy.config.networks import NETWORKS
from seewhy.config.networks.timm import TIMM
from seewhy.config.recipe import load_recipe
from seewhy.data import Data, Listed, list_data
from seewhy.events import Note, OnEvent, ignore
from seewhy.text import counted

TINY = 16  # pixels; the side up to which `speednet`, the network of `fast` and `thumbnails`, is too large
THUMBNAIL = 64  # pixels; the side up to which images are thumbnails
MANY = 20_000  # images, test included, of which `fast` makes enough steps in its large batches
LARGE = ("quick", "fast", "best")  # recipes of such batches
DATA = "cifar10"  # if none is named


def suited_recipe(
    data: Data | Listed | None,
    overrides: Mapping[str, Any] | None = None,
    on_event: OnEvent = ignore,
) -> str:
    """The recipe that suits a data set, where the user names none.

    `fast` for many thumbnails, `thumbnails` for few, `digits` for tiny images, `transfer` for photographs
    and wherever `overrides` name pretrained weights. If they choose another network without, `resnet18` for
    thumbnails and `photos` for photographs, or `transfer` where that network has weights and no `width`. By
    the median shorter side of images outside test, and by their number. `on_event` receives a `Note` that
    says why.
    """
    overrides = overrides or {}
    images = listed(data, overrides, on_event)
    side, total = (
        (images.shorter_side, images.total) if isinstance(images, Listed) else (None, MANY)
    )
    network = overrides.get("model.name", "speednet")
    if overrides.get("model.weights") is not None:
        name, reason = "transfer", "model.weights names pretrained weights"
    elif side is not None and side > THUMBNAIL:
        name, why = "transfer", "a pretrained network"
        untrained = "model.weights" in overrides or not _pretrained_alone(network)
        if (own := _of_another_network(overrides)) and untrained:
            name = "photos"
            why = f"{own} chooses another network, from random weights unless --model.weights names some"
        reason = f"photographs, {side} pixels on the shorter side; {why}"
    elif network != "speednet":
        name, reason = (
            "resnet18",
            f"model.name chooses {network}; fast and thumbnails are made for speednet",
        )
    elif side is not None and side <= TINY:
        name, reason = (
            "digits",
            f"images of {side} pixels are too small for the network of thumbnails",
        )
    elif side is not None and total < MANY:
        name, reason = "thumbnails", f"{counted(total, 'image')} of {side} pixels"
    else:
        return "fast"
    on_event(Note(f"recipe {name}: {reason} (--recipe chooses another)"))
    return name


def _of_another_network(overrides: Mapping[str, Any]) -> str | None:
    """The first override that is no option of the network of `transfer`, but chooses one."""
    own = {f"model.{option}" for option in type(load_recipe("transfer").model.options).model_fields}
    return next((name for name in overrides if name.startswith("model.") and name not in own), None)


def _pretrained_alone(network: str) -> bool:
    """Whether there are weights for a network that `photos` cannot train: it sets foreign options."""
    if network.startswith(TIMM):  # nearly all have weights, and none a width
        return True
    known = NETWORKS.get(network)
    if known is None or known.pretrained is None:
        return False
    return not load_recipe("photos").model.options.model_fields_set <= set(known.model_fields)


def listed(
    data: Data | Listed | None, overrides: Mapping[str, Any] | None, on_event: OnEvent = ignore
) -> Data | Listed | None:
    """The data with their files listed, so that it is done once; the default data are known as they are."""
    if data is None or (isinstance(data, str) and data == DATA):
        return data
    about_data = {k: v for k, v in (overrides or {}).items() if k.startswith("data.")}
    return list_data(data, load_recipe("fast", about_data).data, on_event)
