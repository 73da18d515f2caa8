import json
import shutil

import pytest
import torch
from helpers import call, write_folder
from PIL import Image

import seewhy
from seewhy.attribution.methods import METHODS
from seewhy.config.input_rule import InputRule
from seewhy.errors import UsageError
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.models.registry import build


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained model of the images: it errs as often as it likes."""
    path = tmp_path_factory.mktemp("models") / "small.safetensors"
    torch.manual_seed(0)
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
    checks = [check for one in found["pictures"] for check in one["methods"].values()]
    by_chance = any("chance" in check["faults"] for check in checks)
    assert ("better than each of its 8 moved copies" in said.out) == by_chance
    assert "mean, moved map" in said.out
    unexplained = sum(
        not any(check["reliable"] for check in one["methods"].values()) for one in found["pictures"]
    )
    assert (
        (f"{unexplained} image" in said.out) == (": try --method" in said.out) == bool(unexplained)
    )
    assert found["digest"] == seewhy.load(model).digest
    assert {path.name for path in out.iterdir()} == {
        *("explanations.json", "explanations-1.png", "faithfulness.png")
    }
    assert found["methods"].keys() == {"grad_cam", "saliency"}


def test_where_no_map_is_reliable_a_method_is_named_that_runs(model, photos, tmp_path):
    images = [photos / "bee/001.png", photos / "ant/002.png"]
    said = call("explain", model, *images, "--method", "saliency", "--out", tmp_path / "one")
    assert "1 of 2: " in said.err and f"2 of 2: {images[1]}: saliency unreliable: " in said.err
    flag, name = said.out.split(": try ")[1].split(",")[0].split()
    call("explain", model, images[0], flag, name, "--no-check", "--out", tmp_path / "two")


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


def test_the_labels_class_is_explained_with_its_probability(model, photos, tmp_path):
    out = tmp_path / "why"
    arguments = ["--data", photos, "--split", "train", "--only", "wrong", "--n", "3", "--no-check"]
    said = call("explain", model, *arguments, "--target", "true", "--out", out)
    network = seewhy.load(model)
    for row in stored(out)["pictures"]:
        assert row["target"] == row["label"] != row["predicted"]
        image = network.predict(photos / row["id"])
        probability = image.probabilities()[0, image.classes.index(row["target"])]
        assert row["target_probability"] == pytest.approx(probability, abs=1e-4)
        assert f"explained: {row['target']} {probability:.0%}" in said.out


def test_a_class_named_true_is_that_class(tmp_path):
    data, path = write_folder(tmp_path / "data", classes=("false", "true"), count=8), tmp_path / "m"
    network = build("regularized_cnn", num_classes=2, size=16).eval()
    rule = InputRule(size=16, store=16)
    bundles.save(Bundle(network, ("false", "true"), rule), path.with_suffix(".safetensors"))
    arguments = ["--data", data, "--n", "2", "--no-check", "--target", "true"]
    said = call("explain", f"{path}.safetensors", *arguments, "--out", tmp_path / "why")
    assert "true is a class of this model" in said.err
    assert {row["target"] for row in stored(tmp_path / "why")["pictures"]} == {"true"}


def test_folders_and_globs_are_taken_and_what_is_no_image_is_reported(model, photos, tmp_path):
    folder = tmp_path / "mixed"
    shutil.copytree(photos / "ant", folder)
    (folder / "broken.png").write_bytes(b"no image")
    (folder / "notes.md").write_text("mine")
    arguments = ["explain", model, folder, f"{photos}/bee/00[1-3].png", "--no-check", "--out"]
    said = call(*arguments, tmp_path / "why", code=1)
    found = stored(tmp_path / "why")
    expected = [*(folder / f"{n:03}.png" for n in range(12))]
    expected += [photos / "bee" / f"{n:03}.png" for n in (1, 2, 3)]
    assert [row["id"] for row in found["pictures"]] == [str(path) for path in expected]
    assert list(found["errors"]) == [str(folder / "broken.png")]
    assert f"{folder / 'broken.png'}: " in said.err and "1 other file ignored" in said.err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no images in" in call("explain", model, empty, "--out", tmp_path / "no", code=2).err
    assert not (tmp_path / "no").exists()


def test_what_the_crop_cuts_off_is_measured_and_drawn_of_files_and_of_data(model, tmp_path):
    data = write_folder(tmp_path / "data", count=8)
    for path in data.rglob("*.png"):
        image = Image.open(path)
        image.resize((48, 16) if path.name == "001.png" else image.size).save(path)
    wide = data / "ant" / "001.png"
    said = call(
        "explain", model, wide, data / "ant/002.png", "--no-check", "--out", tmp_path / "why"
    )
    assert said.out.count("the network sees 33% of the image") == 1
    shares = [row["seen"] for row in stored(tmp_path / "why")["pictures"]]
    assert shares == [pytest.approx(1 / 3), 1]
    arguments = ["--data", data, "--split", "train", "--n", "30", "--no-check"]
    call("explain", model, *arguments, "--out", tmp_path / "all")
    shares = {row["id"]: row["seen"] for row in stored(tmp_path / "all")["pictures"]}
    assert all((share < 1) == name.endswith("/001.png") for name, share in shares.items())


def test_a_model_that_gives_one_class_to_everything_is_said_to_have_collapsed(tmp_path, photos):
    network = build("regularized_cnn", num_classes=3, size=16).eval()
    with torch.no_grad():
        last = [module for module in network.modules() if isinstance(module, torch.nn.Linear)][-1]
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.0, 1, 0]))
    path = tmp_path / "one.safetensors"
    bundles.save(Bundle(network, ("ant", "bee", "cow"), InputRule(size=16, store=16)), path)
    arguments = ["--data", photos, "--split", "train", "--n", "2", "--no-check"]
    said = call("explain", path, *arguments, "--out", tmp_path / "why")
    assert "collapsed: " in said.err and "predicted as bee" in said.err
    (found,) = stored(tmp_path / "why")["diagnostics"]
    assert found["kind"] == "collapsed"
    said = call("evaluate", path, "--data", photos, "--split", "train", "--json")
    assert "collapsed: " in said.err and json.loads(said.out)["diagnostics"] == [found]


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
        (["x.png", "--split", "val", "--n", "8"], "--split can only choose"),
        (["x.png", "--data", "digits"], "either images to explain"),
        (["x.png", "--method", "gradcam"], "did you mean grad_cam?"),
        (
            ["x.png", "--target", "bat"],
            "no class 'bat': did you mean ant? the classes are ant, bee, cow",
        ),
        (["x.png", "--target", "true"], "named images have none: give --data"),
        (["x.png"], "x.png: no such file"),
        (["--data", "/no/such/place"], "/no/such/place"),
        (["--data", "digits", "--split", "test"], "'test' is not one of 'train', 'val'"),
    ],
)
def test_wrong_use_is_refused_and_leaves_nothing(model, arguments, message, tmp_path):
    out = tmp_path / "why"
    said = call("explain", model, *arguments, "--out", out, code=2)
    assert message in said.err and said.out == "" and not out.exists()


@pytest.mark.parametrize("target", [1, True, 2.0])
def test_a_target_is_the_name_of_a_class(model, photos, target, tmp_path):
    expected = (
        rf"target {target}: expected the name of a class; the classes are ant, bee, cow; true"
    )
    with pytest.raises(UsageError, match=expected):
        seewhy.explain(model, photos / "bee/001.png", out=tmp_path / "why", target=target)


def test_a_method_that_does_not_fit_names_one_that_does(model, photos, tmp_path):
    picture, out = photos / "bee/001.png", tmp_path / "why"
    said = call("explain", model, picture, "--method", "cam", "--out", out, code=2)
    assert "take grad_cam" in said.err and not out.exists()


def test_nothing_is_written_over(model, photos, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    said = call("explain", model, photos / "bee/001.png", "--out", tmp_path, code=2)
    assert "is not empty" in said.err
    call("explain", model, photos / "bee/001.png", "--out", tmp_path / "note.txt", code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_help_names_every_method():
    shown = call("explain", "--help").out
    assert all(name in shown.replace("\n", " ") for name in METHODS)
