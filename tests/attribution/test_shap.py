import itertools

import pytest
import torch
from attribution.toys import LinearNet, SmallNet, classes, flat_head, pictures
from torch import Tensor

from seewhy.attribution.baseline import blurred
from seewhy.attribution.shap import owen_values, shap


def test_a_map_adds_up_to_what_the_logit_gained_over_the_blurred_image() -> None:
    model, x, targets = SmallNet(flat_head(64)).eval(), pictures(3, 16), classes()
    with torch.no_grad():
        gained = (model(x) - model(blurred(x))).gather(1, targets[:, None])[:, 0]
    torch.testing.assert_close(shap(model, x, targets).sum((1, 2)), gained, rtol=1e-4, atol=1e-5)
    assert (gained.abs() > 0.01).all()


def test_of_a_linear_net_each_pixel_has_its_own_contribution() -> None:
    model, x = LinearNet(4), pictures(3, 4)  # 16 pixels: all are parted within the evaluations
    expected = (model.weights[classes()] * (x - blurred(x))).sum(1).detach()
    torch.testing.assert_close(shap(model, x, classes()), expected, rtol=1e-4, atol=1e-5)


def owen_by_hand(worth: dict[frozenset[int], float]) -> list[float]:
    """Of 4 players in two teams (0, 2) and (1, 3): the mean over the orders that keep teams together."""
    total = [0.0] * 4
    orders = [
        [*first, *second]
        for teams in itertools.permutations([(0, 2), (1, 3)])
        for first in itertools.permutations(teams[0])
        for second in itertools.permutations(teams[1])
    ]
    for order in orders:
        before: frozenset[int] = frozenset()
        for player in order:
            after = before | {player}
            total[player] += (worth[after] - worth[before]) / len(orders)
            before = after
    return total


def test_owen_values_are_those_of_the_definition_in_any_game() -> None:
    sets = [frozenset(s) for n in range(5) for s in itertools.combinations(range(4), n)]
    generator = torch.Generator().manual_seed(0)
    worth = {s: torch.randn(1, generator=generator).item() for s in sets}

    def value(present: Tensor) -> Tensor:
        members = [frozenset(row.flatten().nonzero()[:, 0].tolist()) for row in present]
        return torch.tensor([worth[found] for found in members])

    # Players are the pixels of a 2x2 image, row by row; it is cut down first: teams (0, 1), (2, 3).
    renamed = {0: 0, 2: 1, 1: 2, 3: 3}
    by_hand = owen_by_hand({frozenset(renamed[p] for p in s): w for s, w in worth.items()})
    found = owen_values(value, torch.zeros(2, 2, dtype=torch.bool)).flatten().tolist()
    assert found == pytest.approx([by_hand[renamed[p]] for p in range(4)], abs=1e-5)


def test_the_model_is_asked_as_often_as_said_and_where_it_matters() -> None:
    asked = 0

    def value(present: Tensor) -> Tensor:
        nonlocal asked
        asked += len(present)
        return present[:, 20:24, 8:12].float().sum((1, 2))

    found = owen_values(value, torch.zeros(32, 32, dtype=torch.bool))
    assert asked == 364  # in the docstring and the guide
    assert found[20:24, 8:12].sum().item() == pytest.approx(16, abs=1e-4)
