import json
from dataclasses import asdict

import pytest
from helpers import call
from PIL import Image

from seewhy.config.networks import NETWORKS
from seewhy.models.registry import cost


def test_every_net_is_listed_with_its_cost():
    listed = json.loads(call("models", "--json").out)["networks"]
    assert list(listed) == list(NETWORKS)
    assert listed["advanced_cnn"]["parameters"] == 638_730


def test_what_the_networks_reach_is_listed_and_drawn(rendered, tmp_path):
    out = tmp_path / "networks.png"
    measured = json.loads(call("models", "--out", out, "--json").out)["measured"]
    figures = measured["networks"]["simple_cnn"]
    row = next(x for x in call("models").out.splitlines() if x.startswith("simple_cnn "))
    assert row.split()[3:] == [f"{figures['accuracy']:.1%}", f"{figures['seconds'] / 60:.1f}"]
    assert set(measured["networks"]) <= set(NETWORKS) and "JPEG copy" in measured["data"]
    with Image.open(out, formats=["PNG"]) as picture:
        assert picture.size[0] > 1000
    assert "already exists" in call("models", "--out", out, code=2).err


@pytest.mark.parametrize(
    ("size", "classes"), [(16, 3), pytest.param(32, 10, marks=pytest.mark.long)]
)
def test_the_cost_is_that_of_the_size_and_the_classes(size, classes):
    shown = json.loads(call("models", "--size", size, "--classes", classes, "--json").out)
    assert shown["size"] == size and ("speednet" in shown["networks"]) == (size == 32)
    counted = cost("deep_cnn", num_classes=classes, size=size)
    assert shown["networks"]["deep_cnn"] == asdict(counted)


def test_show_takes_the_options_of_a_net_and_draws_it(rendered, tmp_path):
    out = tmp_path / "net.png"
    options = ["--stride", "2", "--kernel", "4", "--size", "16", "--classes", "3"]
    shown = call("models", "show", "strided_cnn", *options, "--out", out).out
    assert "32x8x8" in shown and "64x1x1" in shown
    with Image.open(out, formats=["PNG"]) as picture:
        assert picture.size[0] > 1000
    before = out.read_bytes()
    assert "already exists" in call("models", "show", "strided_cnn", "--out", out, code=2).err
    assert out.read_bytes() == before


def test_long_names_of_layers_stay_apart_from_their_kind():
    shown = call("models", "show", "resnet18", "--attention", "cbam", "--width", "0.125").out
    assert "layer4.1.se.spatial.conv.conv  Conv2d  " in shown
    assert len({len(line) for line in shown.splitlines()}) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["simple_cnn", "--width", "2"], "it has no options"),
        (["strided_cnn", "--stride", "3", "--size", "16"], "at least 22 pixels"),
        (["deep_cnn", "--batch_norm_momentum", "0.1"], "no effect without batch_norm"),
    ],
)
def test_options_that_do_not_fit_are_one_line(arguments, message):
    done = call("models", "show", *arguments, code=2)
    assert message in done.err and done.out == ""
