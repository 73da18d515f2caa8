"""A preview of augmentations: random versions as in training, and each augmentation on its own."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from seewhy.augment import DRAWS, augment, augment_by, centre_crop
from seewhy.augment.mixing import ERASED_AREA, beta
from seewhy.augment.policies import draw_plan, follow
from seewhy.config.augment import AugmentConfig

STEPS = 7  # of an augmentation, over its range
LAST = 1 - 2**-24  # the largest possible draw
SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)  # quantiles of the share kept in mixing


@dataclass(frozen=True, eq=False)
class Versions:
    """Images as the network receives them.

    seen: in evaluation, uint8 `(N, size, size, 3)`.
    varied: in training, uint8 `(N, V, size, size, 3)`.
    shares: the share of the own class in each target, `(N, V)` in [0, 1]; below 1 after mixing.
    """

    seen: np.ndarray
    varied: np.ndarray
    shares: np.ndarray


@dataclass(frozen=True, eq=False)
class Ladder:
    """One augmentation alone, over its range: images uint8 `(n, size, size, 3)` and their amounts.

    A policy has no range: its images are random ones, and their amounts name the operations.
    """

    name: str
    value: float | str
    images: np.ndarray
    amounts: tuple[str, ...]


def versions(
    images: np.ndarray, labels: np.ndarray, size: int, config: AugmentConfig, count: int, seed: int
) -> Versions:
    """Draws `count` training versions of stored images, uint8 `(N, S, S, 3)`, int64 labels `(N,)`.

    All images form one batch, as in training, so they are mixed with each other.
    """
    stored, own = torch.from_numpy(images), torch.nn.functional.one_hot(torch.from_numpy(labels))
    generators = torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed)
    drawn = [augment(stored, own.float(), size, config, *generators) for _ in range(count)]
    return Versions(
        seen=_pixels(centre_crop(stored, size)),
        varied=np.stack([_pixels(x) for x, _ in drawn], 1),
        shares=np.stack([(targets * own).sum(1).numpy() for _, targets in drawn], 1),
    )


def ladders(images: np.ndarray, size: int, config: AugmentConfig) -> list[Ladder]:
    """Applies each augmentation that is on, alone and over its range, to the first of two stored images.

    The second image, uint8 `(2, S, S, 3)`, is the one that the first is mixed with.
    """
    stored = torch.from_numpy(images)
    all_ladders = []
    for name, steps in _STEPS.items():
        value = getattr(config, name)
        if value is None:
            continue
        mode = config.padding_mode if name in _REACH_OUT and value else None
        alone = AugmentConfig(**{name: value, "padding_mode": mode})
        augmented, amounts = [], []
        for draws, amount in steps(value):
            draw = {key: torch.full((2,), draws.get(key, 0.5)) for key in DRAWS}
            x, targets = augment_by(draw, stored, torch.eye(2), size, alone)
            augmented.append(_pixels(x)[0])
            amounts.append(amount.format(kept=f"{targets[0, 0]:.0%}"))
        all_ladders.append(Ladder(name, value, np.stack(augmented), tuple(amounts)))
    if config.policy is not None:
        all_ladders.append(_policy(stored, size, config))
    return all_ladders


def _policy(stored: Tensor, size: int, config: AugmentConfig) -> Ladder:
    """What a policy does to the first image, as often as a ladder has steps."""
    plan = draw_plan(config, STEPS, size, torch.Generator().manual_seed(0))
    seen = centre_crop(stored[:1], size).permute(0, 2, 3, 1).flatten(2)
    varied = follow(plan, seen.expand(STEPS, -1, -1)).view(-1, size, size, 3).permute(0, 3, 1, 2)
    texts = tuple(plan.text(row) for row in range(STEPS))
    return Ladder("policy", str(config.policy), _pixels(varied), texts)


def _pixels(x: Tensor) -> np.ndarray:
    """Floats `(B, 3, h, w)` in [0, 1] as uint8 `(B, h, w, 3)`."""
    return x.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


# ------------------------------------------------------------------ the steps of each augmentation

_REACH_OUT = ("crop_padding", "rotate", "shift", "zoom", "shear")  # beyond the image's edges
Steps = list[tuple[dict[str, float], str]]  # the draws of a step, and its amount as text


def _through(*draws: str, says: Callable[[float], str]) -> Callable[[float], Steps]:
    """Steps of an amount between -value and value, with `says` as their text."""

    def steps(value: float) -> Steps:
        places = np.linspace(0, 1, STEPS)
        return [(dict.fromkeys(draws, float(u)), says(value * (2 * u - 1))) for u in places]

    return steps


def _flips(chance: float) -> Steps:
    return [
        ({"flip": 1.0}, f"as it is: {1 - chance:.0%}"),
        ({"flip": 0.0}, f"mirrored: {chance:.0%}"),
    ]


def _corners(_padding: float) -> Steps:
    places = {"top left": (0, 0), "top right": (0, LAST), "centre": (0.5, 0.5)}
    places |= {"bottom left": (LAST, 0), "bottom right": (LAST, LAST)}
    return [({"top": top, "left": left}, name) for name, (top, left) in places.items()]


def _areas(smallest: float) -> Steps:
    return [({"area": u}, f"{smallest + (1 - smallest) * u:.0%} of the area") for u in _up()]


def _boxes(_chance: float) -> Steps:
    low, high = ERASED_AREA
    return [
        ({"erase": 0.0, "erase_area": u}, f"{low + (high - low) * u:.0%} of the area")
        for u in _up()
    ]


def _mixed(alpha: float) -> Steps:
    """Steps at quantiles of the share kept, which is Beta(alpha, alpha)."""
    draws = torch.rand(2, 9999, generator=torch.Generator().manual_seed(0))
    order = beta(alpha, *draws).argsort()
    return [
        ({"share": share, "share_angle": angle}, "{kept} kept")
        for share, angle in draws[:, [order[int(q * 9999)] for q in SHARES]].T.tolist()
    ]


def _up() -> list[float]:
    return [float(u) for u in np.linspace(0, 1, STEPS - 2)]


_STEPS: dict[str, Callable[[float], Steps]] = {
    "flip": _flips,
    "crop_padding": _corners,
    "random_resized_crop": _areas,
    "rotate": _through("rotate", says=lambda a: f"{a:.3g}°"),
    "shift": _through("down", "right", says=lambda a: f"{100 * a:.3g}%"),
    "zoom": _through("zoom", says=lambda a: f"side × {1 + a:.2f}"),
    "shear": _through("shear", says=lambda a: f"{a:.3g}°"),
    "brightness": _through("brightness", says=lambda a: f"× {1 + a:.2f}"),
    "contrast": _through("contrast", says=lambda a: f"× {1 + a:.2f}"),
    "saturation": _through("saturation", says=lambda a: f"× {1 + a:.2f}"),
    "hue": _through("hue", says=lambda a: f"{360 * a:.3g}°"),
    "erasing": _boxes,
    "mixup": _mixed,
    "cutmix": _mixed,
}
