"""Weights trained on ImageNet, as a card: where they come from, and the input that they expect."""

from dataclasses import dataclass
from typing import Literal

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Pretrained:
    """Pretrained weights of one network.

    `source` is "package:NAME/FILE", a file of an installed package, or "hf-hub:OWNER/NAME", a repository
    of the Hugging Face Hub at `revision`; `sha256` is that of the file ("" if it is not pinned). `mean` and
    `std` are of RGB values in [0, 1]; `size` is the side of the images in pixels that they were trained
    with, `interpolation` how those were resized. `renamed` are (prefix there, prefix here) of parameter
    names that differ from ours, applied in order; parameters that match none keep their names.
    """

    source: str
    licence: str
    revision: str = ""
    sha256: str = ""
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    size: int = 224
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    renamed: tuple[tuple[str, str], ...] = ()
