"""Optimisers, by name; the options of each are a record in `config/optimisers.py`."""

from collections.abc import Callable
from typing import Any

from torch import nn, optim

from seewhy.config.training import TrainConfig
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
    """The optimiser over the trainable parameters, in three groups.

    Weight decay applies to kernels and matrices (He et al. 2019, "Bag of tricks"), or to kernels only;
    biases may have their own rate (`bias_lr`). Each group's `scale` multiplies the rate of the schedule.
    """
    smallest = 4 if config.weight_decay_on == "kernels" else 2  # dimensions of decayed tensors
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        rest = biases if name.endswith("bias") else others
        (decayed if parameter.ndim >= smallest else rest).append(parameter)
    groups: Groups = [
        {"params": decayed, "weight_decay": config.weight_decay or 0.0, "scale": 1.0},
        {"params": others, "weight_decay": 0.0, "scale": 1.0},
        {"params": biases, "weight_decay": 0.0, "scale": config.bias_lr or 1.0},
    ]
    groups = [group for group in groups if group["params"]]
    options = config.optimiser_options.model_dump()
    return OPTIMISERS[config.optimizer](groups, lr=config.lr, **options)
