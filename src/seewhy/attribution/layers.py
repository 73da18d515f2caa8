"""The feature maps of each layer of a network, and the filters of the first."""

from typing import Any

import torch
from torch import Tensor, nn

from seewhy.attribution.method import explaining
from seewhy.errors import UsageError
from seewhy.models.timm import parts


def feature_maps(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """The maps (N, C, h, w) that each part of a model makes of images (N, 3, H, W), in order.

    The parts are the model's own children, called by name, as far as they make maps; the last are
    those that its head takes, called `features` where no part makes them. Leaves no trace.
    """
    maps: dict[str, Tensor] = {}
    hooks = []

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor) and output.ndim == 4:
                maps[name] = output.detach().clone()

        return hook

    divided = hasattr(model, "features") and hasattr(model, "head")
    run: Any = model.features if divided else model  # parts of the head make no maps
    with explaining(model), torch.no_grad():
        try:
            for name, child in parts(model).items():
                hooks.append(child.register_forward_hook(keep(name)))
            result = run(images)
            if divided and not any(torch.equal(made, result) for made in maps.values()):
                maps["features"] = result.detach()
        finally:
            for handle in hooks:
                handle.remove()
    return maps


def first_filters(model: nn.Module) -> Tensor:
    """The kernels (C, 3, k, k) that a model lays on the pixels: the first that take three colours.

    Raises `UsageError` where a model has none.
    """
    for weights in model.state_dict().values():
        if weights.ndim == 4 and weights.shape[1] == 3:
            return weights.detach().clone()
    raise UsageError(f"{type(model).__name__} has no convolution of three colours to draw")
