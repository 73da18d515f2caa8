from pathlib import Path

import numpy as np
import pytest
import torch
from attacks.targets import CLASSES, Own, trained
from helpers import EVERY_NETWORK, call, mostly_long, small

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.errors import ModelFileError, UsageError
from seewhy.evaluation.decision.record import Decision, Scope
from seewhy.inference.bundle import Bundle, save

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

QUICK = ("simple_cnn",)


def bundle_of(network: torch.nn.Module, folder: Path, size: int = 32, **fields: object) -> Path:
    path = folder / "model.safetensors"
    save(Bundle(network, CLASSES, InputRule(size=size, store=size), **fields), path)
    return path


def parity(
    file: Path, path: Path, **options: object
) -> tuple[seewhy.Classifier, seewhy.Classifier]:
    """Opens both, and asserts that they answer alike in batches of other sizes than were tried."""
    one, other = seewhy.load(file), seewhy.load(path, **options)
    side = one.rule.size
    for count in (1, 3, 11):
        images = np.random.default_rng(count).integers(0, 256, (count, side, side, 3), np.uint8)
        logits, expected = one.predictor.outputs(images)[0], other.predictor.outputs(images)[0]
        assert np.abs(logits - expected).max() <= 1e-4 * max(1, np.abs(expected).max())
    return one, other


@pytest.mark.parametrize(
    "name",
    mostly_long(EVERY_NETWORK, *QUICK),
)
def test_every_network_exports(name: str, tmp_path: Path) -> None:
    path = bundle_of(trained(name, size=32, **small(name)), tmp_path, views=("identity", "flip"))
    parity(seewhy.export(path, tmp_path / "m.onnx").file, path)


def test_what_similarity_needs_is_an_output(tmp_path: Path) -> None:
    network = trained("simple_cnn", size=8)
    width = network.features(torch.zeros(1, 3, 8, 8)).shape[1]
    means = tuple(tuple(row) for row in np.eye(3, width).tolist())
    scope = Scope(score="similarity", threshold=0.1, means=means)
    decision = Decision(temperature=2, threshold=0.4, scope=scope)
    path = bundle_of(network, tmp_path, 8, decision=decision, views=("identity", "flip"))
    one, other = parity(seewhy.export(path, tmp_path / "m.onnx").file, path)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, high, (8, 8, 3), np.uint8) for high in range(5, 256, 10)]
    first, second = one.predict(images), other.predict(images)
    np.testing.assert_allclose(first.embeddings, second.embeddings, atol=1e-4)
    assert (one.answers(first) == other.answers(second)).all()
    assert len(set(one.answers(first))) > 1


def test_a_network_of_ones_own_exports(tmp_path: Path) -> None:
    path = bundle_of(Own(), tmp_path, 4)
    with seewhy.load(path, model=Own()) as model:
        parity(seewhy.export(model, tmp_path / "m.onnx").file, path, model=Own())


class Usual(torch.nn.Module):
    """A norm and activations that no network of SeeWhy's has; or, in their place, other layers."""

    def __init__(self, *layers: torch.nn.Module) -> None:
        super().__init__()
        activations = ("ELU", "SELU", "CELU", "PReLU", "Softplus", "Mish", "Softsign")
        usual = (torch.nn.GroupNorm(2, 8), *(getattr(torch.nn, name)() for name in activations))
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), *(layers or usual))
        self.last = torch.nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = self.layers(x).amax((2, 3))
        return self.last(torch.nn.functional.normalize(pooled))


def test_usual_layers_of_other_networks_export(tmp_path: Path) -> None:
    network = Usual().eval()
    path = bundle_of(network, tmp_path, 8)
    with seewhy.load(path, model=Usual()) as model:
        parity(seewhy.export(model, tmp_path / "m.onnx").file, path, model=Usual())


def test_a_layer_that_no_file_may_hold_is_named(tmp_path: Path) -> None:
    def network() -> Usual:
        return Usual(torch.nn.ConvTranspose2d(8, 8, 2))

    with (
        seewhy.load(bundle_of(network().eval(), tmp_path, 8), model=network()) as model,
        pytest.raises(UsageError, match=r"this network cannot be exported .*'ConvTranspose'"),
    ):
        seewhy.export(model, tmp_path / "m.onnx")


def test_nothing_of_this_machine_is_in_the_file(exported: Path) -> None:
    data = exported.read_bytes()
    for folder in (exported.parents[1], Path(seewhy.__file__).parent):
        assert str(folder).encode() not in data


def test_a_file_whose_answers_differ_is_not_kept(tmp_path: Path, monkeypatch) -> None:
    from seewhy.exporters import onnx as exporter

    path = bundle_of(trained(size=4), tmp_path, 4)
    monkeypatch.setattr(exporter, "TOLERANCE", 0)
    with pytest.raises(ModelFileError, match="nothing was written"):
        seewhy.export(path, tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == [path]


class Branching(torch.nn.Module):
    """What it computes depends on values, which a graph cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.last = torch.nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled = x.mean((2, 3))
        return self.last(pooled) if float(pooled.sum()) > 0 else self.last(-pooled)


def test_a_network_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    with (
        seewhy.load(bundle_of(Branching(), tmp_path, 4), model=Branching()) as model,
        pytest.raises(UsageError, match="this network cannot be exported to ONNX"),
    ):
        seewhy.export(model, tmp_path / "m.onnx")


def test_the_verb_says_what_it_wrote_and_overwrites_nothing(tmp_path: Path) -> None:
    path = bundle_of(trained(size=4), tmp_path, 4)
    printed = call("export", str(path), "--out", str(tmp_path / "m.onnx"))
    assert "comparing its answers" in printed.err, "no silence while it works"
    assert "m.onnx" in printed.out and seewhy.load(tmp_path / "m.onnx").digest[:12] in printed.out
    assert (
        "already exists" in call("export", str(path), "--out", str(tmp_path / "m.onnx"), code=2).err
    )
    assert "ends in .onnx" in call("export", str(path), "--out", str(tmp_path / "m.pt"), code=2).err
    assert (
        "only a bundle"
        in call("export", "fast+fast", "--out", str(tmp_path / "n.onnx"), code=2).err
    )
