"""What training sets and reads in the layers of a network: dropout rates, gradient norms."""

import torch
from torch import nn

from seewhy.config.training import TrainConfig
from seewhy.errors import UsageError


def check_layers(network: nn.Module, config: TrainConfig) -> None:
    """Raises `UsageError` for an option that would have no effect on this network."""
    if config.dropout_schedule is not None and not _dropouts(network):
        raise UsageError(
            "train.dropout_schedule has no effect: this net has no dropout layer; leave it out, or "
            "choose a net that has one (`seewhy models show NAME` lists a net's layers)"
        )


def set_dropout(network: nn.Module, rate: float) -> None:
    """Gives all dropout layers one rate."""
    for layer in _dropouts(network):
        layer.p = rate


@torch.no_grad()
def gradient_norms(network: nn.Module) -> dict[str, float]:
    """The Euclidean norm of the loss's gradient by each layer's kernel or matrix, in the net's order.

    Where the first layers' are a tiny part of the last's, the gradient has vanished on its way back
    (Hochreiter 1991; Glorot 2010).
    """
    return {
        name.removesuffix(".weight"): parameter.grad.norm().item()
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1 and parameter.grad is not None
    }


def _dropouts(network: nn.Module) -> list[nn.Dropout | nn.Dropout2d]:
    return [m for m in network.modules() if isinstance(m, nn.Dropout | nn.Dropout2d)]
