import pytest
import torch
from attribution.toys import LinearNet, pictures

from seewhy.attribution.baseline import blurred, mean_colour, training_colours
from seewhy.models.registry import build


def test_the_mean_colour_is_what_the_model_sees_as_nothing() -> None:
    model = build("simple_cnn", num_classes=2, size=8)
    model.mean.copy_(torch.tensor([0.1, 0.2, 0.3]))
    flat = mean_colour(model, pictures())
    assert flat.shape == (3, 3, 8, 8) and model.normalize(flat).abs().max() == 0


def test_it_is_grey_for_a_model_that_knows_none() -> None:
    assert (mean_colour(LinearNet(), pictures()) == 0.5).all()
    grey = training_colours(LinearNet(), 4_000, torch.Generator().manual_seed(0))
    assert grey.mean().item() == pytest.approx(0.5, abs=0.01)


def test_training_colours_have_its_mean_and_deviation_and_are_colours() -> None:
    model = build("simple_cnn", num_classes=2, size=8)
    model.mean.copy_(torch.tensor([0.4, 0.5, 0.6]))
    model.std.fill_(0.1)
    drawn = training_colours(model, 4_000, torch.Generator().manual_seed(0))
    assert drawn.shape == (4_000, 3, 1, 1)
    torch.testing.assert_close(drawn.mean((0, 2, 3)), model.mean, rtol=0, atol=0.01)
    torch.testing.assert_close(drawn.std((0, 2, 3)), model.std, rtol=0, atol=0.01)
    model.std.fill_(2.0)
    drawn = training_colours(model, 100, torch.Generator().manual_seed(0))
    assert drawn.min() == 0 and drawn.max() == 1


@pytest.mark.parametrize("size", [1, 2, 9, 32])
def test_blurring_keeps_a_flat_image_and_the_range(size: int) -> None:
    flat = torch.full((1, 3, size, size), 0.3)
    torch.testing.assert_close(blurred(flat), flat)
    soft = blurred(pictures(2, size))
    assert soft.shape == (2, 3, size, size) and soft.min() >= 0 and soft.max() <= 1


def test_blurring_takes_detail_away_and_leaves_what_is_large() -> None:
    stripes = (torch.arange(32) % 2).float().expand(1, 3, 32, 32)
    assert blurred(stripes).std() < 0.01
    halves = (torch.arange(32) >= 16).float().expand(1, 3, 32, 32)
    soft = blurred(halves)
    assert soft[..., 0].mean() < 0.1 and soft[..., -1].mean() > 0.9
    impulse = torch.zeros(1, 3, 65, 65)
    impulse[..., 32, 32] = 1
    spread = blurred(impulse)[0, 0].sum(0)
    deviation = ((torch.arange(65) - 32.0) ** 2 * spread).sum().sqrt().item()
    assert deviation == pytest.approx(65 / 8, rel=0.02)
