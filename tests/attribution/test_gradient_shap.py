import pytest
import torch
from attribution.toys import LinearNet, SmallNet, classes, flat_head, pictures

from seewhy.attribution.baseline import training_colours
from seewhy.attribution.gradient_shap import gradient_shap


def colours(model: torch.nn.Module, count: int = 64) -> torch.Tensor:
    return training_colours(model, count, torch.Generator().manual_seed(0))


def test_of_a_linear_net_it_is_weights_times_difference_from_the_mean_baseline() -> None:
    model, x = LinearNet(), pictures()
    expected = (model.weights[classes()] * (x - colours(model).mean(0))).sum(1).detach()
    torch.testing.assert_close(gradient_shap(model, x, classes()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("samples", "error"), [(64, 0.25), (1024, 0.05)])
def test_a_map_adds_up_to_what_the_logit_gained_over_the_flat_images_on_average(
    samples: int, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(gradient_shap.__wrapped__.__globals__, "SAMPLES", samples)
    model, x, targets = SmallNet(flat_head(16)).eval(), pictures(), classes()
    with torch.no_grad():
        flat = model(colours(model, samples).expand(-1, -1, 8, 8)).mean(0)
        gained = (model(x) - flat).gather(1, targets[:, None])[:, 0]
    found = gradient_shap(model, x, targets).sum((1, 2))
    assert (found - gained).norm() < error * gained.norm()
