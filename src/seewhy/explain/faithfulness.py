"""Lie detectors for maps: does what a map marks matter to the network, and does the map depend on it?"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn

from seewhy.explain.baseline import blurred, mean_colour
from seewhy.explain.guided_grad_cam import guided_grad_cam
from seewhy.explain.method import BATCH, Method, explaining
from seewhy.explain.saliency import saliency
from seewhy.explain.smooth_grad import smooth_grad

STEPS = 16  # points of a curve, besides its start
MOVED = 4  # random maps to compare with
RANDOMISED = 3  # networks with shuffled weights to compare with
LIMIT = 0.5  # rank correlation with their maps from which a map is not the network's

# Here the sign says brighter or darker, so places are ranked by size; elsewhere it says for or against.
BY_SIZE: tuple[Method, ...] = (saliency, smooth_grad, guided_grad_cam)

FAULTS = {
    "deletion": "deleting what it marks harms no more than deleting at random",
    "insertion": "inserting what it marks helps no more than inserting at random",
    "weights": "a network with shuffled weights has much the same map",
}

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """The maps of N pictures, and how far each can be believed.

    `maps` (N, H, W). `deletion` (N, 17): the target's probability as 0 to all of the pixels, those
    that the map ranks highest first, give way to the training pictures' mean colour; it falls at once
    where the map is right. `insertion` (N, 17): as they come into the blurred picture; it rises at
    once. Both are RISE's (Petsiuk 2018, arXiv:1806.07421). `random_deletion`, `random_insertion`:
    the means for 4 random maps of the same grain, which are the map itself moved by at least a
    quarter of its sides, wrapped round. `randomised` (N,): Spearman's rank correlation with the maps of
    3 copies of the network whose weights are shuffled (after Adebayo 2018, arXiv:1810.03292), in
    [-1, 1]; near 1 the map does not depend on what was learnt.
    """

    maps: Floats
    deletion: Floats
    insertion: Floats
    random_deletion: Floats
    random_insertion: Floats
    randomised: Floats

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def reliable(self) -> NDArray[np.bool_]:
        """Which maps passed every test, (N,)."""
        return np.array([not self.faults(row) for row in range(len(self))], bool)

    def faults(self, row: int) -> tuple[str, ...]:
        """Which of `FAULTS` speak against the map of a picture; none where it can be believed."""
        found = {
            "deletion": area(self.deletion[row]) >= area(self.random_deletion[row]),
            "insertion": area(self.insertion[row]) <= area(self.random_insertion[row]),
            "weights": self.randomised[row] > LIMIT,
        }
        return tuple(name for name, failed in found.items() if failed)

    def of(self, row: int) -> dict[str, Any]:
        """The figures of one map as JSON values: areas, rank correlation and verdict."""
        areas = {name: float(area(curves[row])) for name, curves in self._curves.items()}
        faults = self.faults(row)
        randomised = float(self.randomised[row])
        return {**areas, "randomised": randomised, "reliable": not faults, "faults": list(faults)}

    def means(self) -> dict[str, float]:
        """The means over all maps of what `of` gives, and the share that is reliable."""
        areas = {name: float(area(curves).mean()) for name, curves in self._curves.items()}
        randomised, reliable = float(self.randomised.mean()), float(self.reliable.mean())
        return {"n": len(self), **areas, "randomised": randomised, "reliable": reliable}

    @property
    def _curves(self) -> dict[str, Floats]:
        names = ("deletion", "random_deletion", "insertion", "random_insertion")
        return {name: getattr(self, name) for name in names}


def area(curves: Floats) -> Floats:
    """The area under curves (..., points) over [0, 1], in [0, 1]: the mean probability on the way."""
    return (curves[..., 1:] + curves[..., :-1]).mean(-1) / 2


def faithfulness(model: nn.Module, images: Tensor, targets: Tensor, method: Method) -> Faithfulness:
    """Explains pictures (N, 3, H, W) by a method, and tests each map.

    Costs about 170 predictions a picture and the method itself four times. The random maps and the
    shuffled weights are the same at each call. Raises what the method raises.
    """
    maps = method(model, images, targets)
    places = maps.abs() if method in BY_SIZE else maps
    moved = [places.roll(offset, (1, 2)) for offset in _offsets(*maps.shape[1:])]
    correlations = torch.zeros(len(images), dtype=torch.float64)
    for seed in range(RANDOMISED):
        others = method(shuffled(model, seed), images, targets)
        correlations += rank_correlation(places, others.abs() if method in BY_SIZE else others)
    with explaining(model), torch.no_grad():
        deletion, insertion = _curves(model, images, targets, places)
        random = torch.stack([_curves(model, images, targets, ranked) for ranked in moved]).mean(0)
    return Faithfulness(
        maps=maps.cpu().numpy(),
        deletion=deletion.cpu().numpy(),
        insertion=insertion.cpu().numpy(),
        random_deletion=random[0].cpu().numpy(),
        random_insertion=random[1].cpu().numpy(),
        randomised=(correlations / RANDOMISED).float().numpy(),
    )


def concat(parts: Sequence[Faithfulness]) -> Faithfulness:
    """Joins the records of some pictures, in order."""
    names = [field.name for field in fields(Faithfulness)]
    return Faithfulness(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )


def shuffled(model: nn.Module, seed: int) -> nn.Module:
    """A copy of a model with the values of each weight tensor in random order."""
    copied = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in copied.parameters():
            order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
            weights.copy_(weights.flatten()[order].view_as(weights))
    return copied


def rank_correlation(maps: Tensor, others: Tensor) -> Tensor:
    """Spearman's rank correlation of each pair of maps (N, H, W), (N,); 0 where one is constant."""
    first, second = (_centred_ranks(found) for found in (maps, others))
    product = (first * second).sum(1)
    norms = np.sqrt((first**2).sum(1) * (second**2).sum(1))
    return torch.from_numpy(np.divide(product, norms, out=np.zeros_like(product), where=norms > 0))


def _centred_ranks(maps: Tensor) -> NDArray[np.float64]:
    ranks: NDArray[np.float64] = rankdata(maps.flatten(1).cpu().numpy(), axis=1)
    return ranks - ranks.mean(1, keepdims=True)


def _offsets(height: int, width: int) -> list[tuple[int, int]]:
    """By how much to move maps, down and across: a quarter to three quarters of their sides."""
    rng = np.random.default_rng(0)
    down, across = (
        rng.integers(side // 4, side - side // 4 + 1, MOVED) for side in (height, width)
    )
    return list(zip(down.tolist(), across.tolist(), strict=True))


def _curves(model: nn.Module, images: Tensor, targets: Tensor, places: Tensor) -> Tensor:
    """Deletion and insertion, (2, N, 17), of pixels in the order in which the maps rank them."""
    parts = zip(images.split(BATCH), targets.split(BATCH), places.split(BATCH), strict=True)
    found = [_batch_curves(model, x, t, ranked) for x, t, ranked in parts]
    return torch.cat(found, 1) if found else images.new_zeros(2, 0, STEPS + 1)


def _batch_curves(model: nn.Module, x: Tensor, targets: Tensor, places: Tensor) -> Tensor:
    order = places.flatten(1).argsort(dim=1, descending=True, stable=True)
    ranks = order.argsort(dim=1).view_as(places)[:, None]  # 0 is the first pixel to go
    grey, blur = mean_colour(model, x), blurred(x)
    deletion, insertion = [], []
    for step in range(STEPS + 1):
        taken = ranks < round(step / STEPS * order.shape[1])
        deletion.append(_probability(model, torch.where(taken, grey, x), targets))
        insertion.append(_probability(model, torch.where(taken, x, blur), targets))
    return torch.stack([torch.stack(deletion, 1), torch.stack(insertion, 1)])


def _probability(model: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    probabilities: Tensor = model(x).float().softmax(1)
    return probabilities.gather(1, targets[:, None])[:, 0]
