"""Partition SHAP: Shapley values of an image's blocks, halved where it matters most."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seewhy.attribution.baseline import blurred
from seewhy.attribution.method import explanation, target_logits
from seewhy.inference.predictor import MOST_PIXELS

ROUNDS = 8  # of halving: 364 evaluations at most, for an image
ROUND = 32  # terms halved at a time at most, for two evaluations each


@explanation
def shap(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps Shapley values of blocks (Lundberg & Lee 2017, arXiv:1705.07874; Owen 1977).

    The image is a team of two halves, each a team of two halves, and so on; what is absent is
    blurred beyond recognition. A half's share is its mean contribution `f(S + half) - f(S)` to the
    target's logit with the other half absent and present, `S` being what of the rest is present.
    Halving starts where the contribution is largest and ends after 8 rounds, of 364 evaluations; a
    block not halved shares evenly among its pixels. Positive: the block speaks for the target. A map adds up
    to the logit of the image less that of the blurred one, exactly.
    """
    maps, batch = [], max(1, MOST_PIXELS // images[0, 0].numel())
    with torch.no_grad():
        for x, absent, target in zip(images, blurred(images), targets, strict=True):

            def value(
                present: Tensor, x: Tensor = x, absent: Tensor = absent, t: Tensor = target
            ) -> Tensor:
                logits = []
                for part in present[:, None].split(batch):
                    mixed = torch.where(part, x, absent)
                    logits.append(target_logits(model, mixed, t.expand(len(mixed))))
                return torch.cat(logits)

            nothing = torch.zeros(x.shape[1:], dtype=torch.bool, device=x.device)
            maps.append(owen_values(value, nothing))
    return torch.stack(maps)


@dataclass(frozen=True)
class _Term:
    """A share `weight * (after - before)` of a block (top, left, bottom, right) that joins `present`."""

    block: tuple[int, int, int, int]
    present: Tensor
    before: float
    after: float
    weight: float

    @property
    def share(self) -> float:
        return self.weight * (self.after - self.before)

    @property
    def area(self) -> int:
        top, left, bottom, right = self.block
        return (bottom - top) * (right - left)


def owen_values(value: Callable[[Tensor], Tensor], nothing: Tensor) -> Tensor:
    """The Owen values (H, W) of the pixels in the game `value`, by halves of halves.

    `value` gives what each of B sets of pixels, bool (B, H, W), is worth, (B,); `nothing` is the
    empty set, (H, W).
    """
    worth = value(torch.stack([nothing, ~nothing])).tolist()
    terms = [_Term((0, 0, *nothing.shape), nothing, worth[0], worth[1], 1.0)]  # type: ignore[arg-type]
    for _ in range(ROUNDS):
        terms.sort(key=lambda term: abs(term.share) if term.area > 1 else -1.0, reverse=True)
        halved = [term for term in terms[:ROUND] if term.area > 1]
        if not halved:
            break
        terms = [*_halve(value, halved), *terms[len(halved) :]]
    values = torch.zeros(nothing.shape, dtype=torch.float64)
    for term in terms:
        top, left, bottom, right = term.block
        values[top:bottom, left:right] += term.share / term.area
    return values.to(nothing.device, torch.float32)


def _halve(value: Callable[[Tensor], Tensor], terms: list[_Term]) -> list[_Term]:
    """Four terms for each: either half, as it joins before the other one and after it."""
    halves = [_halves(term.block) for term in terms]
    joined = [
        _with(term.present, half) for term, pair in zip(terms, halves, strict=True) for half in pair
    ]
    worth = value(torch.stack(joined)).tolist()
    halved = []
    for number, (term, (first, second)) in enumerate(zip(terms, halves, strict=True)):
        with_first, with_second = joined[2 * number : 2 * number + 2]
        one, other = worth[2 * number : 2 * number + 2]
        weight = term.weight / 2
        halved += [
            _Term(first, term.present, term.before, one, weight),
            _Term(first, with_second, other, term.after, weight),
            _Term(second, term.present, term.before, other, weight),
            _Term(second, with_first, one, term.after, weight),
        ]
    return halved


def _halves(block: tuple[int, int, int, int]) -> tuple[tuple[int, int, int, int], ...]:
    """A block cut across its longer side."""
    top, left, bottom, right = block
    if bottom - top >= right - left:
        middle = (top + bottom) // 2
        return (top, left, middle, right), (middle, left, bottom, right)
    middle = (left + right) // 2
    return (top, left, bottom, middle), (top, middle, bottom, right)


def _with(present: Tensor, block: tuple[int, int, int, int]) -> Tensor:
    top, left, bottom, right = block
    joined = present.clone()
    joined[top:bottom, left:right] = True
    return joined
