"""Training: batches, objective, optimiser and average, driven by one flat loop."""

from seewhy.inference.device import pick_amp, pick_device, place
from seewhy.training.batches import Batches
from seewhy.training.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from seewhy.training.layers import check_layers
from seewhy.training.loop import Epoch, Progress, Step, TrainState, train
from seewhy.training.objective import balanced_weights, cross_entropy

__all__ = [
    "Batches",
    "Epoch",
    "Progress",
    "Step",
    "TrainState",
    "balanced_weights",
    "check_layers",
    "cross_entropy",
    "latest_checkpoint",
    "load_checkpoint",
    "load_weights",
    "pick_amp",
    "pick_device",
    "place",
    "save_checkpoint",
    "train",
]
