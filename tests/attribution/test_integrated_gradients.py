import torch
from attribution.toys import LinearNet, SmallNet, classes, flat_head, pictures

from seewhy.attribution.baseline import mean_colour
from seewhy.attribution.integrated_gradients import integrated_gradients


def test_of_a_linear_net_it_is_weights_times_difference_from_the_baseline() -> None:
    model, x = LinearNet(), pictures()
    expected = (model.weights[classes()] * (x - 0.5)).sum(1).detach()
    torch.testing.assert_close(integrated_gradients(model, x, classes()), expected)


def test_a_map_adds_up_to_what_the_logit_gained_over_the_baseline() -> None:
    model, x, targets = SmallNet(flat_head(16)).eval(), pictures(), classes()
    model.register_buffer("mean", torch.tensor([0.2, 0.5, 0.9]))
    with torch.no_grad():
        gained = model(x) - model(mean_colour(model, x))
    expected = gained.gather(1, targets[:, None])[:, 0]
    found = integrated_gradients(model, x, targets).sum((1, 2))
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.002)
    assert (expected.abs() > 0.02).all()
