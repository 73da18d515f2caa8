import pytest
import torch
from attribution.toys import SmallNet, classes, pictures
from captum.attr import GuidedBackprop
from torch import Tensor, nn

from seewhy.attribution.grad_cam import grad_cam
from seewhy.attribution.guided_grad_cam import RECTIFIERS, guided_grad_cam


class TwoReLUs(nn.Module):
    """f = 2 relu(3 - 4 relu(5 (x - 0.1))), of each pixel's sum of colours, pooled; or the same of `inner`."""

    def __init__(self, sign: float, inner: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.inner, self.outer = inner(), nn.ReLU()
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


@pytest.mark.parametrize("kind", RECTIFIERS)
def test_other_rectifiers_follow_the_same_rule_with_their_own_slope(kind: type[nn.Module]) -> None:
    x, targets = 0.1 + 0.1 * (pictures(2, 4) - 0.5), classes(2, 1)
    z = (5 * (x.mean(1) - 0.1)).requires_grad_()
    (slope,) = torch.autograd.grad(kind()(z).sum(), z)
    assert (z < 0).any() and (z > 0).any()
    expected = grad_cam(TwoReLUs(1.0, kind), x, targets) * 2 * 4 * 5 / 16 * slope * (z > 0)
    torch.testing.assert_close(guided_grad_cam(TwoReLUs(1.0, kind), x, targets), expected.detach())
    against = guided_grad_cam(TwoReLUs(-1.0, kind), x, targets)
    assert torch.equal(against, torch.zeros(2, 4, 4))


def test_gates_pass_back_the_plain_gradient() -> None:
    x, targets = 0.15 + 0.05 * pictures(2, 4), classes(2, 1)
    assert (guided_grad_cam(TwoReLUs(-1.0, nn.Sigmoid), x, targets) < 0).any()


def test_it_is_that_of_captum_where_all_activations_are_relu() -> None:
    model, x, targets = SmallNet().eval(), pictures(), classes()
    with pytest.warns(UserWarning, match="Setting backward hooks"):
        guided = GuidedBackprop(model).attribute(x.clone().requires_grad_(), targets)
    expected = grad_cam(model, x, targets).clamp(min=0) * guided.sum(1)
    assert torch.equal(guided_grad_cam(model, x, targets), expected)


def test_it_is_nothing_where_grad_cam_speaks_against() -> None:
    model, x, targets = SmallNet(), pictures(), classes()
    found, coarse = guided_grad_cam(model, x, targets), grad_cam(model, x, targets)
    assert (coarse < 0).any() and (coarse > 0).any()
    assert (found[coarse < 0] == 0).all() and (found != 0).any()
