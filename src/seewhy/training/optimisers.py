"""Optimisers, by name; the options of each are a record in `config/optimisers.py`."""

from collections.abc import Callable
from typing import Any

from torch import nn, optim

from seewhy.config.training import TrainConfig
from seewhy.training.layers import distances
from seewhy.training.muon import Muon

Groups = list[dict[str, Any]]


def sgd(groups: Groups, lr: float, momentum: float) -> optim.Optimizer:
    """SGD with Nesterov momentum, if momentum > 0."""
    return optim.SGD(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)


# Each takes the parameter groups, the rate and the options of its record.
OPTIMISERS: dict[str, Callable[..., optim.Optimizer]] = {
    "sgd": sgd,
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "muon": Muon,
}


def build_optimizer(network: nn.Module, config: TrainConfig) -> optim.Optimizer:
    """The optimiser over the trainable parameters, in three groups, with `layer_decay` three for each block.

    Weight decay applies to kernels and matrices (He et al. 2019, "Bag of tricks"), or to kernels only;
    biases may have their own rate (`bias_lr`). Each group's `scale` multiplies the rate of the schedule; it
    falls from block to block towards the input by `layer_decay` (Howard & Ruder 2018, arXiv:1801.06146).
    """
    smallest = 4 if config.weight_decay_on == "kernels" else 2  # dimensions of decayed tensors
    away = distances(network) if config.layer_decay is not None else {}
    groups: Groups = []
    for distance in sorted({*away.values(), 0}, reverse=True):
        scale = (config.layer_decay or 1.0) ** distance
        decayed: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        biases: list[nn.Parameter] = []
        for name, parameter in network.named_parameters():
            if not parameter.requires_grad or away.get(name, 0) != distance:
                continue
            rest = biases if name.endswith("bias") else others
            (decayed if parameter.ndim >= smallest else rest).append(parameter)
        groups += [
            {"params": decayed, "weight_decay": config.weight_decay or 0.0, "scale": scale},
            {"params": others, "weight_decay": 0.0, "scale": scale},
            {"params": biases, "weight_decay": 0.0, "scale": scale * (config.bias_lr or 1.0)},
        ]
    groups = [group for group in groups if group["params"]]
    options = config.optimiser_options.model_dump()
    return OPTIMISERS[config.optimizer](groups, lr=config.lr, **options)
