"""Faithfulness tests: do the regions that a map marks matter, and does it depend on the weights?"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn

from seewhy.attribution.baseline import blurred, mean_colour
from seewhy.attribution.method import Method, explaining
from seewhy.attribution.methods import METHODS
from seewhy.config.names import UNSIGNED_METHODS
from seewhy.inference.predictor import at_a_time

STEPS = 8  # points of a curve, besides its start
MOVES = 3  # places a side that a map is moved to, its own being one of the 9
MARGIN = 0.02  # of area, by which a map must beat each
RANDOMISED = 3  # networks with shuffled weights to compare with
COST = 4 + 3 + 2 * (STEPS - 1) * MOVES**2  # predictions a test, a map counted as one
LIMIT = 0.5  # rank correlation with their maps from which a map is not the network's

# Here the sign says brighter or darker, so places are ranked by size; elsewhere it says for or against.
BY_SIZE: tuple[Method, ...] = tuple(METHODS[name] for name in UNSIGNED_METHODS)

FAULTS = {
    "chance": "what it marks matters no more than what the same map marks elsewhere",
    "weights": "a network with shuffled weights has much the same map",
}

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """The attribution maps of N images, and how faithful each is.

    `maps` (N, H, W). `deletion` (N, 9): the target's probability as 0 to all of the pixels, those
    that the map ranks highest first, give way to the training images' mean colour; it falls at once
    where the map is right. `insertion` (N, 9): as they come into the blurred image; it rises at
    once. Both are RISE's (Petsiuk 2018, arXiv:1806.07421). `random_deletion`, `random_insertion`:
    the means for 8 maps by chance, which are the map itself moved by thirds of its sides, wrapped
    round. `beaten` (N,): the share of these whose insertion area less deletion area is below the
    map's by 0.02 or more. A map that marks places at random is one of 9 alike, and best of them at most
    once in 9: of 100 random smooth maps of CIFAR-10's images 10 were. `randomised` (N,): Spearman's
    rank correlation with the maps of 3 copies of the network whose weights are shuffled (after Adebayo
    2018, arXiv:1810.03292), in [-1, 1]; near 1 the map does not depend on what was learnt; NaN where
    the weights are not at hand.
    """

    maps: Floats
    deletion: Floats
    insertion: Floats
    random_deletion: Floats
    random_insertion: Floats
    beaten: Floats
    randomised: Floats

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def reliable(self) -> NDArray[np.bool_]:
        """Which maps passed both tests, (N,): of maps that mark places at random, one in 9 at most."""
        return np.array([not self.faults(row) for row in range(len(self))], bool)

    def faults(self, row: int) -> tuple[str, ...]:
        """Which of `FAULTS` the map of an image has; none where it is reliable."""
        failed = {"chance": self.beaten[row] < 1, "weights": self.randomised[row] > LIMIT}
        return tuple(name for name in FAULTS if failed[name])

    def verdict(self, row: int) -> str:
        """In words: "reliable", or "unreliable" with the names of its faults."""
        faults = self.faults(row)
        return f"unreliable: {', '.join(faults)}" if faults else "reliable"

    @property
    def areas(self) -> dict[str, Floats]:
        """The area under each curve of each image, (N,) in [0, 1]: the mean probability on the way."""
        names = ("deletion", "random_deletion", "insertion", "random_insertion")
        return {name: area(getattr(self, name)) for name in names}

    def of(self, row: int) -> dict[str, Any]:
        """The results of one map as JSON values: areas, both tests and the verdict."""
        areas = {name: float(each[row]) for name, each in self.areas.items()}
        faults = self.faults(row)
        tests = {"beaten": float(self.beaten[row]), "randomised": float(self.randomised[row])}
        return {**areas, **tests, "reliable": not faults, "faults": list(faults)}

    def means(self) -> dict[str, float]:
        """The means over all maps of what `of` gives, and the share that is reliable."""
        areas = {name: float(each.mean()) for name, each in self.areas.items()}
        tests = {name: float(getattr(self, name).mean()) for name in ("beaten", "randomised")}
        return {"n": len(self), **areas, **tests, "reliable": float(self.reliable.mean())}


def area(curves: Floats) -> Floats:
    """The area under curves (..., points) over [0, 1], in [0, 1]: the mean probability on the way."""
    return (curves[..., 1:] + curves[..., :-1]).mean(-1) / 2


def uncounted(predictions: int) -> None:
    """Counts nothing: the default `count` of `faithfulness`."""


def faithfulness(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    method: Method,
    *,
    copies: Sequence[nn.Module] | None = None,
    count: Callable[[int], None] = uncounted,
) -> Faithfulness:
    """Explains images (N, 3, H, W) by a method, and tests each map.

    Costs 129 predictions an image and the method itself four times; `count` receives how many were made
    since, a map counted as one: `COST` an image in all. The moves and the shuffled weights are the same at
    each call; `copies` are those of `shuffled_copies`, if they are at hand. Raises what the method raises.
    """
    copies = shuffled_copies(model) if copies is None else copies
    maps = method(model, images, targets)
    count(len(images) * (1 + RANDOMISED - len(copies)))
    places = maps.abs() if method in BY_SIZE else maps
    correlations = torch.full((len(images),), 0.0 if copies else math.nan, dtype=torch.float64)
    for copied in copies:
        others = method(copied, images, targets)
        correlations += rank_correlation(places, others.abs() if method in BY_SIZE else others)
        count(len(images))
    moved = torch.stack([places.roll(by, (1, 2)) for by in _moves(*maps.shape[1:])], 1)
    with explaining(model), torch.no_grad():
        each = [
            _curves(model, x[None], target, places, count)
            for x, target, places in zip(images, targets, moved, strict=True)
        ]
    curves = torch.stack(each) if each else images.new_zeros(0, 2, MOVES**2, STEPS + 1)
    deletion, insertion = curves.cpu().numpy().swapaxes(0, 1)  # each (N, 9, 9), the map's own first
    gain = area(insertion) - area(deletion)
    return Faithfulness(
        maps=maps.cpu().numpy(),
        deletion=deletion[:, 0],
        insertion=insertion[:, 0],
        random_deletion=deletion[:, 1:].mean(1),
        random_insertion=insertion[:, 1:].mean(1),
        beaten=(gain[:, :1] > gain[:, 1:] + MARGIN).mean(1, dtype=np.float32),
        randomised=(correlations / max(len(copies), 1)).float().numpy(),
    )


def concat(parts: Sequence[Faithfulness]) -> Faithfulness:
    """Joins the records of some images, in order."""
    names = [field.name for field in fields(Faithfulness)]
    return Faithfulness(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    )


def shuffled_copies(model: nn.Module) -> list[nn.Module]:
    """The networks with shuffled weights that a map is compared with; none where there are no weights."""
    known = next(model.parameters(), None) is not None
    return [shuffled(model, seed) for seed in range(RANDOMISED if known else 0)]


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


def _moves(height: int, width: int) -> list[tuple[int, int]]:
    """By how much a map is moved, down and across, to each of its 9 places; its own is the first."""
    return [
        (height * down // MOVES, width * across // MOVES)
        for down in range(MOVES)
        for across in range(MOVES)
    ]


def _curves(
    model: nn.Module, x: Tensor, target: Tensor, maps: Tensor, count: Callable[[int], None]
) -> Tensor:
    """Deletion and insertion (2, M, 9) of an image (1, 3, H, W), in the order of M maps (M, H, W)."""
    order = maps.flatten(1).argsort(dim=1, descending=True, stable=True)
    ranks = order.argsort(dim=1).view_as(maps)  # 0 is the first pixel to go
    shares = [round(step / STEPS * order.shape[1]) for step in range(1, STEPS)]
    taken = torch.cat([ranks < share for share in shares])[:, None]
    grey, blur = mean_colour(model, x), blurred(x)
    most = at_a_time(order.shape[1])
    whole, covered, unseen = _probability(model, torch.cat([x, grey, blur]), target).split(1)
    count(3)
    curves = []
    for start, before, after, end in ((whole, x, grey, covered), (unseen, blur, x, whole)):
        inner = []
        for part in taken.split(most):
            inner.append(_probability(model, torch.where(part, after, before), target))
            count(len(part))
        points = torch.cat(inner).view(STEPS - 1, len(maps))
        ends = [point.expand(1, len(maps)) for point in (start, end)]
        curves.append(torch.cat([ends[0], points, ends[1]]).T)
    return torch.stack(curves)


def _probability(model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
    """The probability (B,) of one class for images (B, 3, H, W)."""
    return model(x).float().softmax(1)[:, target]  # type: ignore[no-any-return]
