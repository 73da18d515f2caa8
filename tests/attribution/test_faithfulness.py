import copy

import numpy as np
import pytest
import torch
from attribution.toys import LinearNet, SmallNet, classes, flat_head, pictures, traces
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

from seewhy.attribution.baseline import blurred, mean_colour
from seewhy.attribution.faithfulness import (
    COST,
    FAULTS,
    area,
    concat,
    faithfulness,
    rank_correlation,
    shuffled,
    shuffled_copies,
)
from seewhy.attribution.grad_cam import grad_cam
from seewhy.attribution.integrated_gradients import integrated_gradients
from seewhy.attribution.saliency import saliency
from seewhy.inference.forward import AveragedViews

PATCH = (slice(None), slice(4, 8), slice(8, 12))


def patch_net() -> LinearNet:
    """Class 0 is what is bright in one place, and nothing else."""
    model = LinearNet(16, num_classes=2)
    with torch.no_grad():
        model.weights.zero_()
        model.weights[0][PATCH] = 0.0625
    return model


def bright(count: int = 2) -> Tensor:
    x = pictures(count, 16)
    x[(slice(None), *PATCH)] = 1
    return x


def first_class(count: int = 2) -> Tensor:
    return torch.zeros(count, dtype=torch.int64)


def upside_down(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    return -integrated_gradients(model, images, targets)


def without_the_model(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    return images.mean(1)


def constant(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    return torch.ones_like(images[:, 0])


def test_the_curves_start_and_end_at_the_whole_image_and_at_none() -> None:
    model, x, targets = patch_net(), bright(), first_class()
    found = faithfulness(model, x, targets, integrated_gradients)
    for curves, start, end in (
        (found.deletion, x, mean_colour(model, x)),
        (found.insertion, blurred(x), x),
        (found.random_deletion, x, mean_colour(model, x)),
        (found.random_insertion, blurred(x), x),
    ):
        assert curves.shape == (2, 9)
        for column, shown in ((0, start), (-1, end)):
            expected = model(shown).softmax(1)[:, 0].detach().numpy()
            assert curves[:, column] == pytest.approx(expected, abs=1e-6)


def test_what_is_judged_is_the_mean_of_the_views() -> None:
    network, x, targets = patch_net(), bright(), first_class()
    x = torch.maximum(x, x.flip(-1))  # what either view looks at is bright
    model = AveragedViews(network, ["identity", "flip"])
    found = faithfulness(model, x, targets, integrated_gradients)
    expected = (network(x) + network(x.flip(-1))).div(2).softmax(1)[:, 0].detach().numpy()
    assert found.deletion[:, 0] == pytest.approx(expected, abs=1e-6)
    assert found.insertion[:, -1] == pytest.approx(expected, abs=1e-6)
    # Both places together are an eighth of the image: the first of 8 steps takes them all.
    assert (np.ptp(found.deletion[:, 1:], axis=1) < 1e-6).all()
    one_view = faithfulness(network, x, targets, integrated_gradients)
    assert (np.ptp(found.insertion[:, 1:], axis=1) < 1e-6).all() and found.reliable.all()
    assert (found.maps == found.maps[:, :, ::-1]).all() and one_view.maps[0, 5, 5] == 0


def test_what_the_right_map_marks_is_all_that_matters() -> None:
    model, x = patch_net(), bright()
    found = faithfulness(model, x, first_class(), integrated_gradients)
    # The patch is a sixteenth of the image: the first of 8 steps takes it all.
    assert (np.ptp(found.deletion[:, 1:], axis=1) < 1e-6).all()
    assert (np.ptp(found.insertion[:, 1:], axis=1) < 1e-6).all()
    assert found.reliable.all() and found.faults(0) == ()
    assert found.maps == pytest.approx(integrated_gradients(model, x, first_class()).numpy())


@pytest.mark.parametrize(
    ("method", "faults"),
    [
        (upside_down, {"chance"}),
        (without_the_model, {"weights"}),
        (constant, {"chance"}),
    ],
)
def test_a_map_that_lies_is_found_out(method, faults: set[str]) -> None:
    found = faithfulness(patch_net(), bright(), first_class(), method)
    assert not found.reliable.any()
    assert faults <= set(found.faults(0)) <= set(FAULTS)


def test_random_smooth_maps_are_seldom_stamped_reliable() -> None:
    def at_random(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(int(next(seeds)))
        coarse = torch.randn(len(images), 1, 4, 4, generator=generator)
        return functional.interpolate(coarse, images.shape[2:], mode="bicubic")[:, 0]

    seeds = iter(range(4))  # of the maps, and of the three with shuffled weights
    found = faithfulness(patch_net(), bright(100), first_class(100), at_random)
    better = (area(found.deletion) < area(found.random_deletion)) & (
        area(found.insertion) > area(found.random_insertion)
    )
    assert better.mean() > 0.25  # to be better than the mean of random maps is no proof
    assert found.reliable.mean() < 0.16  # 1 in 9, and two standard errors of 100 maps


def test_places_are_ranked_by_size_where_the_sign_says_brighter_or_darker() -> None:
    model, x = patch_net(), bright()
    with torch.no_grad():
        model.weights *= -1  # darker would be more of class 0: the gradient is negative there
    assert (saliency(model, x, first_class())[(slice(None), *PATCH[1:])] < 0).all()
    found = faithfulness(model, x, first_class(), saliency)
    assert (np.ptp(found.insertion[:, 1:], axis=1) < 1e-6).all()


def test_shuffling_keeps_each_tensors_values_and_leaves_the_model_alone() -> None:
    model = SmallNet()
    before = copy.deepcopy(model.state_dict())
    first, again, other = (dict(shuffled(model, s).named_parameters()) for s in (0, 0, 1))
    for name, weights in model.named_parameters():
        assert torch.equal(weights, before[name])
        assert torch.equal(first[name].flatten().sort()[0], weights.flatten().sort()[0])
        assert torch.equal(first[name], again[name])
    assert not torch.equal(first["conv.weight"], model.conv.weight)
    assert not torch.equal(first["conv.weight"], other["conv.weight"])


def test_rank_correlation_is_spearmans_and_0_for_a_constant_map() -> None:
    maps, others = pictures(2)[:, 0].round(decimals=1), pictures(2, seed=1)[:, 0]
    expected = [spearmanr(a.flatten(), b.flatten())[0] for a, b in zip(maps, others, strict=True)]
    assert rank_correlation(maps, others).tolist() == pytest.approx(expected)
    assert rank_correlation(maps, torch.ones_like(maps)).tolist() == [0, 0]
    assert rank_correlation(maps, 3 * maps - 1).tolist() == pytest.approx([1, 1])


def test_the_area_is_the_mean_height() -> None:
    assert area(np.linspace(0, 1, 17, dtype=np.float32)) == pytest.approx(0.5)
    assert area(np.array([[1, 1, 1], [1, 0, 0]], np.float32)) == pytest.approx([1, 0.25])


def test_an_image_is_judged_alone() -> None:
    model, x, targets = SmallNet(flat_head(16)), pictures(3), classes()
    whole = faithfulness(model, x, targets, grad_cam)
    parts = concat([faithfulness(model, x[[row]], targets[[row]], grad_cam) for row in range(3)])
    for name in ("maps", "deletion", "insertion", "random_deletion"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), abs=1e-5), name
    assert parts.randomised == pytest.approx(whole.randomised, abs=0.01)  # ranks of near ties
    assert len(parts) == 3


@pytest.mark.parametrize("model", [SmallNet(), nn.Flatten()])
def test_all_that_a_test_costs_is_counted(model: nn.Module) -> None:
    counts: list[int] = []
    faithfulness(model, pictures(), classes(), constant, count=counts.append)
    assert sum(counts) == len(pictures()) * COST and min(counts) > 0


def test_figures_of_a_map_and_their_means() -> None:
    found = faithfulness(patch_net(), bright(), first_class(), integrated_gradients)
    rows, means = [found.of(row) for row in range(2)], found.means()
    assert rows[0]["reliable"] is True and rows[0]["faults"] == []
    curves = ("deletion", "random_deletion", "insertion", "random_insertion")
    for name in (*curves, "beaten", "randomised"):
        assert means[name] == pytest.approx((rows[0][name] + rows[1][name]) / 2, abs=1e-6)
    assert means["n"] == 2 and means["reliable"] == 1


@pytest.mark.parametrize("fails_at", [-1, 1, 30])
def test_no_trace_is_left(fails_at: int) -> None:
    model = SmallNet().train()
    model.fails_at = fails_at
    read = traces(model)
    left = read()
    try:
        faithfulness(model, pictures(), classes(), grad_cam)
    except RuntimeError:
        assert fails_at > 0
    assert read() == left


def test_one_shuffled_network_gives_its_own_correlation() -> None:
    model, x, targets = SmallNet(), pictures(), classes()
    copies = shuffled_copies(model)
    each = [faithfulness(model, x, targets, grad_cam, copies=[one]).randomised for one in copies]
    together = faithfulness(model, x, targets, grad_cam, copies=copies).randomised
    assert np.mean(each, axis=0) == pytest.approx(together, abs=1e-5)
