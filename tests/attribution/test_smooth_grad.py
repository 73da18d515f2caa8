import pytest
import torch
from attribution.toys import LinearNet, SmallNet, classes, pictures
from torch import Tensor, nn

from seewhy.attribution.saliency import saliency
from seewhy.attribution.smooth_grad import smooth_grad


def test_of_a_linear_net_it_is_saliency() -> None:
    model, x = LinearNet(), pictures()
    torch.testing.assert_close(smooth_grad(model, x, classes()), saliency(model, x, classes()))


def test_of_a_square_it_is_twice_the_mean_over_noise_of_known_size() -> None:
    """The gradient of the sum of squares at x + noise is 2 (x + noise)."""

    class Squares(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x**2).sum((1, 2, 3))[:, None]

    x = 0.25 + 0.5 * pictures(2, 32)
    noise = smooth_grad(Squares(), x, classes(2, 1)) - 2 * x.sum(1)
    spread = (x[0].max() - x[0].min()).item()
    expected = 2 * 0.15 * spread * (3 / 32) ** 0.5
    assert noise[0].std().item() == pytest.approx(expected, rel=0.1)
    assert noise[0].mean().abs() < 0.01


def test_it_is_smoother_than_saliency() -> None:
    model, x = SmallNet(), pictures(1, 16)

    def roughness(maps: Tensor) -> Tensor:
        maps = maps / maps.std()
        return (maps[:, 1:] - maps[:, :-1]).abs().mean()

    smooth, rough = (method(model, x, classes(1)) for method in (smooth_grad, saliency))
    assert roughness(smooth) < roughness(rough)
