import torch
from attribution.toys import SmallNet, classes, pictures
from torch import Tensor, nn

from seewhy.attribution.grad_cam import grad_cam
from seewhy.attribution.guided_grad_cam import guided_grad_cam


class TwoReLUs(nn.Module):
    """f = 2 relu(3 - 4 relu(5 (x - 0.1))), of each pixel's sum of colours, pooled."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.inner, self.outer = nn.ReLU(), nn.ReLU()
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.sign = sign

    def features(self, x: Tensor) -> Tensor:
        return self.outer(3 + self.sign * 4 * self.inner(5 * (x.mean(1, keepdim=True) - 0.1)))

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.head(self.features(x))


def test_only_positive_gradients_pass_a_relu() -> None:
    x, targets = 0.15 + 0.05 * pictures(2, 4), classes(2, 1)
    # Without the rule: 2 * sign * 4 * 5 / 16 places, of the mean of three colours.
    found = guided_grad_cam(TwoReLUs(1.0), x, targets)
    torch.testing.assert_close(found, grad_cam(TwoReLUs(1.0), x, targets) * 2 * 4 * 5 / 16)
    assert torch.equal(guided_grad_cam(TwoReLUs(-1.0), x, targets), torch.zeros(2, 4, 4))


def test_it_is_nothing_where_grad_cam_speaks_against() -> None:
    model, x, targets = SmallNet(), pictures(), classes()
    found, coarse = guided_grad_cam(model, x, targets), grad_cam(model, x, targets)
    assert (coarse < 0).any() and (coarse > 0).any()
    assert (found[coarse < 0] == 0).all() and (found != 0).any()
