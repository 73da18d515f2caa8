"""Folders as users have them: links, litter, SeeWhy's own output, brackets and `~` in names."""

import csv
import io
import shutil
from pathlib import Path

import click
import pytest
from data.pictures import put
from helpers import call, write_folder

import seewhy
from seewhy.cli.flags import recipe_flags
from seewhy.config.recipe import load_recipe
from seewhy.data import sources
from seewhy.data.sources.folders import scan


def labelled(run: Path, *arguments, code=0) -> tuple[list[str], str]:
    """The status and path of each row of `predict`, and the notes."""
    done = call("predict", run, *arguments, "--top-k", "1", code=code)
    rows = csv.DictReader(io.StringIO(done.out))
    return [f"{row['status']} {row['path']}" for row in rows], done.err


def test_predict_passes_over_litter_and_output(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(Path("new"), "a.png", "b/@eaDir/a.png/THUMB.jpg", "__MACOSX/._a.png", "#recycle/x.png")
    put(Path("new"), "maps/m.png", "maps/explanations.json")
    rows, notes = labelled(trained, "new")
    assert rows == ["ok new/a.png"] and "new: output of SeeWhy, ignored: maps" in notes
    assert labelled(trained, "new/**/*.*g")[0] == ["ok new/a.png", "ok new/maps/m.png"]


def test_predict_follows_links_if_wanted(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(put(tmp_path, "store/a.png", "new/b.png"))
    Path("new/linked").symlink_to("../store")
    rows, notes = labelled(trained, "new", code=1)
    assert rows == ["ok new/b.png", "skipped new/linked"] and "--follow-links" in notes
    rows, _ = labelled(trained, "new", "--follow-links")
    assert rows == ["ok new/b.png", "ok new/linked/a.png"]


def test_predict_takes_brackets_and_the_home_directory(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(put(tmp_path, "a[1]/x.png", "x{y}/y.png", "a1/z.png", "[b].png"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert labelled(trained, "a[1]", "x{y}")[0] == ["ok a[1]/x.png", "ok x{y}/y.png"]
    assert labelled(trained, "a[1]/*.png")[0] == ["ok a[1]/x.png"]
    assert labelled(trained, "[b].png", "a[0-9]/*")[0] == ["ok [b].png", "ok a1/z.png"]
    assert labelled(trained, "~/a1")[0] == [f"ok {tmp_path}/a1/z.png"]
    assert "*.gif: no file matches" in labelled(trained, "a1/z.png", "*.gif")[1]


@pytest.mark.parametrize("name", ["a[1]", "x{y}", "50% *off*"])
def test_data_may_have_any_name_and_lie_below_home(tmp_path, monkeypatch, name):
    write_folder(tmp_path / name, count=4)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert "12 images" in call("data", "stats", name).err
    assert sources.find(f"~/{name}").root == tmp_path / name
    Path("~").mkdir()
    assert "no data at" in call("data", "stats", "~/nothing", code=2).err


def test_outputs_may_lie_below_home(trained, tmp_path, monkeypatch):
    """The shell puts the home directory in place of `~`; Python does not, and would make a folder `~`."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    with seewhy.load(trained) as classifier:
        classifier.save("~/copy.safetensors")
    seewhy.info("~/copy.safetensors", out="~/card.md")
    seewhy.preview(write_folder(tmp_path / "data", count=4), "photos", out="~/preview")
    assert {path.name for path in home.iterdir()} == {"copy.safetensors", "card.md", "preview"}
    assert not list(work.iterdir())


def test_a_run_below_home_is_evaluated_as_a_run(trained, photos, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path / "run")
    monkeypatch.setenv("HOME", str(tmp_path))
    run = seewhy.Run("~/run")
    assert run.model == tmp_path / "run" / "model.safetensors"
    run.predictions("val").unlink()
    seewhy.analyse("~/run", photos, csv="~/rows.csv")
    assert run.predictions("val").exists() and (tmp_path / "rows.csv").exists()
    assert seewhy.report("~/run") == tmp_path / "run" / "report.html"


def test_links_are_said_and_followed_by_a_flag_and_in_a_recipe(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "store", count=4)
    write_folder(tmp_path / "root", classes=("ant", "bee"), count=4)
    Path("root/cow").symlink_to("../store/cow")
    done = call("data", "stats", "root")
    assert "not followed (1): cow. Read them with --follow-links" in done.err
    assert "12 images, 3 classes" in call("data", "stats", "root", "--follow-links").err
    Path("mine.yaml").write_text("data: {follow_links: true}\n")
    assert load_recipe("mine.yaml").data.follow_links


def test_every_verb_that_reads_data_for_a_model_follows_links_by_the_same_flag(
    trained, photos, tmp_path
):
    for verb in ("evaluate", "calibrate", "compare", "robustness", "explain"):
        assert "--follow-links" in call(verb, "--help").out
    for name in ("ant", "bee", "cow"):
        (tmp_path / "linked").mkdir(exist_ok=True)
        (tmp_path / "linked" / name).symlink_to(photos / name)
    arguments = ("calibrate", trained, "--data", tmp_path / "linked", "--out", tmp_path / "new")
    assert "not followed" in call(*arguments, code=2).err
    assert "not followed" not in call(*arguments, "--follow-links").err
    unused = call("explain", trained, "a.png", "--follow-links", "--out", "x", code=2)
    assert "--follow-links can only choose images from --data" in unused.err


def test_a_recipe_flag_needs_no_value_to_follow_links():
    given = {}
    verb = click.command()(recipe_flags(lambda overrides: given.update(overrides)))
    verb.main(["--follow-links"], standalone_mode=False)
    assert given == {"data.follow_links": True}


def test_output_inside_the_data_leaves_the_data_as_they_are(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(write_folder(tmp_path / "photos", count=12))
    before = sources.find(".").files
    shutil.copytree(trained, "runs/fast")
    done = call("evaluate", "runs/fast", "--data", ".")  # as `train` prints it
    assert "output of SeeWhy, ignored: runs/fast" in done.err
    call("data", "stats", ".", "--out", "stats")
    call("data", "check", ".", "--out", "checked", code=1)
    assert sources.find(".").files == before and not sources.find(".").skipped
    assert scan(Path.cwd()).outputs == ["checked", "runs/fast", "stats"]


def test_splits_by_other_names_are_read_as_splits(tmp_path):
    for name in ("Training", "Testing"):
        write_folder(tmp_path / name, count=5, seed=len(name))
    done = call("data", "stats", tmp_path)
    assert "splits by folder: test from Testing, train from Training" in done.err
    assert "train: 15 images, 3 classes" in done.err and "test: 15 images" in done.err
