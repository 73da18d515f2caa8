import pytest
import torch
from torch import nn

from seewhy.models.dropout import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_drops_at_its_rate_and_keeps_the_mean(rate):
    torch.manual_seed(0)
    y = Dropout(rate)(torch.ones(1000, 1000))
    dropped = (y == 0).float().mean().item()
    assert dropped == pytest.approx(rate, abs=0.002)  # four standard deviations
    assert y[y > 0].unique().tolist() == pytest.approx([1 / (1 - rate)], rel=1e-3)


def test_elements_are_dropped_independently_of_their_neighbours():
    torch.manual_seed(0)
    dropped = (Dropout(0.5)(torch.ones(1_000_000)) == 0).float()
    for distance in (1, 2, 3, 4, 8):
        both = (dropped[distance:] * dropped[:-distance]).mean().item()
        assert both == pytest.approx(0.25, abs=0.002)


def test_the_gradient_passes_where_the_value_did():
    x = torch.randn(64, 3, 5, 7, requires_grad=True)
    y = Dropout(0.3)(x)
    y.sum().backward()
    assert torch.equal(x.grad == 0, y == 0)
    assert torch.allclose(y, x * x.grad)


def test_the_layout_and_the_format_stay():
    x = torch.ones(2, 3, 5, 7, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    y = Dropout(0.5)(x)
    assert y.dtype is torch.bfloat16
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_a_view_with_gaps_is_dropped_too():
    torch.manual_seed(0)
    y = Dropout(0.5)(torch.ones(100, 200)[:, ::2])
    assert 0.4 < (y == 0).float().mean() < 0.6


def test_the_same_seed_drops_the_same():
    torch.manual_seed(1)
    first = Dropout(0.5)(torch.ones(99))
    torch.manual_seed(1)
    assert torch.equal(Dropout(0.5)(torch.ones(99)), first)


@pytest.mark.parametrize("rate", [0.0, 1e-6, 1 - 1e-6, 1.0])
def test_next_to_none_and_next_to_all_are_pytorchs(rate):
    x = torch.randn(8, 8)
    torch.manual_seed(0)
    theirs = nn.Dropout(rate)(x)
    torch.manual_seed(0)
    assert torch.equal(Dropout(rate)(x), theirs)


def test_evaluation_changes_nothing():
    x = torch.randn(8, 8)
    assert Dropout(0.5).eval()(x) is x
