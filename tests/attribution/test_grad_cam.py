import torch
from attribution.toys import SmallNet, classes, flat_head, pictures
from captum.attr import LayerGradCam

from seewhy.attribution.geometry import enlarge
from seewhy.attribution.grad_cam import grad_cam


def test_it_is_the_formula_on_a_head_that_knows_each_place_apart() -> None:
    model, x, targets = SmallNet(flat_head(16)).eval(), pictures(), classes()
    with torch.no_grad():
        maps = model.features(x)
        weights = model.head[-1].weight[targets].view(3, 5, 4, 4).mean((2, 3), keepdim=True)
        expected = enlarge(model, (weights * maps).sum(1), x)
    torch.testing.assert_close(grad_cam(model, x, targets), expected)
    assert (expected < 0).any() and (expected > 0).any()  # nothing is cut off


def test_it_is_captums() -> None:
    model, x, targets = SmallNet(flat_head(16)).eval(), pictures(), classes()
    theirs = LayerGradCam(model, model.head).attribute(x, targets, attribute_to_layer_input=True)
    torch.testing.assert_close(
        grad_cam(model, x, targets), enlarge(model, theirs[:, 0].detach(), x)
    )
