"""Training objectives."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from seewhy.training.reference import Reference

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


def distilled(
    objective: Objective, teacher: Reference, weight: float, temperature: float
) -> Objective:
    """Adds a teacher's answers to an objective, which keeps 1 - `weight` (Hinton et al. 2015).

    The teacher sees the same augmented images. Its part is the divergence of the probabilities at this
    `temperature`, times its square, so that gradients are as large at any temperature.
    """

    def objective_with_teacher(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        loss, logits = objective(model, x, y)
        divergence = nn.functional.kl_div(
            (logits / temperature).log_softmax(1),
            teacher.probabilities(x, temperature),
            reduction="batchmean",
        )
        return (1 - weight) * loss + weight * temperature**2 * divergence, logits

    return objective_with_teacher


def balanced_weights(labels: np.ndarray, num_classes: int) -> Tensor:
    """Class weights (K,), inversely proportional to class counts, with mean 1 over the images."""
    counts = np.bincount(labels, minlength=num_classes)
    weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return torch.tensor(weights, dtype=torch.float32)
