"""What is trained of a network, layer by layer; dropout rates and gradient norms."""

import torch
from torch import nn

from seewhy.config.training import TrainConfig
from seewhy.errors import UsageError, first_line
from seewhy.inference.forward import evaluating
from seewhy.models.registry import name_of
from seewhy.models.timm import TimmNetwork, parts
from seewhy.training.batches import progressive_side

FAST_BIASES = 8  # times the rate of kernels


def check_layers(network: nn.Module, config: TrainConfig) -> None:
    """Raises `UsageError` for an option that would have no effect on this network."""
    if config.dropout_schedule is not None and not _dropouts(network):
        raise UsageError(
            "train.dropout_schedule has no effect: this network has no dropout layer; leave it out, or "
            "choose a network with dropout (`seewhy models show NAME` lists the layers)"
        )


def check_sides(network: nn.Module, config: TrainConfig, size: int) -> None:
    """Raises `UsageError` unless the network takes the smaller images of progressive resizing."""
    if config.progressive is None:
        return
    smallest = progressive_side(size, config.progressive, 0)
    text = f"train.progressive={config.progressive:g}"
    if smallest >= size:
        raise UsageError(f"{text} has no effect on images of {size} pixels: give a smaller share")
    try:
        with evaluating(network):
            network(torch.zeros(2, 3, smallest, smallest))
    except (AssertionError, RuntimeError, ValueError) as error:  # timm asserts
        raise UsageError(
            f"{text} starts with images of {smallest} pixels, and {name_of(network) or 'this network'} does "
            f"not take these ({first_line(error)}): give a larger share, or choose a network that pools its "
            "maps, such as speednet or resnet18"
        ) from None


def notes_on_network(network: nn.Module, config: TrainConfig) -> tuple[str, ...]:
    """What a user may not expect of this network, with these rates."""
    return (*_note_on_enlargement(network), *_note_on_rates(network, config))


def _note_on_enlargement(network: nn.Module) -> tuple[str, ...]:
    """That a network of timm enlarges images, unless it was told to."""
    if not isinstance(network, TimmNetwork) or network.arguments["enlarge"] is not None:
        return ()
    if network.inner_size == network.size:
        return ()
    return (
        f"{network.name} sees images enlarged from {network.size} to {network.inner_size} pixels, which it "
        "needs; --model.enlarge sets another side",
    )


def _note_on_rates(network: nn.Module, config: TrainConfig) -> tuple[str, ...]:
    """A warning of a rate for biases that suits only networks whose norms have fixed scales."""
    rate = config.bias_lr or 1.0
    scales = [m.weight for m in network.modules() if isinstance(m, nn.BatchNorm2d) and m.affine]
    fixed = scales and not any(scale.requires_grad for scale in scales)
    if rate < FAST_BIASES or fixed:
        return ()
    return (
        f"train.bias_lr={rate:g} suits speednet, whose norms have fixed scales; on this network it can stop "
        "the training from learning: take the recipe resnet18, or --train.bias_lr none with a tenth of "
        "--train.lr",
    )


def set_dropout(network: nn.Module, rate: float) -> None:
    """Sets the rate of all dropout layers."""
    for layer in _dropouts(network):
        layer.p = rate


def batch_norm_momentum(network: nn.Module) -> float | None:
    """The momentum of the first batch norm that keeps running statistics; None if there is none."""
    norms = (m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))
    return next((m.momentum for m in norms if m.track_running_stats), None)


def freeze_batch_norms(network: nn.Module) -> None:
    """Puts the batch norms into evaluation mode: they use, and keep, their running statistics."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def freeze_blocks(network: nn.Module, share: float) -> None:
    """Leaves the first blocks out of training: `share` of all, to the nearest whole number but the last."""
    away = distances(network)
    blocks = max(away.values()) + 1
    trained = max(1, blocks - round(share * blocks))
    for name, parameter in network.named_parameters():
        if away[name] >= trained:
            parameter.requires_grad_(False)


def distances(network: nn.Module) -> dict[str, int]:
    """How many blocks each parameter is away from the last one, by name.

    A block is a top-level module, or an element of a top-level sequence; a norm belongs to the block before.
    """
    blocks: dict[str, int] = {}
    last = -1
    for name, child in parts(network).items():
        elements = [(name, child)]
        if isinstance(child, nn.Sequential):
            elements = [(f"{name}.{inner}", part) for inner, part in child.named_children()]
        for inner, part in elements:
            names = [f"{inner}.{parameter}" for parameter, _ in part.named_parameters()]
            if names and not isinstance(part, nn.modules.batchnorm._BatchNorm):
                last += 1
            blocks |= dict.fromkeys(names, max(last, 0))
    return {name: last - blocks.get(name, 0) for name, _ in network.named_parameters()}


@torch.no_grad()
def gradient_norms(network: nn.Module) -> dict[str, float]:
    """The Euclidean norm of the loss's gradient by each layer's kernel or matrix, in the network's order.

    If those of the first layers are tiny compared with the last layer's, the gradient has vanished during
    backpropagation (Hochreiter 1991; Glorot 2010).
    """
    return {
        name.removesuffix(".weight"): parameter.grad.norm().item()
        for name, parameter in network.named_parameters()
        if parameter.ndim > 1 and parameter.grad is not None
    }


def _dropouts(network: nn.Module) -> list[nn.Dropout | nn.Dropout2d]:
    return [m for m in network.modules() if isinstance(m, nn.Dropout | nn.Dropout2d)]
