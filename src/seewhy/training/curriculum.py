"""A curriculum: easy images first, as another model's loss tells them (Bengio et al. 2009)."""

from dataclasses import dataclass

import numpy as np
import torch

from seewhy.data import ImageSet
from seewhy.data.images.decode import centre
from seewhy.inference.forward import full_precision, to_input
from seewhy.inference.predictor import at_a_time
from seewhy.training.reference import Reference

START = 0.25  # share of each class, its easiest images, in the first epoch


@dataclass(frozen=True, eq=False)
class Curriculum:
    """How difficult each training image is, float64 `(N,)`, and the epochs after which all are used."""

    difficulty: np.ndarray
    epochs: float

    def rows(self, labels: np.ndarray, epoch: int) -> np.ndarray:
        """The rows that an epoch chooses from: the easiest of each class, a share that grows linearly."""
        share = min(1.0, START + (1 - START) * epoch / self.epochs)
        easiest = []
        for label in np.unique(labels):
            own = np.flatnonzero(labels == label)
            order = np.argsort(self.difficulty[own], kind="stable")
            easiest.append(own[order[: int(np.ceil(share * len(own)))]])
        return np.sort(np.concatenate(easiest))


def difficulty(model: Reference, images: ImageSet, size: int, device: torch.device) -> np.ndarray:
    """The model's log loss on each image as evaluation sees it, float64 `(N,)`; larger is harder."""
    model.place(device)
    step = at_a_time(size**2)
    losses = []
    with full_precision():
        for start in range(0, len(images), step):
            part = slice(start, start + step)
            x = to_input(centre(images.images[part], size), device)
            own = torch.from_numpy(images.labels[part]).to(device)[:, None]
            likely = model.probabilities(x).double().gather(1, own)[:, 0]
            losses.append(-likely.clamp(min=1e-12).log().cpu().numpy())
    model.place(torch.device("cpu"))  # which leaves a GPU's memory to the training
    return np.concatenate(losses)
