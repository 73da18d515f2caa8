"""The registry: what can be asked for, and what is refused before anything is built."""

import importlib
import json
import pkgutil
import subprocess
import sys
from typing import Any

import pytest
import torch
from helpers import EVERY_NETWORK, FAMILIES, mostly_long, small
from torch import nn
from torch.nn import functional

from seewhy import models
from seewhy.config.networks import NETWORKS, STORED_COST
from seewhy.config.networks.options import PretrainedOptions
from seewhy.errors import UsageError
from seewhy.models.blocks import blocks
from seewhy.models.registry import LARGEST, Network, build, cost, describe, name_of, network_class


def test_an_unknown_net_is_answered_with_the_known_and_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean simple_cnn\? .*simple_cnn, .*resnet18"):
        build("simple-cnn", num_classes=2, size=32)
    with pytest.raises(UsageError, match="there is no network 'zzz'"):
        cost("zzz", num_classes=2, size=32)


@pytest.mark.parametrize("make", [build, cost])
@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet18", {"dropout": 0.5}, r"resnet18 has no option 'dropout': its options are stem"),
        ("regularized_cnn", {"width": 2}, r"no option 'width': its options are dropout"),
        ("simple_cnn", {"width": 2}, "it has no options"),
        ("simple_cnn", {"name": "resnet18"}, "no option 'name'"),
        ("simple_cnn", {"self": 1}, "no option 'self'"),
        ("resnet18", {"width": 0.1}, "width=0.1"),
        ("resnet18", {"width": 4.1}, "width=4.1"),
        ("resnet18", {"width": float("nan")}, "width=nan"),
        ("resnet18", {"width": "1"}, "width='1'"),
        ("resnet18", {"width": [1] * 10_000}, "width="),
        ("regularized_cnn", {"dropout": -0.1}, "dropout=-0.1"),
        ("regularized_cnn", {"dropout": 0.96}, "dropout=0.96"),
        ("simple_cnn", {"num_classes": 0}, "num_classes=0"),
        ("simple_cnn", {"num_classes": 100_001}, "num_classes=100001"),
        ("simple_cnn", {"num_classes": None}, "num_classes"),
        ("simple_cnn", {"num_classes": True}, "num_classes=True"),
        ("simple_cnn", {"size": 1025}, "size=1025"),
        ("simple_cnn", {"size": -4}, "size=-4"),
        ("simple_cnn", {"size": 32.5}, "size=32.5"),
        ("simple_cnn", {"size": "32"}, "size='32'"),
        ("strided_cnn", {"stride": 4}, "stride=4"),
        ("strided_cnn", {"stride": 1.5}, "stride=1.5"),
        ("strided_cnn", {"kernel": 2}, "kernel=2"),
        ("strided_cnn", {"kernel": 5}, "kernel=5"),
        ("deep_cnn", {"activation": "gelu"}, "activation='gelu'"),
        ("deep_cnn", {"batch_norm": 1}, "batch_norm=1"),
        ("advanced_cnn", {"batch_norm": True}, "no option 'batch_norm'"),
        ("advanced_cnn", {"batch_norm_momentum": 0.0}, "batch_norm_momentum=0.0"),
        ("simple_cnn", {"size": 3}, "at least 4 pixels a side, these have 3: choose larger"),
        ("resnet18", {"size": 8}, r"at least 9 .* have 8: choose another network \(.*simple_cnn"),
    ],
)
def test_what_does_not_fit_is_refused(
    make: Any, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as refusal:
        make(name, **{"num_classes": 10, "size": 32, **options})
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("simple_cnn", {"num_classes": 10, "size": 1024}),
        ("resnet18", {"num_classes": 100_000, "size": 32, "width": 4}),
    ],
)
def test_a_net_that_would_fill_the_memory_is_never_built(
    name: str, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = []

    class Watched(network_class(name)):  # type: ignore[misc]
        def __init__(self, num_classes: int, size: int, options: Any) -> None:
            super().__init__(num_classes, size, options)
            devices.append(next(self.parameters()).device.type)

    monkeypatch.setattr("seewhy.models.registry.network_class", lambda name: Watched)
    with pytest.raises(UsageError, match=f"more than {LARGEST:,}"):
        build(name, **arguments)
    assert devices == ["meta"]


def test_the_bounds_themselves_are_allowed() -> None:
    assert build("regularized_cnn", num_classes=1, size=4, dropout=0.95).num_classes == 1
    assert cost("resnet18", num_classes=100_000, size=1024, width=1).parameters < LARGEST
    assert cost("resnet18", num_classes=10, size=64, width=4).parameters < LARGEST
    assert cost("resnet18", num_classes=10, size=9, width=0.125).parameters > 0


def test_an_option_left_at_none_is_the_nets_own() -> None:
    network = build("regularized_cnn", num_classes=2, size=8, dropout=None)
    assert network.arguments == {"num_classes": 2, "size": 8, "dropout": 0.5}


@pytest.mark.parametrize("name", mostly_long(NETWORKS, *FAMILIES))
def test_building_draws_the_weights_from_the_seed_alone(name: str) -> None:
    torch.manual_seed(3)
    built = build(name, num_classes=4, size=40).state_dict()
    torch.manual_seed(3)
    plain = network_class(name)(4, 40, NETWORKS[name]()).state_dict()
    assert all(torch.equal(built[key], plain[key]) for key in plain)


@pytest.mark.parametrize("name", ["deep_cnn", "resnet18", "densenet"])
def test_the_cost_is_the_sum_of_the_layers(name: str) -> None:
    layers = describe(build(name, num_classes=10, size=32))
    there = cost(name, num_classes=10, size=32)
    assert there.parameters == sum(layer.parameters for layer in layers)
    assert there.flops == sum(layer.flops for layer in layers)


def test_building_a_net_loads_neither_pytorchs_compiler_nor_timm() -> None:
    code = (
        "import json, sys\n"
        "from seewhy.models.registry import build\n"
        "for name, options in json.loads(sys.argv[1]).items():\n"
        "    build(name, num_classes=2, size=32, **options)\n"
        "sys.exit(bool({'torch._dynamo', 'timm'} & set(sys.modules)))"
    )
    nets = json.dumps({name: small(name) for name in FAMILIES})
    assert subprocess.run([sys.executable, "-c", code, nets]).returncode == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_each_name_is_implemented_by_a_network_of_its_own(name: str) -> None:
    network = build(name, num_classes=2, size=32)
    assert isinstance(network, Network) and name_of(network) == name
    options = {k: v for k, v in network.arguments.items() if k not in ("num_classes", "size")}
    assert options == NETWORKS[name]().model_dump(mode="json")


@pytest.mark.parametrize(
    "name",
    mostly_long([n for n in EVERY_NETWORK if NETWORKS[n].pretrained is not None], "resnet18"),
)
def test_a_network_with_pretrained_weights_enlarges_thumbnails(name: str) -> None:
    """It is then the network for large images: their stem, their patches, their diagram."""
    torch.manual_seed(0)
    network = build(name, num_classes=2, size=10, enlarge=80, **small(name)).eval()
    torch.manual_seed(0)
    larger = build(name, num_classes=2, size=80, **small(name)).eval()
    x = torch.rand(1, 3, 10, 10, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = larger(functional.interpolate(x, size=(80, 80), mode="bicubic"))
        torch.testing.assert_close(network(x), expected)
    assert blocks(network)[-1].shape == (2,)


def test_weights_of_photographs_and_enlarging_go_together() -> None:
    for record in NETWORKS.values():
        assert record.pretrained is None or issubclass(record, PretrainedOptions)


def test_what_is_enlarged_too_little_is_refused() -> None:
    message = "at least 33 pixels a side, these have 10, enlarged to 32: choose stem=small"
    with pytest.raises(UsageError, match=message):
        build("resnet18", num_classes=2, size=10, enlarge=32, stem="imagenet")


def test_every_network_of_the_package_has_a_record() -> None:
    for module in pkgutil.iter_modules(models.__path__):
        importlib.import_module(f"seewhy.models.{module.name}")

    def own(kind: type) -> list[type]:
        """Subclasses of the package's, since other tests make some, too."""
        return [k for k in kind.__subclasses__() if k.__module__.startswith("seewhy.")]

    kinds, families = set(), [Network]
    while families:
        subclasses = own(families.pop())
        families += [kind for kind in subclasses if own(kind)]
        kinds |= {kind for kind in subclasses if not own(kind)}
    assert kinds == {network_class(name) for name in (*NETWORKS, "timm/NAME")}


def test_a_network_that_no_record_builds_has_no_name() -> None:
    class Mine(network_class("simple_cnn")):  # type: ignore[misc]
        pass

    assert name_of(Mine(2, 32, NETWORKS["simple_cnn"]())) is None and name_of(nn.ReLU()) is None


@pytest.mark.parametrize("name", NETWORKS)
def test_the_stored_cost_is_what_is_counted(name: str) -> None:
    size, classes = STORED_COST
    counted = cost(name, num_classes=classes, size=size)
    assert (NETWORKS[name].parameters, NETWORKS[name].flops) == (counted.parameters, counted.flops)
