"""`seewhy data`: what it prints, writes and exits with."""

import csv
import json

import pytest
from data.pictures import encoded, put, scenes, write_scenes
from helpers import call

from seewhy.cli.flags import config_of
from seewhy.errors import UsageError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    root = tmp_path_factory.mktemp("d") / "photos"
    return write_scenes(root, {f"{s}/{n}": 12 for s in ("train", "test") for n in ("ant", "bee")})


@pytest.fixture(scope="module")
def faulty(photos, tmp_path_factory):
    root = tmp_path_factory.mktemp("f") / "photos"
    write_scenes(root, {f"{s}/{n}": 12 for s in ("train", "test") for n in ("ant", "bee")})
    put(root, "train/ant/again.png", data=(root / "test/ant/003.png").read_bytes())
    put(root, "train/ant/broken.png", data=b"no picture")
    put(root, "train/bee/dark.png", data=encoded(scenes(1, seed=9)[0] // 5))
    return root


def test_stats_prints_counts_and_draws_classes(photos, tmp_path):
    out = tmp_path / "out"
    done = call("data", "stats", photos, "--out", out)
    assert "ant" in done.out and "32x32, all" in done.out and "mean" in done.out
    assert "train: 24 images, 2 classes" in done.err
    assert {path.name for path in out.iterdir()} == {
        *("classes.png", "overview.png", "class-001-ant.png", "class-002-bee.png")
    }


def test_stats_gives_one_json_object(photos):
    found = json.loads(call("data", "stats", photos, "--json", "--size", "16").out)
    assert found["stored"] == 16 and found["splits"]["test"]["per_class"] == {"ant": 12, "bee": 12}


def test_stats_counts_unusable_files_and_goes_on(faulty):
    assert json.loads(call("data", "stats", faulty, "--json").out)["bad"] == 1
    assert "broken.png" in call("data", "stats", faulty, "--on-bad", "error", code=2).err


def test_check_exits_0_when_all_is_well(photos, tmp_path):
    out = tmp_path / "out"
    done = call("data", "check", photos, "--out", out)
    assert "no problems found" in done.out
    assert [path.name for path in out.iterdir()] == ["findings.csv"]


def test_check_exits_1_and_says_what_is_wrong_and_what_to_do(faulty, tmp_path):
    out = tmp_path / "out"
    done = call("data", "check", faulty, "--out", out, code=1)
    for text in ("error  unreadable  1", "error  leak  1", "warning  dark  1", "-> "):
        assert text in done.out
    assert {path.name for path in out.iterdir()} == {"findings.csv", "leak.png", "dark.png"}
    with open(out / "findings.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["kind"] for row in rows] == ["unreadable", "leak", "dark"]
    assert rows[1]["path_2"] == "test/ant/003.png" and rows[1]["label_2"] == ""


def test_check_gives_one_json_object(faulty):
    found = json.loads(call("data", "check", faulty, "--json", code=1).out)
    assert found["wrong"] and {f["kind"] for f in found["findings"]} == {
        "unreadable",
        "leak",
        "dark",
    }
    assert all(
        {"severity", "count", "what", "advice", "examples"} <= set(f) for f in found["findings"]
    )


def test_a_directory_that_holds_something_is_not_written_over(photos, tmp_path):
    put(tmp_path, "out/mine.txt", data=b"mine")
    for verb in ("stats", "check"):
        assert "is not empty" in call("data", verb, photos, "--out", tmp_path / "out", code=2).err


def test_split_writes_the_manifest_that_a_training_takes(tmp_path):
    root = write_scenes(tmp_path / "photos", {"ant": 20, "bee": 20})
    done = call(
        "data", "split", root, "--out", root, "--val", "0.25", "--test", "0.25", "--seed", "3"
    )
    table = [line.split() for line in done.out.splitlines()]
    assert table[0] == ["train", "val", "test"] and table[3] == ["all", "20", "10", "10"]
    assert "drawn 50/25/25 by content, seed 3" in done.err
    with open(root / "splits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted({row["split"] for row in rows}) == ["test", "train", "val"] and len(rows) == 40
    again = json.loads(call("data", "stats", root / "splits.csv", "--json").out)
    assert {name: part["n"] for name, part in again["splits"].items()} == {
        "train": 20,
        "val": 10,
        "test": 10,
    }
    assert "already exists" in call("data", "split", root, "--out", root, code=2).err


def test_split_says_what_has_no_effect(photos, tmp_path):
    out = tmp_path / "out"
    done = call("data", "split", photos, "--out", out, "--test", "0.2", code=2)
    assert "data.test has no effect" in done.err and not out.exists()


def test_preview_draws_what_the_network_sees(photos, tmp_path):
    out = tmp_path / "out"
    done = call(
        *("data", "preview", photos, "--recipe", "regularized-cnn", "--augment.rotate", "15"),
        *("--data.size", "16", "--out", out),
    )
    assert "the network sees 16x16" in done.out and "rotate 15" in done.out
    files = {f"{name}.{kind}" for name in ("input", "augmentation") for kind in ("png", "svg")}
    assert {path.name for path in out.iterdir()} == files
    assert (
        "is not empty"
        in call("data", "preview", photos, "--recipe", "photos", "--out", out, code=2).err
    )


def test_preview_gives_one_json_object_and_knows_a_recipe_without_augmentation(photos, tmp_path):
    out = tmp_path / "out"
    done = call("data", "preview", photos, "--recipe", "simple-cnn", "--out", out, "--json")
    found = json.loads(done.out)
    assert found["recipe"] == "simple-cnn" and found["augmentation"] == {}
    assert found["files"] == ["input.png", "input.svg"]
    assert found["channels"]["training"] == found["channels"]["evaluation"]


@pytest.mark.parametrize(
    "given, message",
    [
        ({"val": "2"}, r"--val 2: Input should be less than 1"),
        ({"split_seed": "x"}, r"--seed x: Input should be a valid integer"),
        ({"on_bad": "maybe"}, r"--on-bad maybe: Input should be 'error' or 'skip'"),
        ({"val": "0.6", "test": "0.5"}, r"val 0\.6 and test 0\.5 leave nothing"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_flag(given, message):
    with pytest.raises(UsageError, match=message):
        config_of(given)


def test_defaults_are_those_given_and_flags_win():
    assert config_of({"size": None}, size=128).size == 128
    assert config_of({"size": "64", "val": "0.2"}, size=128).size == 64


def test_after_an_error_no_folder_is_left(photos, tmp_path):
    missing, out = tmp_path / "no", tmp_path / "new" / "out"
    for arguments in (
        ("data", "stats", missing),
        ("data", "check", missing),
        ("data", "preview", missing, "--recipe", "fast"),
        ("compare", missing, tmp_path / "neither", "--data", photos),
    ):
        call(*arguments, "--out", out, code=2)
    assert not list(tmp_path.iterdir())
