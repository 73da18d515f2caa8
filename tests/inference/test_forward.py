from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from seewhy.errors import DivergedError
from seewhy.inference.forward import INVERSES, VIEWS, full_precision, predict, to_input
from seewhy.models.registry import build

CLASSES = ("a", "b", "c")


@dataclass
class Pictures:
    """As much of an `ImageSet` as predicting reads; remembers how many rows were read at a time."""

    rows: np.ndarray

    def __post_init__(self) -> None:
        self.read: list[int] = []
        self.classes = CLASSES
        self.labels = np.arange(len(self.rows)) % 3
        self.ids = np.array([str(row) for row in range(len(self.rows))])

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def images(self) -> "Pictures":
        return self

    def __getitem__(self, rows: slice) -> np.ndarray:
        self.read.append(len(self.rows[rows]))
        return self.rows[rows]


def pictures(n: int = 40, side: int = 8) -> Pictures:
    return Pictures(np.random.default_rng(3).integers(0, 256, (n, side, side, 3), np.uint8))


class Net(nn.Module):
    """A convolution, batch norm and dropout, so that its modes differ; notes each call."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 16, 3)
        self.norm = nn.BatchNorm2d(16)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(16, 3)
        self.calls: list[dict] = []

    def forward(self, x: Tensor) -> Tensor:
        out = self.last(self.drop(self.norm(self.conv(x)).relu().mean((2, 3))))
        self.calls.append(
            {
                "n": len(x),
                "dtype": x.dtype,
                "range": (x.min().item(), x.max().item()),
                "channels_last": x.is_contiguous(memory_format=torch.channels_last),
                "grad": out.requires_grad,
                "out": out.dtype,
                "precision": torch.backends.mkldnn.matmul.fp32_precision,
                "tf32": torch.backends.cudnn.conv.fp32_precision,
            }
        )
        return out


def by_hand(net: Net, images: np.ndarray) -> np.ndarray:
    x = torch.tensor(images).permute(0, 3, 1, 2).float() / 255
    modes = [module.training for module in net.modules()]
    with torch.no_grad():
        logits = net.eval()(x).numpy()
    for module, training in zip(net.modules(), modes, strict=True):
        module.training = training
    return logits


def test_the_record_is_of_the_whole_split_in_eval_mode() -> None:
    net, images = Net(), pictures()
    found = predict(net, images, size=8, batch_size=16)
    assert found.logits == pytest.approx(by_hand(net, images.rows), rel=1e-5, abs=1e-6)
    assert found.classes == CLASSES and list(found.ids) == list(images.ids)
    assert np.array_equal(found.labels, images.labels)
    assert found.logits.dtype == np.float32


def test_each_image_passes_once_and_is_read_a_batch_at_a_time() -> None:
    net, images = Net(), pictures(40)
    predict(net, images, size=8, batch_size=16)
    assert images.read == [16, 16, 8]
    assert [call["n"] for call in net.calls] == [16, 16, 8]


@pytest.mark.parametrize("batch_size", [1, 7, 39])
def test_the_batch_size_changes_nothing(batch_size: int) -> None:
    net, images = Net(), pictures()
    whole = predict(net, images, size=8, batch_size=40).logits
    parts = predict(net, images, size=8, batch_size=batch_size).logits
    assert np.abs(parts - whole).max() <= 1e-4 * np.abs(whole).max()


def test_the_network_sees_floats_from_0_to_1_channels_last_without_gradient() -> None:
    net, images = Net(), pictures()
    images.rows[0, 0, 0] = 0, 255, 0
    predict(net, images, size=8)
    (call,) = net.calls
    assert call["range"] == (0.0, 1.0) and call["dtype"] == torch.float32
    assert call["channels_last"] and not call["grad"]


def test_the_centre_is_seen() -> None:
    net, images = Net(), pictures(side=8)
    inner = Pictures(images.rows[:, 1:7, 1:7])
    assert np.array_equal(predict(net, images, size=6).logits, predict(net, inner, size=6).logits)


def test_views_are_averaged_as_logits() -> None:
    net, images = Net(), pictures()
    found = predict(net, images, size=8, views=("identity", "flip")).logits
    expected = (by_hand(net, images.rows) + by_hand(net, images.rows[:, :, ::-1].copy())) / 2
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
    mirrored = Pictures(images.rows[:, :, ::-1])
    assert found == pytest.approx(
        predict(net, mirrored, size=8, views=("flip", "identity")).logits, rel=1e-5, abs=1e-6
    )


class Raises(Net):
    def forward(self, x: Tensor) -> Tensor:
        if len(self.calls) == 1:
            raise KeyboardInterrupt
        return super().forward(x)


@pytest.mark.parametrize("kind", [Net, Raises])
def test_no_trace_is_left(kind: type[Net]) -> None:
    net = kind().train()
    net.norm.eval()  # as one who freezes batch norm trains
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    torch.manual_seed(5)
    rng = torch.get_rng_state()
    settings = torch.get_float32_matmul_precision(), torch.backends.cudnn.conv.fp32_precision
    try:
        predict(net, pictures(), size=8, batch_size=10)
    except KeyboardInterrupt:
        assert kind is Raises
    assert net.training and net.drop.training and not net.norm.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert torch.equal(torch.get_rng_state(), rng)
    assert torch.is_grad_enabled()
    assert settings == (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.conv.fp32_precision,
    )


class Draws(Net):
    def forward(self, x: Tensor) -> Tensor:
        torch.rand(1)
        return super().forward(x)


def test_a_network_that_draws_disturbs_no_random_stream() -> None:
    net = Draws()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    predict(net, pictures(), size=8)
    assert torch.equal(torch.rand(3), expected)


def test_published_figures_are_fp32_whatever_the_program_has_set() -> None:
    backends = torch.backends.mkldnn.matmul, torch.backends.cudnn.conv
    net = Net()
    torch.set_float32_matmul_precision("medium")
    try:
        before = [backend.fp32_precision for backend in backends]
        predict(net, pictures(), size=8)
        assert [backend.fp32_precision for backend in backends] == before
        assert "ieee" not in before and torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    (call,) = net.calls
    assert (call["precision"], call["tf32"]) == ("ieee", "ieee")


def test_amp_computes_in_its_format_and_answers_in_float32() -> None:
    net, images = Net(), pictures()
    rough = predict(net, images, size=8, amp=torch.bfloat16)
    exact = predict(net, images, size=8)
    assert [call["out"] for call in net.calls] == [torch.bfloat16, torch.float32]
    assert rough.logits.dtype == np.float32
    assert 0 < np.abs(rough.logits - exact.logits).max() < 0.05


def test_progress_is_told_of_each_batch() -> None:
    heard: list[tuple[int, int]] = []
    predict(
        *(Net(), pictures(40)),
        size=8,
        batch_size=16,
        on_event=lambda event: heard.append((event.done, event.total)),
    )
    assert heard == [(16, 40), (32, 40), (40, 40)]


@pytest.mark.parametrize("size, first", [(8, 40), (128, 4), (512, 1)])
def test_a_batch_is_smaller_where_images_are_larger(monkeypatch, size, first) -> None:
    monkeypatch.setattr("seewhy.inference.predictor.MOST_PIXELS", 1 << 16)
    many = Pictures(np.broadcast_to(np.uint8(0), (40, size, size, 3)))
    predict(Net(), many, size=size)
    assert many.read[0] == first


def test_nan_is_refused_and_counted() -> None:
    net = Net()
    with torch.no_grad():
        net.last.bias[1] = torch.nan
    with pytest.raises(DivergedError, match="for 40 of 40 images"):
        predict(net, pictures(40), size=8)


def test_no_images_give_an_empty_record() -> None:
    found = predict(Net(), pictures(0), size=8)
    assert found.logits.shape == (0, 3) and len(found) == 0


def test_embeddings_are_the_means_of_the_maps_over_the_views_and_change_no_logit() -> None:
    torch.manual_seed(0)
    network = build("speednet", num_classes=3, size=32, width=0.25)
    split, views = pictures(5, 32), ("identity", "flip")
    plain = predict(network, split, size=32, views=views)
    found = predict(network, split, size=32, views=views, embed=True, batch_size=2)
    assert plain.embeddings is None and np.allclose(found.logits, plain.logits, atol=1e-5)
    x = to_input(split.rows, "cpu")
    with torch.no_grad():
        maps = [network.eval().features(view).mean((2, 3)) for view in (x, x.flip(-1))]
    assert np.allclose(found.embeddings, (maps[0] + maps[1]).numpy() / 2, atol=1e-5)


def test_a_network_without_halves_has_no_embeddings() -> None:
    assert predict(Net(), pictures(), size=8, embed=True).embeddings is None


def test_of_two_that_want_full_precision_the_last_restores_it() -> None:
    conv = torch.backends.mkldnn.conv
    before = conv.fp32_precision
    first, second = full_precision(), full_precision()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert conv.fp32_precision == "ieee"
    second.__exit__(None, None, None)
    assert conv.fp32_precision == before


@pytest.mark.parametrize("view", VIEWS)
def test_a_map_of_a_view_is_carried_back_onto_the_image(view: str) -> None:
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    seen = VIEWS[view](x)
    assert seen.shape == x.shape and (view == "identity") == torch.equal(seen, x)
    inner = (..., slice(4, -4), slice(4, -4))
    assert torch.equal(INVERSES[view](seen)[inner], x[inner])
    maps = torch.rand(2, 4, 3, 3)  # too coarse to be moved
    assert torch.equal(INVERSES[view](maps), maps.flip(-1) if "flip" in view else maps)
