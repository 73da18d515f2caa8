"""Networks of timm: any of them trains, explains itself and comes back from its bundle; what is refused."""

import importlib
import importlib.util
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import QUICK, call, same_weights, write_folder
from models.timm_process import StubFinder
from safetensors.torch import save_file

import seewhy
from seewhy.attribution.grad_cam import grad_cam
from seewhy.attribution.layers import feature_maps
from seewhy.config.recipe import load_recipe
from seewhy.errors import ModelFileError, UsageError
from seewhy.events import Epoch
from seewhy.inference.bundle import load as load_bundle
from seewhy.models.pretrained import fill, read_weights
from seewhy.models.registry import build, cost, name_of
from seewhy.models.timm import TimmNetwork
from seewhy.training.layers import check_sides, distances, notes_on_network


@pytest.fixture(scope="module", autouse=True)
def timm() -> Iterator[Any]:
    """timm, with a stub for torchvision, which not every PyTorch can load. Skips without it."""
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    stub = StubFinder()
    sys.meta_path.insert(0, stub)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield importlib.import_module("timm")
    sys.meta_path.remove(stub)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def thumbnails(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("data") / "thumbnails", count=8, size=32)


FIELDS = {**QUICK, "data.size": 32, "train.epochs": 2, "model.name": "timm/test_resnet"}
FIELDS["model.dropout"] = 0.1


@pytest.fixture(scope="module")
def run(timm: Any, thumbnails: Path, tmp_path_factory: pytest.TempPathFactory) -> seewhy.Run:
    out = tmp_path_factory.mktemp("timm") / "run"
    return seewhy.train(thumbnails, "resnet18", out=out, overrides=FIELDS)


def test_it_trains_and_its_bundle_predicts_and_explains(run: seewhy.Run, thumbnails: Path) -> None:
    classifier = seewhy.load(run.path)
    val = classifier.splits(thumbnails).val
    stored = seewhy.Predictions.from_parquet(run.predictions("val"))
    assert (classifier.predict(val.images[:]).logits == stored.logits).all()
    architecture = seewhy.info(run.path).header.metadata.architecture
    assert architecture.name == "timm/test_resnet" and architecture.arguments["dropout"] == 0.1
    maps = grad_cam(load_bundle(run.model).network, torch.rand(2, 3, 32, 32), torch.tensor([0, 1]))
    assert maps.shape == (2, 32, 32) and maps.isfinite().all() and maps.std() > 0


def test_a_stopped_run_resumes_to_the_same_bits(
    run: seewhy.Run, thumbnails: Path, tmp_path: Path
) -> None:
    out = tmp_path / "stopped"
    with seewhy.training_events(thumbnails, "resnet18", out=out, overrides=FIELDS) as events:
        next(event for event in events if isinstance(event, Epoch))
    assert same_weights(seewhy.train(out=out, resume=True).model, run.model)


def test_a_bundle_is_the_start_of_another(
    run: seewhy.Run, thumbnails: Path, tmp_path: Path
) -> None:
    fields = {**QUICK, "data.size": 32, "train.unfreeze": None}
    tuned = seewhy.train(
        thumbnails, "resnet18", out=tmp_path / "run", init=run.model, overrides=fields
    )
    before, after = (load_bundle(one.model).network.state_dict() for one in (run, tuned))
    assert torch.equal(before["body.conv1.0.weight"], after["body.conv1.0.weight"])
    assert not torch.equal(before["classifier.weight"], after["classifier.weight"])


def test_without_timm_its_bundle_says_how_to_install_it(
    run: seewhy.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelFileError, match=r"cannot be built: .*pip install 'seewhy\[timm\]'$"):
        seewhy.load(run.path)


def test_a_torchvision_that_does_not_load_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        UsageError, match=r"cannot be imported .*torchvision that was built for torch"
    ):
        build("timm/not_asked_before", num_classes=2, size=32)


# One whose features are maps, maps with the channels last, tokens without and with a class token.
KINDS = [
    ("test_efficientnet", "maps"),
    pytest.param("mambaout_femto", "channels last", marks=pytest.mark.long),
    pytest.param("test_vit4", "tokens", marks=pytest.mark.long),
    ("test_vit", "tokens"),
]


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_maps_and_head_are_timms_own_forward(name: str, kind: str) -> None:
    network = build(f"timm/{name}", num_classes=3, size=64).eval()
    x = torch.rand(2, 3, 64, 64)
    assert isinstance(network, TimmNetwork) and network.shapes.features == kind
    with torch.no_grad():
        maps = network.features(x)
        assert maps.shape[2:] == network.shapes.grid and min(maps.shape[2:]) >= 2
        torch.testing.assert_close(
            network(x), network.classifier(network.body(network.normalize(x)))
        )
    embedding = network.classifier.in_features
    counted = cost(f"timm/{name}", num_classes=3, size=64)
    assert counted.parameters == sum(tensor.numel() for tensor in network.parameters())
    assert counted.flops > 2 * 3 * embedding
    assert grad_cam(network, x, torch.tensor([0, 1])).std() > 0


def test_smaller_images_of_progressive_resizing_are_enlarged_where_the_size_is_fixed() -> None:
    config = load_recipe("transfer", {"train.progressive": 0.5}).train
    network = build("timm/test_vit", num_classes=2, size=64)
    check_sides(network, config, 64)
    assert notes_on_network(network, config) == ()


def test_weights_are_drawn_from_the_seed_and_nothing_is_in_place() -> None:
    torch.manual_seed(3)
    first = build("timm/resnet10t", num_classes=2, size=64)
    torch.manual_seed(3)
    second = build(name_of(first) or "", **first.arguments).state_dict()
    assert all(torch.equal(second[key], tensor) for key, tensor in first.state_dict().items())
    assert not any(getattr(module, "inplace", False) for module in first.modules())


def test_thumbnails_are_enlarged_until_the_map_has_places() -> None:
    network = build("timm/resnet10t", num_classes=2, size=32).eval()
    (note,) = notes_on_network(network, load_recipe("resnet18").train)
    assert "enlarged from 32 to 64 pixels" in note
    assert network.features(torch.rand(1, 3, 32, 32)).shape == (1, 512, 2, 2)
    told = build("timm/resnet10t", num_classes=2, size=32, enlarge=96)
    assert told.inner_size == 96 and not notes_on_network(told, load_recipe("resnet18").train)


def test_its_parts_are_timms() -> None:
    network = build("timm/test_resnet", num_classes=2, size=64)
    away = distances(network)
    assert away["classifier.weight"] == 0 < away["body.layer4.0.conv1.weight"]
    assert away["body.layer4.0.conv1.weight"] < away["body.layer1.0.conv1.weight"]
    assert "body.layer2" in feature_maps(network, torch.rand(1, 3, 64, 64))


def test_the_command_line_shows_its_layers(tmp_path: Path) -> None:
    shown = json.loads(call("models", "show", "timm/test_resnet", "--size", 64, "--json").out)
    assert shown["network"] == "timm/test_resnet" and shown["layers"][-1]["name"] == "classifier"
    call("models", "show", "timm/test_resnet", "--out", tmp_path / "resnet.png")
    options = ["--out", tmp_path / "vit.png"]
    refused = call("models", "show", "timm/test_vit", *options, code=2).err
    assert (
        "timm/test_vit can be listed and not drawn" in refused
        and len(list(tmp_path.iterdir())) == 1
    )


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet11t", {}, r"timm .* no network 'resnet11t': did you mean timm/resnet1.* or timm/"),
        ("", {}, r"no network '': timm\.list_models\(\) lists them"),
        ("hf-hub:timm/resnet10t", {}, "no network 'hf-hub:timm/resnet10t'"),
        ("resnet10t.none", {}, "no weights 'none' of resnet10t: choose one of c3_in1k, or none"),
        ("resnet10t", {"width": 2.0}, "no option 'width': its options are enlarge, dropout, drop_"),
        ("vgg11_bn", {"drop_path": 0.1}, "timm/vgg11_bn has no drop_path: leave it out"),
        ("resnet10t", {"enlarge": 32}, r"of 32 pixels .*1x1 positions.*--model\.enlarge 176"),
        ("bat_resnext26ts", {"size": 270}, r"on images of 270 pixels .*--data\.size 256"),
        (
            "coat_tiny",
            {"size": 224},
            r"no single map that its head takes\): choose another network",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_a_line(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        build(f"timm/{name}", **{"num_classes": 10, "size": 32, **options})
    assert len(str(refusal.value)) < 400 and "\n" not in str(refusal.value)


def written(folder: Path, timm: Any, name: str) -> tuple[Any, Path]:
    """A network of timm with random weights, and their file beside its card, as the Hub has them."""
    torch.manual_seed(1)
    theirs = timm.create_model(name).eval()
    card = {key: theirs.pretrained_cfg[key] for key in ("mean", "std", "input_size")}
    (folder / "config.json").write_text(json.dumps({"pretrained_cfg": card}))
    save_file(dict(theirs.state_dict()), folder / "model.safetensors")
    return theirs, folder / "model.safetensors"


@pytest.mark.parametrize(("name", "size"), [("test_resnet", 160), ("resnetv2_18", 224)])
def test_timms_weights_give_timms_features(name: str, size: int, timm: Any, tmp_path: Path) -> None:
    theirs, path = written(tmp_path, timm, name)
    network = build(f"timm/{name}", num_classes=3, size=size).eval()
    text = fill(network, read_weights(f"timm/{name}", str(path)), f"timm/{name}")
    assert text.endswith("its last layer of 1,000 classes is replaced by one of 3")
    x = torch.rand(1, 3, size, size)
    mean, std = (torch.tensor(theirs.pretrained_cfg[key])[:, None, None] for key in ("mean", "std"))
    with torch.no_grad():
        expected = theirs.forward_head(theirs.forward_features((x - mean) / std), pre_logits=True)
        torch.testing.assert_close(network(x), network.classifier(expected.flatten(1)))


def test_positions_are_adapted_to_the_size(timm: Any, tmp_path: Path) -> None:
    _, path = written(tmp_path, timm, "test_vit")
    network = build("timm/test_vit", num_classes=3, size=64)
    fill(network, read_weights("timm/test_vit", str(path)), "timm/test_vit")
    assert network.state_dict()["body.pos_embed"].shape == (1, 17, 64)
    other = build("timm/test_resnet", num_classes=3, size=64)
    with pytest.raises(UsageError, match="are weights of another architecture than timm/test_res"):
        fill(other, read_weights("timm/test_resnet", str(path)), "timm/test_resnet")


def test_imagenet_is_the_repository_that_timm_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def download(source: str) -> Path:
        asked.append(source)
        raise UsageError("not here")

    monkeypatch.setattr("seewhy.models.pretrained.download", download)
    for name in ("resnet10t", "resnet18.a3_in1k"):
        with pytest.raises(UsageError, match="not here"):
            read_weights(f"timm/{name}", "imagenet")
    assert asked == ["hf-hub:timm/resnet10t.c3_in1k", "hf-hub:timm/resnet18.a3_in1k"]
    with pytest.raises(UsageError, match="no ImageNet weights are known for timm/mixer_s16_224"):
        read_weights("timm/mixer_s16_224", "imagenet")
