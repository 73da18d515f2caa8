"""Muon: against singular value decompositions, AdamW, and PyTorch's own for matrices."""

import numpy as np
import pytest
import torch
from helpers import tiny_net
from torch import Tensor, nn, optim

from seewhy.config.training import TrainConfig
from seewhy.training import muon
from seewhy.training.muon import COEFFICIENTS, STEPS, Muon, orthogonalised
from seewhy.training.optimisers import build_optimizer


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "has_native_bf16", lambda kind: False)


@pytest.mark.parametrize("shape", [(20, 20), (16, 144), (90, 8), (1, 5)])
def test_it_keeps_the_singular_vectors_and_makes_the_singular_values_about_one(
    shape: tuple[int, int],
) -> None:
    matrix = random(*shape)
    u, s, vt = np.linalg.svd(matrix.double().numpy(), full_matrices=False)
    s = s / np.linalg.norm(s)
    a, b, c = COEFFICIENTS
    for _ in range(STEPS):
        s = a * s + b * s**3 + c * s**5
    np.testing.assert_allclose(orthogonalised(matrix).numpy(), u * s @ vt, atol=1e-4)
    assert (s < 1.25).all() and (s[:-2] > 0.65).all()  # of a square matrix the last are tiny


def test_a_matrix_of_zeros_stays_so() -> None:
    assert torch.equal(orthogonalised(torch.zeros(4, 3)), torch.zeros(4, 3))


def test_on_matrices_it_is_pytorchs() -> None:
    ours, theirs = nn.Parameter(random(6, 9)), nn.Parameter(random(6, 9))
    last = nn.Parameter(random(2, 2))
    groups = [{"params": [ours, last], "weight_decay": 0.1}]
    one = Muon(groups, lr=0.02, momentum=0.9)
    other = optim.Muon(
        [theirs], lr=0.02, momentum=0.9, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    for step in range(3):
        ours.grad, theirs.grad = random(6, 9, seed=step), random(6, 9, seed=step)
        one.step()
        other.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)  # theirs computes in bfloat16
    assert (ours - random(6, 9)).abs().mean() > 0.005


def test_kernels_are_matrices_and_the_rest_is_adamws() -> None:
    config = TrainConfig(optimizer="muon", lr=0.01, weight_decay=0.05, bias_lr=2)
    network, reference = tiny_net(), tiny_net()
    optimizer = build_optimizer(network, config)
    hidden = [p for group in optimizer.param_groups if group["hidden"] for p in group["params"]]
    assert [p is network.conv.weight for p in hidden] == [True]
    adamw = build_optimizer(reference, config.model_copy(update={"optimizer": "adamw"}))
    for step in range(3):
        for ours, theirs in zip(network.parameters(), reference.parameters(), strict=True):
            ours.grad, theirs.grad = (random(*ours.shape, seed=step) for _ in range(2))
        before = network.conv.weight.detach().clone()
        optimizer.step()
        adamw.step()
    taken = (before * (1 - 0.01 * 0.05) - network.conv.weight.detach()).flatten(1) / 0.01
    values = torch.linalg.svdvals(taken) / (0.2 * 27**0.5)
    assert (values > 0.6).all() and (values < 1.25).all()
    assert taken.square().mean().sqrt() == pytest.approx(0.2, rel=0.2)  # as large as AdamW's
    for name in ("norm.weight", "norm.bias", "conv.bias", "linear.weight", "linear.bias"):
        ours, theirs = network.get_parameter(name), reference.get_parameter(name)
        assert torch.equal(ours, theirs), name


def test_it_descends_a_quadratic_that_is_far_steeper_one_way() -> None:
    steep = torch.tensor([[100.0], [1.0], [0.1]])
    weights, last = nn.Parameter(random(3, 4)), nn.Parameter(torch.zeros(1, 1))
    start = (steep * weights**2).sum(1).detach()
    optimizer = Muon([{"params": [weights, last], "weight_decay": 0.0}], lr=0.4, momentum=0.9)
    for step in range(60):
        for group in optimizer.param_groups:
            group["lr"] = 0.4 * (1 - step / 60)
        optimizer.zero_grad()
        (steep * weights**2).sum().backward()
        optimizer.step()
    assert ((steep * weights**2).sum(1) < 0.1 * start).all()


def test_weights_without_a_gradient_stay() -> None:
    network = tiny_net()
    optimizer = build_optimizer(network, TrainConfig(optimizer="muon"))
    network.linear(torch.ones(1, 8)).sum().backward()
    before = network.conv.weight.detach().clone()
    optimizer.step()
    assert torch.equal(network.conv.weight, before)
    assert (
        len(optimizer.param_groups) == len(build_optimizer(network, TrainConfig()).param_groups) + 1
    )


def test_bfloat16_where_it_is_native_makes_about_the_same_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = orthogonalised(random(16, 144))
    monkeypatch.setattr(muon, "has_native_bf16", lambda kind: kind == "cpu")
    rounded = orthogonalised(random(16, 144))
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, atol=0.02, rtol=0)


def test_with_a_fixed_norm_a_step_turns_a_kernel_by_its_rate() -> None:
    kernel, bias = nn.Parameter(random(8, 4, 3, 3)), nn.Parameter(random(8))
    groups = [
        {"params": [kernel], "weight_decay": 0.1, "scale": 1.0},
        {"params": [bias], "weight_decay": 0.0, "scale": 2.0},
    ]
    optimizer = Muon(groups, lr=0.1, momentum=0.0, fixed_norm=True, adamw_lr=0.5)
    assert [group["scale"] for group in optimizer.param_groups] == [1.0, 1.0]
    kernel.grad, before = random(8, 4, 3, 3, seed=1), kernel.detach().clone()
    optimizer.step()
    of_norm = before * 8**0.5 / before.norm()
    turned = orthogonalised(kernel.grad.flatten(1)).view_as(kernel)
    torch.testing.assert_close(kernel.detach(), of_norm - 0.1 * turned)
    assert kernel.detach().norm().item() == pytest.approx(8**0.5, rel=0.1)
