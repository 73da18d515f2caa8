import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from attribution.toys import SmallNet, traces
from helpers import image_set, tiny_net
from torch import Tensor, nn

from seewhy.attribution.channels import channels
from seewhy.errors import UsageError
from seewhy.inference.forward import AveragedViews


class Colours(nn.Module):
    """Its channels are red, green and blue; its head looks at red alone, then a little at blue."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2, bias=False)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), self.linear)
        self.linear.weight.data = torch.tensor([[10.0, 0, 0], [-10.0, 0, 1]])

    def features(self, x: Tensor) -> Tensor:
        return x - 0.5

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def coloured(n: int = 40):
    """Class 0 is bright in red; green and blue are noise."""
    labels = np.arange(n) % 2
    images = image_set(labels, size=8)
    images.images[..., 1:] = np.random.default_rng(0).integers(0, 256, (n, 8, 8, 2))
    images.images[labels == 0, :, :, 0] = 200
    images.images[labels == 1, :, :, 0] = 50
    return images


def test_the_channel_that_decides_is_found_and_what_its_loss_costs() -> None:
    found = channels(Colours(), coloured(), size=8)
    assert found.by_importance()[0] == 0
    red, green, _ = found.accuracy_drop
    assert red.value == pytest.approx(0.5) and red.low > 0.3
    assert green.value == 0 and green.low < 0 < green.high
    # Red is 75 levels from its mean, times 10: what either class's logit loses.
    assert found.logit_drop[0].value == pytest.approx(10 * 75 / 255, rel=1e-4)
    assert found.logit_drop[1].value == pytest.approx(0, abs=1e-6)


def test_the_most_exciting_images_come_first_with_the_place() -> None:
    images = coloured()
    images.images[7, 2, 5, 1] = 255
    images.images[:, :, :, 1] = np.minimum(images.images[:, :, :, 1], 250)
    images.images[7, 2, 5, 1], images.images[11, 6, 1, 1] = 255, 253
    found = channels(Colours(), images, size=8, count=3)
    assert found.exciting.shape == (3, 3) and found.peaks.shape == (3, 3, 2)
    assert found.exciting[1, :2].tolist() == [7, 11]
    assert found.peaks[1, :2].tolist() == [[2.5 / 8, 5.5 / 8], [6.5 / 8, 1.5 / 8]]


def test_progress_is_told_and_few_images_are_enough() -> None:
    heard = []
    found = channels(Colours(), coloured(2), size=8, on_event=heard.append)
    assert [(one.done, one.total) for one in heard] == [(2, 2)] and found.exciting.shape == (3, 2)


def test_the_interval_of_few_images_is_students_and_one_image_has_none() -> None:
    blue = channels(Colours(), coloured(2), size=8).logit_drop[2]
    # One of the two loses nothing, so that the mean is its own standard error; t of 2 images is 12.7.
    assert blue.value - blue.low == pytest.approx(12.706 * abs(blue.value), rel=1e-3)
    alone = channels(Colours(), coloured(1), size=8).logit_drop[2]
    assert np.isnan(alone.low) and alone.reason == "too few images"


def test_the_batch_changes_nothing_and_only_its_maps_are_held(monkeypatch) -> None:
    class Counted(Colours):
        most = 0

        def features(self, x: Tensor) -> Tensor:
            self.most = max(self.most, len(x))
            kept.append(weakref.ref(found := super().features(x)))
            assert sum(maps() is not None for maps in kept) <= 2
            return found

    kept: list[weakref.ref[Tensor]] = []
    whole = channels(Colours(), coloured(), size=8)
    monkeypatch.setattr("seewhy.inference.predictor.MOST_PIXELS", 7 * 8 * 8)
    parts = channels(model := Counted(), coloured(), size=8)
    assert model.most == 7 and len(kept) >= 12
    assert np.array_equal(parts.exciting, whole.exciting)
    assert np.array_equal(parts.peaks, whole.peaks)
    assert parts.accuracy_drop == whole.accuracy_drop
    for one, other in zip(parts.logit_drop, whole.logit_drop, strict=True):
        assert (one.value, one.low) == pytest.approx((other.value, other.low), abs=1e-5)


def test_a_channel_is_left_out_of_every_view_and_the_mean_of_the_views_answers() -> None:
    class Halves(Colours):
        """Red as it is on the left, and none of it on the right."""

        def features(self, x: Tensor) -> Tensor:
            maps = super().features(x)
            return maps * (torch.arange(8) < 4)

    images = coloured()
    one = channels(Halves(), images, size=8)
    flipped = replace(images, images=images.images[:, :, ::-1].copy())
    other = channels(Halves(), flipped, size=8)
    images.images[:, :, 4:, 0] = 255 - images.images[:, :, 4:, 0]  # the right says the opposite
    both = channels(AveragedViews(Halves(), ["identity", "flip"]), images, size=8)
    assert both.exciting.tolist() == channels(Halves(), images, size=8).exciting.tolist()
    assert one.logit_drop[0].value == pytest.approx(other.logit_drop[0].value)
    assert abs(both.logit_drop[0].value) < 0.02 < 0.5 < one.logit_drop[0].value


def test_no_trace_is_left_also_after_an_exception() -> None:
    model = SmallNet().train()
    read = traces(model)
    left = read()
    channels(model, coloured(), size=8)
    model.fails_at = model.calls + 1
    with pytest.raises(RuntimeError, match="as asked for"):
        channels(model, coloured(), size=8)
    assert read() == left


def test_a_network_without_halves_is_refused() -> None:
    with pytest.raises(UsageError, match="TinyNet has no `features"):
        channels(tiny_net(), coloured(), size=8)
