import torch
from attribution.toys import SmallNet, classes, flat_head, pictures

from seewhy.attribution.geometry import enlarge
from seewhy.attribution.grad_cam_plus_plus import grad_cam_plus_plus


def test_it_is_the_papers_formula_with_derivatives_of_the_exponential() -> None:
    """For a linear head, d^n exp(S) / dA^n = exp(S) g^n, by autograd, one place at a time."""
    model, x, targets = SmallNet(flat_head(16)).eval(), pictures(1), classes(1)
    maps = model.features(x).detach()
    weights = torch.zeros(5)
    for channel in range(5):
        for place in range(16):
            at = maps[0, channel].flatten()[place].clone().requires_grad_()
            whole = maps.clone()
            whole[0, channel, place // 4, place % 4] = at
            score = model.head(whole)[0, 0]
            (first,) = torch.autograd.grad((score - score.detach()).exp(), at, create_graph=True)
            (second,) = torch.autograd.grad(first, at, create_graph=True)
            (third,) = torch.autograd.grad(second, at)
            alpha = second / (2 * second + maps[0, channel].sum() * third)
            weights[channel] += (alpha * first.clamp(min=0)).item()
    expected = enlarge(model, (weights[:, None, None] * maps[0]).sum(0)[None], x)
    torch.testing.assert_close(grad_cam_plus_plus(model, x, targets), expected)


def test_behind_a_relu_nothing_is_negative_and_a_channel_without_gradient_does_not_count() -> None:
    model, x, targets = SmallNet(flat_head(16)), pictures(), classes()
    assert (grad_cam_plus_plus(model, x, targets) >= 0).all()
    with torch.no_grad():
        model.head[-1].weight.zero_()
    assert torch.equal(grad_cam_plus_plus(model, x, targets), torch.zeros(3, 8, 8))
