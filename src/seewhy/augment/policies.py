"""Augmentation policies: which operations each image gets, and how strongly."""

from dataclasses import dataclass

import torch
from torch import Tensor

from seewhy.augment.operations import OPERATIONS
from seewhy.config.augment import LEVELS, AugmentConfig

NAMES = tuple(OPERATIONS)
DRAWN = 14  # the operations that RandAugment and TrivialAugment draw from: all but the last, invert
PIXELS = 32  # by which TrivialAugment moves an image at most, whatever its size


@dataclass(frozen=True, eq=False)
class Plan:
    """What is done to each image, one after the other.

    operations: places in `OPERATIONS`, int64 `(B, n)`.
    amounts: as each operation takes them, float64 `(B, n)`.
    """

    operations: Tensor
    amounts: Tensor

    def __getitem__(self, rows: slice) -> "Plan":
        return Plan(self.operations[rows], self.amounts[rows])

    def text(self, row: int) -> str:
        """What is done to one image, a line each."""
        done = [NAMES[place] for place in self.operations[row].tolist()]
        return "\n".join(name for name in done if name != "identity") or "nothing"


def draw_plan(config: AugmentConfig, count: int, size: int, generator: torch.Generator) -> Plan:
    """Draws what a policy does to `count` images of `size` pixels a side.

    Row i of the draws belongs to image i, so that the rest of a batch does not change it.
    """
    layers = {"rand": config.operations_per_image, "trivial": 1, "auto": 2}[config.policy or "auto"]
    rows = torch.rand(count, 3, layers, generator=generator, dtype=torch.float64)
    which, level, sign = rows.unbind(1)
    if config.policy == "auto":
        pair = _PAIRS[(level[:, 0] * len(_PAIRS)).long()]  # (B, 2, 3)
        operations = pair[..., 0].long().where(which < pair[..., 1], 0)
        level = pair[..., 2]
    else:
        operations = (which * DRAWN).long()
        if config.policy == "rand":
            level = torch.full_like(level, config.level)
        else:
            level = (level * (LEVELS + 1)).floor() / LEVELS
    neutral, reach, signed = _ranges(config.policy == "trivial", size).unbind(1)
    direction = torch.where((sign < 0.5) & (signed[operations] > 0), -1.0, 1.0)
    return Plan(operations, neutral[operations] + direction * level * reach[operations])


def follow(plan: Plan, x: Tensor) -> Tensor:
    """Does what is planned to images `(B, size, size * 3)` in [0, 1]; values become those of bytes."""
    size = x.shape[1]
    images = x.view(-1, size, size, 3).mul(255).round().to(torch.uint8).permute(0, 3, 1, 2)
    images = images.contiguous()
    amounts_on_device = plan.amounts.to(x.device)  # a plan is drawn on the CPU
    for places, amounts in zip(plan.operations.unbind(1), amounts_on_device.unbind(1), strict=True):
        for place in places.unique().tolist():
            rows = (places == place).nonzero()[:, 0].to(x.device)
            images[rows] = OPERATIONS[NAMES[place]](images[rows], amounts[rows])
    return images.permute(0, 2, 3, 1).flatten(2).float().div(255)


def _ranges(wide: bool, size: int) -> Tensor:
    """The neutral amount of each operation, its reach, and 1 where it goes both ways, `(15, 3)`.

    They are those of RandAugment and AutoAugment, or the wide ones of TrivialAugment.
    """
    shear, enhance = (0.99, 0.99) if wide else (0.3, 0.9)
    shift, angle = (min(1, PIXELS / size), 135) if wide else (150 / 331, 30)
    ranges = {
        **dict.fromkeys(("shear_x", "shear_y"), (0, shear, 1)),
        **dict.fromkeys(("translate_x", "translate_y"), (0, shift, 1)),
        "rotate": (0, angle, 1),
        **dict.fromkeys(("brightness", "color", "contrast", "sharpness"), (1, enhance, 1)),
        "posterize": (8, -6 if wide else -4, 0),
        "solarize": (256, -256, 0),
    }
    return torch.tensor([ranges.get(name, (0, 0, 0)) for name in NAMES], dtype=torch.float64)


# The 25 pairs of the policy for CIFAR-10 (Cubuk 2018, appendix): operation, chance and level of 0 to 9.
_CIFAR10 = """
    invert .1 0        contrast .2 6       rotate .7 2         translate_x .3 9
    sharpness .8 1     sharpness .9 3      shear_y .5 8        translate_y .7 9
    auto_contrast .5 0 equalize .9 0       shear_y .2 7        posterize .3 7
    color .4 3         brightness .6 7     sharpness .3 9      brightness .7 9
    equalize .6 0      equalize .5 0       contrast .6 7       sharpness .6 5
    color .7 7         translate_x .5 8    equalize .3 0       auto_contrast .4 0
    translate_y .4 3   sharpness .2 6      brightness .9 6     color .2 8
    solarize .5 2      invert 0 0          equalize .2 0       auto_contrast .6 0
    equalize .2 0      equalize .6 0       color .9 9          equalize .6 0
    auto_contrast .8 0 solarize .2 8       brightness .1 3     color .7 0
    solarize .4 5      auto_contrast .9 0  translate_y .9 9    translate_y .7 9
    auto_contrast .9 0 solarize .8 3       equalize .8 0       invert .1 0
    translate_y .7 9   auto_contrast .9 0
"""
_words = _CIFAR10.split()
_PAIRS = torch.tensor(
    [
        [NAMES.index(name), float(chance), int(level) / 9]
        for name, chance, level in zip(_words[::3], _words[1::3], _words[2::3], strict=True)
    ],
    dtype=torch.float64,
).view(25, 2, 3)
