"""A tiny training, for tests of the loop."""

import numpy as np
import torch
from helpers import image_set, tiny_net

from seewhy.config.augment import AugmentConfig
from seewhy.config.training import TrainConfig
from seewhy.training.batches import Batches
from seewhy.training.checkpoint import load_checkpoint, save_checkpoint
from seewhy.training.loop import TrainState, train
from seewhy.training.objectives import cross_entropy

CPU = torch.device("cpu")


def job(config, seed=0, count=60):
    images = image_set(np.arange(count) % 3)
    batches = Batches(
        images,
        8,
        config.batch_size,
        config.epochs,
        config.seed,
        AugmentConfig(flip=0.5, crop_padding=1),
    )
    return TrainState.start(tiny_net(seed), config), batches


def no_figures(network):
    return {"loss": 1.0, "accuracy": 0.5}


def run(state, batches, config, validate=no_figures, objective=None, mode="max"):
    return train(
        state,
        batches,
        objective or cross_entropy(config.label_smoothing),
        config,
        validate=validate,
        mode=mode,
        device=CPU,
    )


CONFIG = TrainConfig(epochs=3, batch_size=16, lr=0.05, ema=0.9, clip=1.0, weight_decay=1e-3)


def whole_and_resumed(job, config, folder, stop_at):
    """The states after a training, and after one that stopped at an event and was resumed from its files."""
    whole, batches = job(config)
    for _ in run(whole, batches, config):
        pass
    first, batches = job(config)
    for number, _ in enumerate(run(first, batches, config), start=1):
        if number == stop_at:
            break
    path = save_checkpoint(first, folder)
    second, batches = job(config, seed=99)
    assert load_checkpoint(second, path) is None
    for _ in run(second, batches, config):
        pass
    return whole, second
