"""Training objectives."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

# (model, x, soft targets) -> (mean loss, logits); the logits give the training accuracy.
Objective = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]


def cross_entropy(
    label_smoothing: float | None = None, class_weights: Tensor | None = None
) -> Objective:
    """Cross-entropy with soft targets, smoothed (Szegedy et al. 2016) and weighted by class (K,)."""

    def objective(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(x).float()
        loss = nn.functional.cross_entropy(
            logits, y, weight=class_weights, label_smoothing=label_smoothing or 0.0
        )
        return loss, logits

    return objective


def balanced_weights(labels: np.ndarray, num_classes: int) -> Tensor:
    """Class weights (K,), inversely proportional to class counts, with mean 1 over the images."""
    counts = np.bincount(labels, minlength=num_classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.tensor(weights, dtype=torch.float32)
