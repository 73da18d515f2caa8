"""Optimisers, by name."""

from torch import nn, optim

from seewhy.config.training import OPTIMIZER_MOMENTUM, TrainConfig


def build_optimizer(network: nn.Module, config: TrainConfig) -> optim.Optimizer:
    """The optimiser over the trainable parameters, in three groups.

    Weight decay acts on kernels and matrices (He et al. 2019, "Bag of tricks"), or on kernels alone;
    biases may have a rate of their own (`bias_lr`). Each group's `scale` is its rate as a multiple
    of the schedule's.
    """
    smallest = 4 if config.weight_decay_on == "kernels" else 2  # dimensions of what decays
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    biases: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        rest = biases if name.endswith("bias") else others
        (decayed if parameter.ndim >= smallest else rest).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay or 0.0, "scale": 1.0},
        {"params": others, "weight_decay": 0.0, "scale": 1.0},
        {"params": biases, "weight_decay": 0.0, "scale": config.bias_lr or 1.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimizer == "sgd":
        momentum = OPTIMIZER_MOMENTUM if config.momentum is None else config.momentum
        return optim.SGD(groups, lr=config.lr, momentum=momentum, nesterov=momentum > 0)
    if config.optimizer == "adam":
        return optim.Adam(groups, lr=config.lr)
    return optim.AdamW(groups, lr=config.lr)
