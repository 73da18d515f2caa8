import pytest
import torch
from torch import nn

from seewhy.analysis.attacks import ATTACKS, fgsm, pgd, square


class Linear(nn.Module):
    """Two classes parted by one plane: logits are +w.x and -w.x, less what x = 0.5 gives."""

    def __init__(self, side: int = 6) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.w = nn.Parameter(torch.randn(3, side, side, generator=generator))
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        score = ((x - 0.5) * self.w).sum((1, 2, 3))
        return torch.stack([score, -score], 1)


@pytest.fixture
def case():
    model = Linear()
    x = 0.5 + 0.2 * torch.rand(12, 3, 6, 6, generator=torch.Generator().manual_seed(1)) - 0.1
    labels = model(x).argmax(1).detach()
    return model, x, labels


def test_fgsm_of_a_linear_model_is_known_on_paper(case) -> None:
    model, x, labels = case
    sign = torch.where(labels == 0, -1.0, 1.0)[:, None, None, None]
    expected = (x + 0.03 * sign * model.w.detach().sign()).clamp(0, 1)
    assert torch.allclose(fgsm(model, x, labels, 0.03), expected)


def test_a_linear_model_falls_exactly_where_the_radius_reaches_its_plane(case) -> None:
    """The smallest change that turns it is |w.(x - 0.5)| / |w|_1."""
    model, x, labels = case
    with torch.no_grad():
        needed = model(x)[:, 0].abs() / model.w.abs().sum()
    radius = float(needed.median())
    for attack in (fgsm, pgd):
        turned = model(attack(model, x, labels, radius * 1.02)).argmax(1) != labels
        assert torch.equal(turned, needed < radius * 1.02), attack


@pytest.mark.parametrize("scale", [1e-3, 100, 1000, 1e6])
@pytest.mark.parametrize("name", ATTACKS)
def test_the_scale_of_the_logits_changes_nothing(name: str, scale: float, case) -> None:
    """In float32 the log loss of logits as large as these is 0, and so is its gradient."""
    model, x, labels = case
    plain, scaled = (
        model(ATTACKS[name](attacked, x, labels, 0.08)).argmax(1) == labels
        for attacked in (model, lambda image: scale * model(image))
    )
    assert torch.equal(plain, scaled) and plain.float().mean() <= 0.5


@pytest.mark.parametrize("name", ATTACKS)
def test_changes_stay_in_the_ball_and_in_the_image(name: str, case) -> None:
    model, x, labels = case
    x = (x * 3 - 1).clamp(0, 1)  # with values at both ends
    found = ATTACKS[name](model, x, labels, 0.05)
    assert (found - x).abs().max() <= 0.05 + 1e-6
    assert found.min() >= 0 and found.max() <= 1 and not found.requires_grad


def test_square_turns_images_within_its_queries(case) -> None:
    model, x, labels = case
    model.calls = 0
    found = square(model, x, labels, 0.08, queries=120)
    assert model.calls <= 120
    assert (model(found).argmax(1) != labels).float().mean() >= 0.5
    weak = square(model, x, labels, 0.0005, queries=10)
    assert (model(weak).argmax(1) == labels).float().mean() > 0.8


def test_nothing_is_left_in_the_network(case) -> None:
    model, x, labels = case
    for attack in ATTACKS.values():
        attack(model, x, labels, 0.02)
    assert model.w.grad is None and model.w.requires_grad and not x.requires_grad


def test_the_seed_fixes_them_and_no_other_random_stream_is_used(case) -> None:
    model, x, labels = case
    before = torch.random.get_rng_state()
    for attack in (pgd, square):
        assert torch.equal(attack(model, x, labels, 0.01), attack(model, x, labels, 0.01))
    assert torch.equal(before, torch.random.get_rng_state())
