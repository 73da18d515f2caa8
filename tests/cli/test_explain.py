import json

import pytest
from helpers import call

import seewhy
from seewhy.attribution.methods import METHODS
from seewhy.data import InputRule
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.models.registry import build


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained model of the images: it errs as often as it likes."""
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    network = build("regularized_cnn", num_classes=3, size=16)
    rule = InputRule(size=16, store=16)
    bundles.save(Bundle(network.eval(), ("ant", "bee", "cow"), rule), path)
    return path


def stored(out):
    return json.loads((out / "explanations.json").read_text())


def test_named_images_are_explained_tested_and_drawn(model, photos, tmp_path):
    out = tmp_path / "why"
    paths = [photos / "bee/001.png", photos / "ant/002.png"]
    methods = ["--method", "grad_cam, saliency"]
    said = call("explain", model, *paths, *methods, "--out", out)
    found = stored(out)
    assert [row["id"] for row in found["pictures"]] == [str(path) for path in paths]
    predictions = seewhy.load(model).predict(paths)
    for row, picture in enumerate(found["pictures"]):
        name = predictions.classes[predictions.predicted[row]]
        assert picture["predicted"] == picture["target"] == picture["top"][0]["class"] == name
        assert picture["label"] is None
        check = picture["methods"]["grad_cam"]
        assert set(check) == {
            *("deletion", "random_deletion", "insertion", "random_insertion", "beaten"),
            *("randomised", "reliable", "faults"),
        }
        verdict = "reliable" if check["reliable"] else f"unreliable: {', '.join(check['faults'])}"
        assert f"  {'grad_cam':<22}{verdict}" in said.out
    assert found["digest"] == seewhy.load(model).digest
    assert {path.name for path in out.iterdir()} == {
        *("explanations.json", "explanations-1.png", "faithfulness.png")
    }
    assert found["methods"].keys() == {"grad_cam", "saliency"}


def test_images_of_a_split_are_chosen_right_and_wrong(model, photos, tmp_path):
    arguments = ["explain", model, "--data", photos, "--split", "train", "--no-check"]
    said = call(*arguments, "--n", "6", "--out", tmp_path / "both", "--json")
    both = json.loads(said.out)
    assert both == stored(tmp_path / "both")
    right = [row["label"] == row["predicted"] for row in both["pictures"]]
    assert right == [False] * 3 + [True] * 3
    assert both["pictures"][0]["methods"] == {"grad_cam": None}
    for only, expected in (("wrong", False), ("right", True)):
        out = tmp_path / only
        call(*arguments, "--n", "4", "--only", only, "--out", out)
        rows = stored(out)["pictures"]
        assert len(rows) == 4
        assert all((row["label"] == row["predicted"]) == expected for row in rows)


def test_the_class_to_explain_can_be_named(model, photos, tmp_path):
    out = tmp_path / "why"
    picture = photos / "bee/001.png"
    call("explain", model, picture, "--target", "cow", "--no-check", "--out", out)
    assert stored(out)["pictures"][0]["target"] == "cow"


def test_features_are_drawn_and_told(model, photos, tmp_path):
    arguments = ["explain", model, "--features", "--no-check", "--out"]
    call(*arguments, tmp_path / "one", photos / "bee/001.png")
    names = {path.name for path in (tmp_path / "one").iterdir()}
    assert names == {"explanations.json", "explanations-1.png", "layers.png", "filters.png"}
    call(*arguments, tmp_path / "many", "--data", photos, "--n", "2")
    names |= {"channels.png", "class-averages.png"}
    assert {path.name for path in (tmp_path / "many").iterdir()} == names
    found = stored(tmp_path / "many")
    assert set(found["files"]) == names - {"explanations.json"}
    drops = [row["logit_drop"]["value"] for row in found["channels"]]
    assert drops == sorted(drops, reverse=True) and len(drops) == 64
    assert set(found["class_averages"]["border"]) == {"ant", "bee", "cow"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "either images to explain"),
        (["x.png", "--only", "wrong"], "--only can only choose images from --data"),
        (["x.png", "--split", "val", "--n", "8"], "--split and --n can only choose"),
        (["x.png", "--data", "digits"], "either images to explain"),
        (["x.png", "--method", "gradcam"], "did you mean grad_cam?"),
        (["x.png", "--target", "bat"], "no class 'bat': the classes are ant, bee, cow"),
        (["x.png"], "x.png: no such file"),
        (["--data", "/no/such/place"], "/no/such/place"),
        (["--data", "digits", "--split", "test"], "'test' is not one of 'train', 'val'"),
    ],
)
def test_wrong_use_is_refused_and_leaves_nothing(model, arguments, message, tmp_path):
    out = tmp_path / "why"
    said = call("explain", model, *arguments, "--out", out, code=2)
    assert message in said.err and said.out == "" and not any(out.glob("*"))


def test_a_method_that_does_not_fit_names_one_that_does(model, photos, tmp_path):
    picture, out = photos / "bee/001.png", tmp_path / "why"
    said = call("explain", model, picture, "--method", "cam", "--out", out, code=2)
    assert "take grad_cam" in said.err and not any(out.iterdir())


def test_nothing_is_written_over(model, photos, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    said = call("explain", model, photos / "bee/001.png", "--out", tmp_path, code=2)
    assert "is not empty" in said.err
    call("explain", model, photos / "bee/001.png", "--out", tmp_path / "note.txt", code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_help_names_every_method():
    shown = call("explain", "--help").out
    assert all(name in shown.replace("\n", " ") for name in METHODS)
