"""The verbs for experiments as a user meets them: what they print, write and refuse."""

import io
import json
import sys
from pathlib import Path

import helpers
import pytest

from seewhy.analysis.experiments.tuning import Contender, Tuning, ranked
from seewhy.cli.screen import written
from seewhy.cli.tune import _summary as tune_summary
from seewhy.evaluation.stats.summary import difference, summarise

SETTINGS = ["--data.size", "16", "--epochs", "1", "--train.batch_size", "16", "--amp", "fp32"]
BASE = ["--recipe", "regularized-cnn"]


@pytest.fixture
def call(photos):
    """Runs a verb on the images, with the settings of a quick training."""

    def called(*arguments, code=0, recipe=BASE):
        return helpers.call(*arguments, *recipe, "--data", photos, *SETTINGS, code=code)

    return called


def test_seeds_end_with_a_table_and_an_image(call, tmp_path):
    said = call("train", "--seeds", "2", "--out", tmp_path / "s")
    assert "95% interval of the mean" in said.out and "balanced accuracy" in said.out
    assert "1/2  seed-0" in said.err and said.err.count("no split given") == 1
    assert (tmp_path / "s" / "figures" / "seeds.png").is_file()
    found = json.loads(call("train", "--seeds", "2", "--out", tmp_path / "s", "--json").out)
    assert found == json.loads((tmp_path / "s" / "seeds.json").read_text())


def test_folds_end_with_the_figures_of_all_images(call, tmp_path):
    said = call("train", "--folds", "2", "--out", tmp_path / "f")
    assert "out of fold: 33 images" in said.out and "per fold" in said.out
    pictures = {path.name for path in (tmp_path / "f" / "figures").iterdir()}
    assert {"folds.png", "confusion-oof.png", "per-class-oof.png"} <= pictures
    found = json.loads(call("train", "--folds", "2", "--out", tmp_path / "f", "--json").out)
    assert found["whole"]["n"] == 33 and found["whole"]["split"] == "oof"


def test_a_single_run_speaks_json_too(call, tmp_path):
    found = json.loads(call("train", "--out", tmp_path / "r", "--json").out)
    assert found["run"] == str(tmp_path / "r") and found["val"]["split"] == "val"


def test_ablate_takes_rows_from_the_command_line(call, tmp_path):
    rows = ["--without", "augment.flip,augment.crop_padding+augment.padding_mode"]
    rows += ["--with", "train.ema=0.9,views=[identity, flip]", "--seeds", "1", "--target", "0.2"]
    said = call("ablate", *rows, "--out", tmp_path / "a")
    names = (
        *("regularized-cnn", "without augment.flip"),
        "without augment.crop_padding+augment.padding_mode",
        *("train.ema=0.9", "views=[identity, flip]"),
    )
    lines = said.out.splitlines()[3:]
    assert all(line.startswith(f"{name}  ") for line, name in zip(lines, names, strict=False))
    assert "seconds to 0.2" in said.out and "chance alone" in said.out
    assert (tmp_path / "a" / "figures" / "ablation.png").is_file()
    found = json.loads(call("ablate", *rows, "--out", tmp_path / "a", "--json").out)
    assert found == json.loads((tmp_path / "a" / "ablation.json").read_text())


def test_ablate_takes_the_recipe_that_suits_the_images(photos, tmp_path):
    arguments = ["ablate", "--data", photos, "--out", tmp_path / "a"]
    (rows := tmp_path / "rows.yaml").write_text("rows: {plain: {without: augment.flip}}")
    for chosen in (["--without", "augment.flip"], ["--rows", rows]):
        said = helpers.call(*arguments, *chosen, code=2)  # digits mirrors no images
        assert "recipe digits: images of 16 pixels" in said.err and "flip is not set" in said.err


def test_ablate_takes_rows_from_a_file_on_another_base(call, tmp_path):
    path = tmp_path / "rows.yaml"
    path.write_text("recipe: simple-cnn\nseeds: 9\nrows: {faster: {with: {train.lr: 0.01}}}\n")
    arguments = ["ablate", "--rows", path, "--seeds", "1", "--json"]
    found = json.loads(call(*arguments, "--out", tmp_path / "a", recipe=[]).out)
    assert [row["name"] for row in found["rows"]] == ["simple-cnn", "faster"]
    assert found["seeds"] == [0]
    found = json.loads(call(*arguments, "--out", tmp_path / "b").out)
    assert found["rows"][0]["name"] == "regularized-cnn"


def test_tune_ends_with_a_recipe_to_train_with(call, tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "extends: regularized-cnn\nsearch: {train.lr: {low: 0.001, high: 0.01, log: true}}\n"
    )
    recipe = ["--recipe", tmp_path / "mine.yaml"]
    arguments = ["tune", "--trials", "1", "--out", tmp_path / "t"]
    said = call(*arguments, recipe=list(map(str, recipe)))
    assert "against the base" in said.out and "p (Holm)" in said.out
    assert (tmp_path / "t" / "figures" / "history.png").is_file()
    found = json.loads(call(*arguments, "--json", recipe=list(map(str, recipe))).out)
    assert len(found["tuning"]["contenders"]) == 2 and found["verdict"] in said.out
    next_line = f"next: seewhy train --recipe {tmp_path / 't' / 'best.yaml'}"
    assert (next_line in said.out) == (found["best"] == "trial 0")
    assert ("train.lr: 0.00" in said.out) == (found["best"] == "trial 0")


@pytest.mark.parametrize("gain", [-0.01, 0.0, 0.01])
def test_only_a_trial_better_than_the_base_is_to_be_trained(gain):
    base = [0.70, 0.71, 0.75]
    values = [score + gain * (1 + place) for place, score in enumerate(base)]
    found = [
        Contender("base", {}, (), summarise(base), None),
        Contender("trial 0", {"train.lr": 0.1}, (), summarise(values), difference(values, base)),
    ]
    result = Tuning(Path("t"), "s", "accuracy", "max", (), {}, ranked(found, "max"))
    said = written(tune_summary(result, "photos"), io.StringIO())
    assert ("next: seewhy train" in said) == ("train.lr: 0.1" in said) == (gain > 0)
    assert "no trial is shown to be better" in said if gain > 0 else "no trial is better" in said


@pytest.mark.parametrize(
    "verb",
    [
        ("train", "--seeds", "2"),
        ("train", "--folds", "2"),
        ("ablate", "--without", "augment"),
        ("tune",),
        ("learning-curve",),
    ],
    ids="-".join,
)
def test_a_ray_cluster_is_asked_for_by_a_flag(call, tmp_path, monkeypatch, verb):
    monkeypatch.setitem(sys.modules, "ray", None)
    arguments = [*verb, "--engine", "ray", "--out", tmp_path / "x"]
    assert "pip install 'seewhy[ray]'" in call(*arguments, code=2).err
    said = call(*arguments, "--processes", "2", code=2).err
    assert "--processes and --engine ray both share the runs: choose one" in said


def test_one_run_needs_no_cluster(call, tmp_path):
    said = call("train", "--engine", "ray", "--out", tmp_path / "x", code=2).err
    assert "--engine ray trains the runs of --seeds or --folds" in said


def test_find_lr_ends_with_a_rate_to_train_with(call, tmp_path):
    arguments = ["find-lr", "--steps", "40", "--out", tmp_path / "l"]
    said = call(*arguments)
    assert "suggested" in said.out and "--train.lr" in said.out and "diverging" not in said.err
    assert (tmp_path / "l" / "find-lr.png").is_file()
    found = json.loads(call(*arguments, "--json").out)
    assert found["cautious"] == pytest.approx(found["range"]["lowest"] / 10)


def test_find_lr_takes_the_recipe_that_suits_the_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = helpers.call("find-lr", "--data", "digits", "--steps", "30", "--epochs", "3")
    assert "recipe digits: images of 8 pixels are too small" in said.err
    assert "train --data digits --set=train.epochs=3 --train.lr" in said.out
    assert Path("runs", "digits-find-lr", "find-lr.png").is_file()


def test_find_lr_refuses_a_full_folder_before_it_trains(call, tmp_path, monkeypatch):
    monkeypatch.setattr("seewhy.workflows.experiments.lr_range.find_lr", None)
    (tmp_path / "thesis.txt").write_text("years of work")
    said = call("find-lr", "--out", tmp_path, code=2)
    assert "is not empty" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_learning_curve_ends_with_a_sentence(call, tmp_path):
    arguments = ["learning-curve", "--shares", "0.5 1", "--seeds", "2", "--out", tmp_path / "c"]
    said = call(*arguments)
    assert "More images" in said.out and "from 14 to 27" in said.out
    assert (tmp_path / "c" / "figures" / "learning-curve.png").is_file()
    assert "sentence" in json.loads(call(*arguments, "--json").out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--seeds", "2", "--folds", "2"], "choose one"),
        (["train", "--seeds", "0"], "1 or more"),
        (["train", "--folds", "2", "--resume"], "leave out --resume"),
        (["ablate"], "either --rows FILE, or --without and --with"),
        (["ablate", "--with", "train.lr"], "expected KEY=VALUE"),
        (["ablate", "--without", "train.lrr"], "no recipe field"),
        (["ablate", "--rows", "none.yaml"], "none.yaml cannot be read"),
        (["ablate", "--without", "augment.flip", "--target", "60"], "target"),
        (["tune"], "has no search section"),
        (["find-lr", "--steps", "1"], "20 or more"),
        (["learning-curve", "--shares", "half"], "expected numbers"),
        (["learning-curve", "--shares", "1"], "two or more"),
    ],
)
def test_wrong_use_is_one_line_that_helps(call, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    said = call(*arguments, code=2)
    assert message in said.err and said.out == ""
    assert list(tmp_path.iterdir()) == []
