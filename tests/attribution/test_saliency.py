import torch
from attribution.toys import LinearNet, SmallNet, classes, pictures

from seewhy.attribution.saliency import saliency


def test_of_a_linear_net_it_is_the_weights_summed_over_colours() -> None:
    model = LinearNet()
    expected = model.weights[classes()].sum(1).detach()
    torch.testing.assert_close(saliency(model, pictures(), classes()), expected)


def test_it_is_the_change_of_the_logit_for_a_slightly_brighter_pixel() -> None:
    model, x, targets = SmallNet().eval().double(), pictures(1).double(), classes(1)
    found = saliency(model, x, targets)
    step = 1e-5
    for row, column in ((0, 0), (3, 4), (7, 2)):
        changed = x.clone()
        changed[:, :, row, column] += step
        with torch.no_grad():
            slope = (model(changed) - model(x))[0, 0] / step
        torch.testing.assert_close(found[0, row, column], slope.float(), rtol=1e-3, atol=1e-6)
