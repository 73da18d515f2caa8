"""Generated images that prove a loaded model: eight for its logits, three for its input rule."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import PIL
from numpy.typing import NDArray

from seewhy.config.input_rule import InputRule
from seewhy.data.images.decode import read
from seewhy.errors import ModelFileError

if TYPE_CHECKING:
    from torch import nn

COUNT = 8
TOLERANCE = 1e-3


def patterns(size: int) -> NDArray[np.uint8]:
    """Gradients, a checkerboard, stripes, rings, noise and blocks, uint8 (8, size, size, 3).

    Made by integer arithmetic alone, so that every machine draws the same bytes; never from data.
    """
    y, x, channel = np.meshgrid(*map(np.arange, (size, size, 3)), indexing="ij")
    last = max(size - 1, 1)
    turned = np.where(channel == 1, last - x, np.where(channel == 2, y, x))
    return np.stack(
        [
            turned * 255 // last,
            (x + y) * 255 // (2 * last) * (channel + 1) // 3,
            (x // 4 + y // 4 + channel) % 2 * 255,
            (x + 2 * y + 3 * channel) % 8 * 255 // 7,
            ((2 * x - last) ** 2 + (2 * y - last) ** 2) // (last * (channel + 1)) % 16 * 17,
            _noise(x, y, channel),
            _noise(x // 8, y // 8, channel + 3),
            (_noise(x // 4, y // 4, channel * 0) + turned * 255 // last) // 2,
        ]
    ).astype(np.uint8)


def _noise(
    x: NDArray[np.int64], y: NDArray[np.int64], seed: NDArray[np.int64]
) -> NDArray[np.int64]:
    """A byte for each place, without order to the eye: multiplied and shifted modulo 2^32."""
    mixed = (x * 374761393 + y * 668265263 + seed * 2246822519) % 2**32
    mixed = (mixed ^ mixed >> 13) * 1274126177 % 2**32
    return (mixed ^ mixed >> 16) % 256


def logits(network: "nn.Module", size: int) -> NDArray[np.float32]:
    """What a network on the CPU, in eval mode, answers to the eight patterns: float32 (8, K)."""
    import torch  # here, since an ONNX file is opened without it

    from seewhy.inference.forward import full_precision

    images = torch.from_numpy(patterns(size)).permute(0, 3, 1, 2)
    # One by one: a large input size must not need eight times its memory.
    with full_precision(), torch.no_grad(), torch.autocast("cpu", enabled=False):
        answers = [network(image[None].float() / 255)[0] for image in images]
    return np.stack([answer.float().numpy() for answer in answers])


def raw_images() -> list[NDArray[np.uint8]]:
    """A square, a wide and a tall image, uint8 (96, 96, 3), (64, 192, 3) and (192, 64, 3)."""
    images = []
    for height, width in ((96, 96), (64, 192), (192, 64)):
        y, x, channel = np.meshgrid(*map(np.arange, (height, width, 3)), indexing="ij")
        blended = (_noise(x // 4, y // 4, channel) + (x + y) * 255 // (height + width)) // 2
        images.append(blended.astype(np.uint8))
    return images


def stored_digest(rule: InputRule) -> str:
    """The sha256 of the raw images as a rule stores them, 64 hex digits.

    By a rule with a depth also of their red channels as 16 bits, over its range.
    """
    sources = raw_images()
    if rule.depth is not None:
        step = (rule.depth[1] - rule.depth[0]) / 255
        deep = [rule.depth[0] + image[..., 0] * step for image in sources]
        sources += [np.rint(values).astype(np.uint16) for values in deep]
    digest = hashlib.sha256()
    for image in sources:
        digest.update(read(image, rule).tobytes())
    return digest.hexdigest()


def require_stored(rule: InputRule, expected: str) -> None:
    """Raises `ModelFileError` unless the rule stores the raw images as when the model was written."""
    if stored_digest(rule) != expected:
        raise ModelFileError(
            "the reference images become other pixels than when it was written: this Pillow "
            f"({PIL.__version__}) or this SeeWhy resizes or converts in another way: install the versions of "
            "its training (environment.json of the run)"
        )


def require_equal(
    computed: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float = TOLERANCE
) -> None:
    """Raises `ModelFileError` unless logits (8, K) on the patterns equal those stored.

    They may differ by `tolerance` times the largest of them, or by `tolerance` if all are below 1.
    """
    apart = float(np.abs(computed - expected).max())
    allowed = tolerance * max(1.0, float(np.abs(expected).max()))
    if not apart <= allowed:
        raise ModelFileError(
            "the network's outputs on the reference images differ from those stored (logits "
            f"differ by {apart:.2g}, {allowed:.2g} is allowed): its weights or this SeeWhy's code "
            "have changed"
        )
