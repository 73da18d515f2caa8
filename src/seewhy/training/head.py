"""The last layer on frozen features: multinomial logistic regression, cross-validated."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# L2 penalties, strongest first, each fit from the one before; a share of the mean loss.
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
FOLDS = 5
ITERATIONS = 50  # of L-BFGS for each penalty


@dataclass(frozen=True, eq=False)
class Head:
    """A last layer: weight (K, D) and bias (K,) of features, and how it was chosen.

    `losses` are the mean cross-entropies of images that the layer was not fit to, by penalty, and
    `accuracy` the share of them that was right with the chosen `penalty`; both empty or None where
    a class has too few images to leave some out.
    """

    weight: Tensor
    bias: Tensor
    penalty: float
    losses: dict[float, float]
    accuracy: float | None


def fit_head(
    features: Tensor,
    labels: Tensor,
    classes: int,
    *,
    weights: Tensor | None = None,
    groups: np.ndarray | None = None,
    bias: bool = True,
) -> Head:
    """Fits a last layer to features (N, V, D) of V views of N images, with labels (N,).

    Minimises the mean cross-entropy, each class weighted by `weights` (K,), and `penalty / 2` times the
    squared weights of standardised features, by L-BFGS (Liu & Nocedal 1989). The penalty is that with the
    lowest loss in a cross-validation that leaves out all views of an image, and all images of a group,
    together. Without `bias`, features are scaled but not centred, and the bias is zero.
    """
    rows = features.flatten(0, 1)
    mean, std = rows.mean(0) * bias, rows.std(0).clamp_min(1e-3)
    x = (features - mean) / std
    scale = torch.ones(classes) if weights is None else weights
    folds = _folds(labels.numpy(), groups)
    paths = [
        (judged, _path(x[known], labels[known], classes, scale, PENALTIES, bias))
        for known, judged in folds
    ]

    def left_out(number: int) -> Tensor:
        """Logits (N, K) of images that the layer was not fit to, by the penalty of this number."""
        logits = torch.zeros(len(labels), classes)
        for judged, path in paths:
            weight, shift = path[number]
            logits[judged] = (x[judged] @ weight.T + shift).mean(1)
        return logits

    losses: dict[float, float] = {}
    accuracy, penalty = None, PENALTIES[2]
    if folds:
        numbers = range(len(PENALTIES))
        each = [F.cross_entropy(left_out(n), labels, weight=scale).item() for n in numbers]
        losses = dict(zip(PENALTIES, each, strict=True))
        best = int(np.argmin(each))
        penalty = PENALTIES[best]
        accuracy = (left_out(best).argmax(1) == labels).float().mean().item()
    stronger = PENALTIES[: PENALTIES.index(penalty) + 1]
    weight, shift = _path(x, labels, classes, scale, stronger, bias)[-1]
    return Head(weight / std, shift - weight @ (mean / std), penalty, losses, accuracy)


def _folds(labels: np.ndarray, groups: np.ndarray | None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rows to fit to and rows to judge; none where a class has a single image or group."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # a second

    units = np.unique(np.stack((labels, groups)), axis=1)[0] if groups is not None else labels
    folds = min(FOLDS, int(np.bincount(units)[np.unique(labels)].min()))
    if folds < 2:
        return []
    rows = np.arange(len(labels))
    if groups is None:
        return list(StratifiedKFold(folds, shuffle=True, random_state=0).split(rows, labels))
    grouped = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    return list(grouped.split(rows, labels, groups))


def _path(
    x: Tensor,
    labels: Tensor,
    classes: int,
    scale: Tensor,
    penalties: Sequence[float],
    with_bias: bool,
) -> list[tuple[Tensor, Tensor]]:
    """Weight and bias for each penalty, each fit from the one before; without bias it stays zero."""
    rows, targets = x.flatten(0, 1), labels.repeat_interleave(x.shape[1])
    weight = torch.zeros(classes, rows.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=with_bias)
    fitted = []
    for penalty in penalties:
        optimizer = torch.optim.LBFGS(
            [weight, bias],
            max_iter=ITERATIONS,
            history_size=10,
            tolerance_grad=1e-4,
            line_search_fn="strong_wolfe",
        )

        def loss(penalty: float = penalty) -> Tensor:
            weight.grad = bias.grad = None
            fit = F.cross_entropy(rows @ weight.T + bias, targets, weight=scale)
            total = fit + penalty / 2 * weight.square().sum()
            total.backward()
            return total

        optimizer.step(loss)
        fitted.append((weight.detach().clone(), bias.detach().clone()))
    return fitted
