import numpy as np
import pytest
import torch
from attribution.toys import SmallNet, pictures
from torch import Tensor, nn

from seewhy.attribution.class_averages import class_averages
from seewhy.attribution.saliency import saliency
from seewhy.files import to_json


def values(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """A method that takes an image's first colour for its map."""
    return images[:, 0]


def test_the_maps_of_each_class_are_averaged() -> None:
    x, labels = pictures(5), torch.tensor([0, 2, 0, 2, 2])
    found = class_averages(nn.Identity(), x, labels, values, "abcd")
    assert found.counts.tolist() == [2, 0, 3, 0]
    assert found.maps[0] == pytest.approx(x[[0, 2], 0].mean(0).numpy())
    assert found.maps[2] == pytest.approx(x[[1, 3, 4], 0].mean(0).numpy())
    assert not found.maps[[1, 3]].any() and np.isnan(found.border[[1, 3]]).all()
    stored = to_json(found)
    assert set(stored) == {"even_border", "border", "counts"}
    assert stored["counts"] == {"a": 2, "b": 0, "c": 3, "d": 0} and stored["border"]["b"] is None


def test_evidence_that_is_always_at_the_border_is_seen() -> None:
    x = torch.full((4, 3, 16, 16), 0.5)
    x[:2, :, 12:, 12:] = 1  # a mark in the corner of class 0
    x -= 0.5
    x[2:, :, 6:10, 6:10] = 1
    found = class_averages(nn.Identity(), x, torch.tensor([0, 0, 1, 1]), values, "ab")
    assert found.even_border == pytest.approx(1 - 12**2 / 16**2)
    assert found.border.tolist() == pytest.approx([12 / 16, 0])


def test_evidence_against_does_not_count_for_the_border() -> None:
    x = torch.zeros(1, 3, 16, 16)
    x[:, :, 0] = -1
    x[:, :, 8, 8] = 0.5
    found = class_averages(nn.Identity(), x, torch.tensor([0]), values, "a")
    assert found.border.tolist() == [0] and found.maps.min() == -1


def test_brighter_and_darker_do_not_cancel_out_nor_count_for_and_against() -> None:
    model, x, labels = SmallNet(), pictures(2), torch.tensor([0, 0])
    found = class_averages(model, x, labels, saliency, "ab")
    assert found.maps[0] == pytest.approx(saliency(model, x, labels).abs().mean(0).numpy())
    assert not found.signed and class_averages(model, x, labels, values, "ab").signed
