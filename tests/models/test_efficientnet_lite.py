"""EfficientNet-Lite: timm's arithmetic, its published size, a stem for each size, enlarged thumbnails."""

import pytest
import torch
from models.against_timm import logits_of_both
from models.conftest import TimmOutputs

from seewhy.models.registry import build, cost


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("size", [96, 75])  # an even and an odd padding of each stride
def test_timms_weights_load_and_give_its_logits(
    number: int, size: int, timm_outputs: TimmOutputs
) -> None:
    logits, expected = logits_of_both(
        f"efficientnet_lite{number}", f"tf_efficientnet_lite{number}", timm_outputs, size
    )
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("number", "size", "parameters", "multiply_adds"),
    [(0, 224, 4.7e6, 407e6), (1, 240, 5.4e6, 631e6), (2, 260, 6.1e6, 899e6)],
)
def test_parameters_and_flops_are_those_of_its_release(
    number: int, size: int, parameters: float, multiply_adds: float
) -> None:
    # github.com/tensorflow/tpu, models/official/efficientnet/lite: its multiply-adds count norms, too.
    counted = cost(f"efficientnet_lite{number}", num_classes=1000, size=size)
    assert counted.parameters == pytest.approx(parameters, rel=0.011)
    assert 0.93 < counted.flops / 2 / multiply_adds < 1


@pytest.mark.parametrize(("size", "side"), [(9, 2), (32, 4), (64, 8), (65, 3), (224, 7)])
def test_the_stem_fits_the_size_of_the_images(size: int, side: int) -> None:
    network = build("efficientnet_lite0", num_classes=2, size=size).eval()
    assert network.features(torch.rand(1, 3, size, size)).shape == (1, 1280, side, side)
