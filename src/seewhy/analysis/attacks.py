"""Adversarial attacks: changes too small for a person to see that make a network err.

All changes stay within `radius` in every value (the L-infinity ball) and images in [0, 1]. `model` gives
logits (N, K) for images float32 (N, 3, H, W); `labels` (N,) are the true classes.

All lower the margin, the true class's logit less the largest other (Carlini and Wagner 2017,
arXiv:1608.04644). The gradient of the log loss vanishes where logits are large, so that a model with a high
confidence would seem robust (Croce and Hein 2020, arXiv:2003.01690); that of the margin does not depend on
the scale of the logits.
"""

from collections.abc import Callable

import torch
from torch import Tensor

Model = Callable[[Tensor], Tensor]
Attack = Callable[[Model, Tensor, Tensor, float], Tensor]

PGD_STEPS = 20
QUERIES = 500
START = 0.8  # of Square: share of the image that the first squares cover, as in AutoAttack


def fgsm(model: Model, x: Tensor, labels: Tensor, radius: float) -> Tensor:
    """One step along the sign of the gradient (Goodfellow, Shlens and Szegedy 2015)."""
    gradient, _ = _gradient_and_right(model, x, labels)
    return (x + radius * gradient.sign()).clamp(0, 1)


def pgd(
    model: Model, x: Tensor, labels: Tensor, radius: float, steps: int = PGD_STEPS, seed: int = 0
) -> Tensor:
    """Many small steps, each brought back into the ball (Madry et al. 2018), from a random start.

    An image that is already taken for another class is left as it is.
    """
    generator = torch.Generator(x.device).manual_seed(seed)
    start = torch.rand(x.shape, generator=generator, device=x.device) * 2 - 1
    adversarial = (x + radius * start).clamp(0, 1)
    step = 2.5 * radius / steps
    open_ = torch.arange(len(x), device=x.device)
    for _ in range(steps):
        gradient, right = _gradient_and_right(model, adversarial[open_], labels[open_])
        open_, gradient = open_[right], gradient[right]
        if not len(open_):
            break
        moved = adversarial[open_] + step * gradient.sign()
        adversarial[open_] = moved.clamp(x[open_] - radius, x[open_] + radius).clamp(0, 1)
    return adversarial


def square(
    model: Model, x: Tensor, labels: Tensor, radius: float, queries: int = QUERIES, seed: int = 0
) -> Tensor:
    """Squares of colour at random places, kept where they help: no gradient, `queries` answers.

    The Square Attack of Andriushchenko et al. 2020; knows the logits and nothing else of the network.
    """
    generator = torch.Generator().manual_seed(seed)

    def signs(*shape: int) -> Tensor:
        drawn = torch.randint(0, 2, shape, generator=generator, dtype=x.dtype) * 2 - 1
        return drawn.to(x.device)

    n, channels, height, width = x.shape
    adversarial = (x + radius * signs(n, channels, 1, width)).clamp(0, 1)
    with torch.no_grad():
        margin = _margin(model(adversarial), labels)
    for query in range(1, queries):
        open_ = torch.nonzero(margin > 0)[:, 0]
        if not len(open_):
            break
        side = _side(query, queries, min(height, width))
        trial = adversarial[open_].clone()
        corners = torch.stack(
            [
                torch.randint(0, extent - side + 1, (len(open_),), generator=generator)
                for extent in (height, width)
            ],
            1,
        ).tolist()
        colours = radius * signs(len(open_), channels, 1, 1)
        for row, (top, left) in enumerate(corners):
            patch = (slice(None), slice(top, top + side), slice(left, left + side))
            trial[row][patch] = x[open_[row]][patch] + colours[row]
        trial = trial.clamp(0, 1)
        with torch.no_grad():
            reached = _margin(model(trial), labels[open_])
        better = reached < margin[open_]
        chosen = open_[better]
        adversarial[chosen], margin[chosen] = trial[better], reached[better]
    return adversarial


ATTACKS: dict[str, Attack] = {"fgsm": fgsm, "pgd": pgd, "square": square}
COST = {"fgsm": 1, "pgd": PGD_STEPS, "square": QUERIES}  # answers asked of the network, an image


def _gradient_and_right(model: Model, x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient by the image of the lost margin, and which images are still recognised.

    Nothing is left in the network: gradients of its weights are not computed.
    """
    with torch.enable_grad():
        image = x.detach().clone().requires_grad_()
        logits = model(image)
        (gradient,) = torch.autograd.grad(-_margin(logits, labels).sum(), image)
    return gradient, logits.argmax(1) == labels


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    """The true class's logit less the largest other (N,): at most 0 where the network errs."""
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
    return own - others


def _side(query: int, queries: int, size: int) -> int:
    """The side of the squares at a query: halved in area at fixed shares of the way, as in the paper."""
    done = 10_000 * query / queries
    halvings = sum(done > mark for mark in (10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000))
    return max(1, min(size, round(size * (START / 2**halvings) ** 0.5)))
