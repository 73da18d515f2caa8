import pytest
import torch
from attribution.toys import SmallNet, classes, pictures, traces

from seewhy.attribution.method import check, explaining, halves, maps_and_gradients
from seewhy.errors import UsageError


def test_inside_the_model_is_frozen_in_eval_mode_and_images_have_gradients() -> None:
    model = SmallNet().train()
    with torch.no_grad(), explaining(model):
        assert not any(module.training for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
        assert torch.is_grad_enabled()


def test_it_comes_back_after_an_exception() -> None:
    model = SmallNet().train()
    read = traces(model)
    left = read()
    with pytest.raises(KeyError), explaining(model):
        torch.rand(3)
        raise KeyError
    assert read() == left


def test_maps_and_gradients_of_a_linear_head_are_its_weights() -> None:
    model, x, targets = SmallNet(), pictures(), classes()
    with explaining(model):
        maps, gradients = maps_and_gradients(model, x, targets)
        assert torch.equal(maps, model.features(x))
    expected = model.head[-1].weight[targets][..., None, None] / 16
    torch.testing.assert_close(gradients, expected.expand_as(gradients))
    assert not maps.requires_grad


def test_halves_are_asked_for_by_name() -> None:
    model = SmallNet()
    assert halves(model)[1] is model.head
    with pytest.raises(UsageError, match="Conv2d has no `features"):
        halves(model.conv)


def test_images_in_range_pass_the_door() -> None:
    check(torch.tensor([0.0, 1.0, 0.5]).expand(2, 4, 3).reshape(2, 3, 2, 2), classes(2))
