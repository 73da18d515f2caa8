import hashlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from attacks import bundles as attacks
from attacks.targets import CLASSES, Own, bundle, refusal, refused, same_state, trained
from helpers import FAMILIES, small

import seewhy
from seewhy.config.networks import NETWORKS
from seewhy.errors import DiskFullError, ModelFileError, UsageError
from seewhy.evaluation.decision.record import Decision
from seewhy.inference import bundle as bundles
from seewhy.inference import container
from seewhy.inference.bundle import load, save
from seewhy.inference.container import read_header
from seewhy.models.registry import build

# What is written is what is read.


@pytest.mark.parametrize(
    ("name", "half"), [*((name, True) for name in FAMILIES), ("regularized_cnn", False)]
)
def test_a_network_of_each_family_comes_back_as_it_was_saved(
    name: str, half: bool, tmp_path: Path
) -> None:
    size = max(20, NETWORKS[name].minimum_size)
    network = trained(name, size=size, **small(name))
    path = tmp_path / "model.safetensors"
    given = bundle(
        network,
        decision=Decision(temperature=1.5),
        views=("identity", "flip"),
        facts={"accuracy": 0.5, "nested": {"list": [1, None, "ü"]}},
        fingerprint="a" * 64,
        parents=("b" * 64, "c" * 64),
    )
    saved = save(given, path, half=half)
    loaded = load(path)
    for name in ("classes", "rule", "decision", "views", "facts", "fingerprint", "parents"):
        assert getattr(loaded, name) == getattr(saved, name) == getattr(given, name)
    assert loaded.digest == saved.digest == read_header(path).digest
    assert type(loaded.network) is type(network) and not loaded.network.training
    for name, tensor in network.state_dict().items():
        found = loaded.network.state_dict()[name]
        exact = not half or tensor.ndim < 2
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor if exact else tensor.half().float()), name
    x = torch.rand(4, 3, size, size)
    network.eval()
    with torch.no_grad():
        assert torch.equal(loaded.network(x), saved.network(x))
        assert torch.allclose(loaded.network(x), network(x), rtol=2e-2, atol=2e-2)
        assert half or torch.equal(loaded.network(x), network(x))


def test_the_digest_is_the_hash_of_the_file_with_its_own_digits_as_zeros(good: bytes) -> None:
    digits = good[attacks.DIGITS]
    assert good.count(digits) == 1
    assert hashlib.sha256(good.replace(digits, b"0" * 64)).hexdigest() == digits.decode()


def test_the_file_is_plain_safetensors(good: bytes) -> None:
    tensors = safetensors.torch.load(good)
    state = trained().state_dict()
    assert set(tensors) == {"golden.logits", *(f"network.{name}" for name in state)}
    assert torch.equal(tensors["network.conv1.bias"], state["conv1.bias"])
    assert tensors["network.conv1.weight"].dtype == torch.float16


def test_read_header_says_all_but_the_weights(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(good)
    header = read_header(path)
    assert header.size == len(good)
    assert header.metadata.classes == CLASSES
    assert header.metadata.architecture.model_dump() == {"name": "simple_cnn", "arguments": {}}
    assert header.metadata.facts == {"epochs": 3}
    weights = [entry for entry in header.tensors if entry.name.startswith("network.")]
    assert sum(int(np.prod(entry.shape)) for entry in weights) == sum(
        tensor.numel() for tensor in trained().state_dict().values()
    )


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path, good: bytes) -> None:
    given = bundle(facts={"epochs": 3}, fingerprint="a" * 64, parents=("b" * 64,))
    save(given, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == good


def test_options_of_the_network_are_kept(tmp_path: Path) -> None:
    save(bundle(trained("speednet", 20, width=0.25)), tmp_path / "m")
    assert load(tmp_path / "m").network.arguments["width"] == 0.25


def test_weights_past_the_range_of_float16_stay_float32(tmp_path: Path) -> None:
    network = trained()
    with torch.no_grad():
        network.conv1.weight[0, 0, 0, 0] = 1e5
    loaded = save(bundle(network), tmp_path / "m")
    assert torch.equal(loaded.network.conv1.weight, network.conv1.weight)


def test_a_channels_last_network_is_written_as_any_other(tmp_path: Path, good: bytes) -> None:
    network = trained().to(memory_format=torch.channels_last)
    given = bundle(network, facts={"epochs": 3}, fingerprint="a" * 64, parents=("b" * 64,))
    save(given, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == good


def test_a_bfloat16_network_is_written_in_float32(tmp_path: Path) -> None:
    network = trained().bfloat16()
    loaded = save(bundle(network), tmp_path / "m").network
    assert torch.equal(loaded.conv1.bias, network.conv1.bias.float())


def test_rounded_is_what_load_will_give(tmp_path: Path) -> None:
    network = trained("regularized_cnn")
    save(bundle(network), tmp_path / "m")
    assert same_state(bundles.rounded(network), load(tmp_path / "m").network)


def test_saving_and_loading_leave_no_trace(tmp_path: Path) -> None:
    network = trained("regularized_cnn").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(3)
    rng = torch.get_rng_state()
    save(bundle(network), tmp_path / "m")
    load(tmp_path / "m")
    assert torch.equal(torch.get_rng_state(), rng)
    assert network.training and network.head.dropout.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_loaded_network_can_be_trained_further(tmp_path: Path) -> None:
    save(bundle(), tmp_path / "m")
    network = load(tmp_path / "m").network
    network(torch.rand(2, 3, 4, 4)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


# Writing.


def test_an_existing_file_is_never_written_over_untold(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        save(bundle(), path)
    assert path.read_text() == "mine"
    save(bundle(), path, overwrite=True)
    assert load(path).classes == CLASSES


def test_a_name_of_an_onnx_file_is_refused_before_any_work(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    for write in (
        lambda: save(bundle(), file),
        lambda: seewhy.ensemble(["no model", "another"], out=file),
        lambda: seewhy.calibrate("no model", "no data", out=file),
    ):
        with pytest.raises(UsageError, match="would be read as an ONNX file"):
            write()
    assert not file.exists()


def test_an_onnx_file_is_no_model_to_train_and_names_the_one_that_is(tmp_path: Path) -> None:
    """It was called no model of SeeWhy, with advice on pickles."""
    exported = tmp_path / "exported.onnx"
    exported.write_bytes(b"\x08\x08")
    with pytest.raises(
        ModelFileError, match=r"exported\.onnx: an ONNX file has no network to train"
    ):
        load(exported)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "m"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        save(bundle(), path, overwrite=True)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"classes": ("a", "b", "b")}, "two classes have one name"),
        ({"classes": ("a", "b", "c\n")}, "control character"),
        ({"facts": {"x": float("nan")}}, "'facts.x"),
        ({"facts": {"x": "\udcff"}}, "'facts'"),
        ({"facts": {"x": object()}}, "'facts.x'"),
        ({"facts": {"x": "y" * 2**18}}, "bytes of JSON"),
        ({"views": ("up",)}, "'views.0'"),
        ({"fingerprint": "abc"}, "'fingerprint"),
        ({"classes": ("a", "b", "c", "d")}, "its architecture has"),
    ],
)
def test_what_could_not_be_loaded_is_not_written(fields: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=said) as caught:
        save(replace(bundle(), **fields), tmp_path / "m")
    assert str(caught.value).startswith(f"{tmp_path / 'm'}: ")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    network = trained()
    with torch.no_grad():
        network.conv1.weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(ModelFileError, match=r"network\.conv1\.weight.*NaN or infinite"):
        save(bundle(network), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_header_past_its_limit_is_not_written(tmp_path: Path) -> None:
    classes = tuple(f"{k:0200}" for k in range(6_000))
    network = build("simple_cnn", num_classes=6_000, size=4)
    with pytest.raises(ModelFileError, match="shorten the class names"):
        save(replace(bundle(network), classes=classes), tmp_path / "m")


# One's own architecture.


def test_own_architecture_fills_the_network_that_is_given(tmp_path: Path) -> None:
    network = Own()
    saved = save(bundle(network), tmp_path / "m")
    given = Own().train()
    loaded = load(tmp_path / "m", model=given)
    assert loaded.network is given and not given.training
    assert same_state(given, saved.network)
    assert read_header(tmp_path / "m").metadata.architecture.name == "custom"


def test_each_tensor_lies_where_its_type_may_be_read(tmp_path: Path) -> None:
    save(bundle(Own()), tmp_path / "m")
    data = (tmp_path / "m").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for entry in read_header(tmp_path / "m").tensors:
        assert (start + entry.start) % int(container.DTYPES[entry.dtype][-1]) == 0, entry.name


def test_own_architecture_asks_for_its_network(tmp_path: Path) -> None:
    save(bundle(Own()), tmp_path / "m")
    assert "load(path, model=network)" in refusal(tmp_path / "m")
    before = Own(width=5)
    weights = {name: tensor.clone() for name, tensor in before.state_dict().items()}
    assert "its architecture has F32 [5]" in refusal(tmp_path / "m", model=before)
    assert all(torch.equal(weights[name], t) for name, t in before.state_dict().items())


def test_a_known_architecture_takes_no_other_network(tmp_path: Path) -> None:
    save(bundle(), tmp_path / "m")
    assert "leave out `model`" in refusal(tmp_path / "m", model=Own())


def test_a_truth_value_is_0_or_1(tmp_path: Path) -> None:
    save(bundle(Own()), tmp_path / "m")
    header, body = attacks.split((tmp_path / "m").read_bytes())
    body[header["network.allowed"]["data_offsets"][0]] = 2
    assert "truth value" in refused(attacks.join(header, body), tmp_path, model=Own())


def test_a_type_that_has_no_name_in_the_format_is_refused(tmp_path: Path) -> None:
    network = Own()
    network.register_buffer("phase", torch.ones(2, dtype=torch.complex64))
    with pytest.raises(ModelFileError, match=r"'network\.phase' is complex64"):
        save(bundle(network), tmp_path / "m")


def test_a_tensor_under_its_former_and_its_present_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save(bundle(trained("resnet18", size=16, width=0.125)), path)
    tensors = safetensors.numpy.load_file(path)
    tensors["network.stem.conv.weight"] = tensors["network.conv1.weight"]
    path.write_bytes(container.encode(read_header(path).metadata, tensors))
    assert "two tensors, by an old and a new name" in refusal(path)
