import torch
from attribution.toys import LinearNet, SmallNet, classes, pictures

from seewhy.attribution.occlusion import occlusion


def test_of_a_linear_net_it_is_the_mean_loss_over_the_windows_that_cover_a_pixel() -> None:
    model, x, targets = LinearNet(8), pictures(), classes()
    contributions = (model.weights[targets] * (x - 0.5)).sum(1).detach()
    total, times = torch.zeros(3, 8, 8), torch.zeros(8, 8)
    for top in range(7):  # windows of 2x2, moved by one
        for left in range(7):
            window = slice(top, top + 2), slice(left, left + 2)
            lost = contributions[:, window[0], window[1]].sum((1, 2))
            total[:, window[0], window[1]] += lost[:, None, None]
            times[window] += 1
    torch.testing.assert_close(occlusion(model, x, targets), total / times)


def test_sides_that_the_window_does_not_divide_are_covered_whole() -> None:
    maps = occlusion(SmallNet(), pictures(2, 13), classes(2))
    assert maps.shape == (2, 13, 13) and (maps[:, -1, -1] != 0).all()
