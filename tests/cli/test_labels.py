"""`seewhy data labels`, the review, `seewhy data apply-review`, and what a report says of it all."""

import csv
import json
import re
import shlex

import numpy as np
import pytest
from helpers import QUICK, call, write_folder
from page.test_review import made

import seewhy
from seewhy.cli.labels import _text
from seewhy.config.data import DataConfig
from seewhy.config.recipe import load_recipe
from seewhy.data import load_data
from seewhy.evaluation.predictions import Predictions
from seewhy.page.settings import review_command
from seewhy.workflows.experiments.repetition import folds
from seewhy.workflows.labels import LabelFindings

FLAGS = ["--recipe", "regularized-cnn", "--folds", "2", *(f"--{k}={v}" for k, v in QUICK.items())]
FILES = {"label-issues.csv", "label-issues.json", "label-issues.png", "review.csv", "review.html"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Colours tell the class of each image, and two lie in the wrong folder, one with an odd name."""
    root = write_folder(tmp_path_factory.mktemp("photos") / "photos", count=12)
    for number, name in (("010", "=1+1"), ("011", "011")):
        (root / "ant" / f"{number}.png").rename(root / "bee" / f"{name}-flipped.png")
    return root


@pytest.fixture(scope="module")
def home(photos, tmp_path_factory):
    """Finished folds whose answers are what the colours say, however little they have learnt."""
    home = tmp_path_factory.mktemp("folds") / "two"
    folds(photos, "regularized-cnn", 2, out=home, overrides=QUICK)
    path = home / "predictions-oof.parquet"
    found = Predictions.from_parquet(path)
    true = [0 if "flipped" in key else "abc".index(key[0]) for key in found.ids]
    logits = 6 * np.eye(3, dtype=np.float32)[true]
    Predictions(logits, found.labels, found.classes, found.ids).to_parquet(path)
    return home


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def suspected(home):
    return [
        key
        for key in Predictions.from_parquet(home / "predictions-oof.parquet").ids
        if "flip" in key
    ]


def test_finished_folds_are_taken_as_they_are_and_all_is_written(photos, home):
    count = len(suspected(home))
    assert count
    said = call("data", "labels", photos, "--out", home).out
    assert (
        f"{count} of " in said and "agree with" in said and "bee" in said and "apply-review" in said
    )
    assert {path.name for path in home.iterdir()} >= FILES
    rows = rows_of(home / "label-issues.csv")
    assert {(row["label"], row["suggested"]) for row in rows} == {("bee", "ant")} and len(
        rows
    ) == count
    assert all(not row["id"].startswith("=") for row in rows)
    assert {row["right_label"] for row in rows_of(home / "review.csv")} == {""}
    assert (home / "label-issues.png").read_bytes()[:4] == b"\x89PNG"


def test_the_next_commands_can_be_pasted_whatever_the_names(tmp_path):
    review, recipe = tmp_path / "my folds" / "review.csv", load_recipe("fast")
    command = review_command("my photos", recipe.data, str(review))
    *_, last = _text(LabelFindings("my photos", review.parent, command, made(1)))
    words = ["seewhy", "data", "apply-review", "my photos", str(review)]
    assert shlex.split(last) == [*words, "--val", "0.04", "--out", "NEW"]
    recipe = load_recipe("fast", {"data.split_seed": 3, "data.group_from": "(.)_"})
    command = review_command("my photos", recipe.data, str(review))
    assert shlex.split(command) == [
        *(*words, "--group-from", "(.)_", "--val", "0.04", "--seed", "3", "--out", "NEW")
    ]
    recipe = load_recipe("fast", {"data.follow_links": True})
    command = review_command("my photos", recipe.data, str(review))
    assert shlex.split(command) == [*words, "--follow-links", "--val", "0.04", "--out", "NEW"]


def test_which_images_are_test_is_told_by_the_flags_of_the_training(photos, tmp_path):
    plain, other = load_data(photos), load_data(photos, DataConfig(split_seed=1))
    digest = next(key for key in plain.test.hashes if key not in other.test.hashes).decode()
    part = next(p for p in (other.train, other.val) if digest.encode() in p.hashes)
    label = part.classes[part.labels[part.hashes == digest.encode()][0]]
    right = next(name for name in part.classes if name != label)
    review, out = tmp_path / "review.csv", tmp_path / "photos-2"
    review.write_text(f"hash,right_label\n{digest},{right}\n")
    words = ["data", "apply-review", photos, review, "--out", out]
    assert "sealed test" in call(*words, code=2).err and not out.exists()
    told = call(*words, "--seed", "1").out
    assert told.startswith("1 corrected") and told.endswith("--set=data.split_seed=1\n")


def test_the_next_training_follows_links_too(photos, tmp_path):
    splits, out = load_data(photos), tmp_path / "photos-2"
    label = splits.classes[splits.train.labels[0]]
    right = next(name for name in splits.classes if name != label)
    review = tmp_path / "review.csv"
    review.write_text(f"hash,right_label\n{splits.train.hashes[0].decode()},{right}\n")
    told = call("data", "apply-review", photos, review, "--follow-links", "--out", out).out
    line = shlex.split(told.splitlines()[-1])[2:]  # train --data ...
    assert "--set=data.follow_links=true" in line
    assert "is not empty" in call(*line, "--out", photos, code=2).err  # all flags are known


def test_the_next_training_leaves_out_what_cannot_be_used(tmp_path):
    photos = write_folder(tmp_path / "photos", classes=("ant", "bee"), count=20)
    (photos / "ant" / "broken.png").write_bytes(b"no image")
    splits = load_data(photos, DataConfig(on_bad="skip", max_bad=1))
    label = splits.classes[splits.train.labels[0]]
    right = next(name for name in splits.classes if name != label)
    review = tmp_path / "review.csv"
    review.write_text(f"hash,right_label\n{splits.train.hashes[0].decode()},{right}\n")
    told = call("data", "apply-review", photos, review, "--out", tmp_path / "photos-2").out
    line = shlex.split(told.splitlines()[-1])[2:]  # train --data ...
    assert line[-4:] == ["--on-bad", "skip", "--max-bad", "0.025"]
    call("data", "split", line[2], *line[3:], "--out", tmp_path / "splits")


def test_json_is_one_object_and_a_filled_review_is_kept(photos, home):
    (home / "review.csv").write_text("mine")
    said = call("data", "labels", photos, "--out", home, "--json")
    found = json.loads(said.out)
    assert found == json.loads((home / "label-issues.json").read_text())
    assert found["count"] == len(found["issues"]) == len(suspected(home))
    assert (home / "review.csv").read_text() == "mine" and "kept unchanged" in said.err
    (home / "review.csv").unlink()


def test_options_that_differ_from_the_folds_are_refused(photos, home):
    said = call("data", "labels", photos, "--out", home, *FLAGS, "--folds", "3", code=2)
    assert "was started with" in said.err


def test_a_stopped_search_goes_on(photos, tmp_path, monkeypatch):
    out = tmp_path / "folds"
    with monkeypatch.context() as patch:

        def stop(*arguments, **options):
            raise KeyboardInterrupt

        patch.setattr("seewhy.workflows.experiments.repetition._out_of_fold", stop)
        assert (
            "run the same command again"
            in call("data", "labels", photos, "--out", out, *FLAGS, code=130).err
        )

    def trained(*arguments, **options):
        raise AssertionError("something was trained again")

    monkeypatch.setattr("seewhy.workflows.train.training_loop", trained)
    assert "labels look wrong" in call("data", "labels", photos, "--out", out, *FLAGS).out


def test_a_review_makes_a_version_that_trains_and_is_judged_anew(photos, home, tmp_path):
    call("data", "labels", photos, "--out", home)
    review, out = tmp_path / "review.csv", tmp_path / "photos-2"
    filled = [{**row, "right_label": row["suggested"]} for row in rows_of(home / "review.csv")]
    splits = load_data(photos)
    bee = splits.train.labels == splits.classes.index("bee")
    odd = next(n for n in np.flatnonzero(bee) if "flipped" not in splits.train.ids[n])
    digest = splits.train.hashes[odd].decode()
    filled.append({**filled[0], "hash": digest, "right_label": "none of these"})
    with open(review, "w", newline="") as file:
        writer = csv.DictWriter(file, list(filled[0]))
        writer.writeheader()
        writer.writerows(filled)
    said = json.loads(call("data", "apply-review", photos, review, "--out", out, "--json").out)
    counts = {"corrected": len(filled) - 1, "left_out": 1, "confirmed": 0, "open": 0}
    assert {name: said[name] for name in counts} == counts
    told = call("data", "apply-review", photos, review, "--out", tmp_path / "once more").out
    assert shlex.split(told.splitlines()[-1])[1:] == [
        *("seewhy", "train", "--data", str(tmp_path / "once more"))
    ]
    assert "1 left out, 0 confirmed" in told and "left out as none of the classes: 1" in told
    splits = load_data(out)
    assert digest.encode() not in {*splits.train.hashes, *splits.val.hashes}
    for part in (splits.train, splits.val):
        named = zip(part.ids, part.labels, strict=True)
        assert all(splits.classes[label] == "ant" for key, label in named if "flipped" in key)
    assert "train the folds again" in call("data", "labels", out, "--out", home, code=2).err
    said = call("data", "apply-review", photos, review, "--out", out, code=2)
    assert "already exists" in said.err
    run = seewhy.train(out, "regularized-cnn", out=tmp_path / "run", overrides=QUICK)
    assert "left out as none of the classes: 1" in (run.path / "log.txt").read_text()


def test_the_report_says_how_many_labels_look_wrong(photos, home, tmp_path):
    run = seewhy.train(photos, "regularized-cnn", out=tmp_path / "run", overrides=QUICK).path
    call("data", "labels", photos, "--out", home)
    said = call("evaluate", run, "--data", photos, "--full", "--labels", home).out
    assert re.search(r"likely a wrong label +1\n", said)
    stored = {path.name for path in (run / "analysis").iterdir()}
    assert stored >= {"slices-val.json", "causes-val.json"}
    causes = json.loads((run / "analysis" / "causes-val.json").read_text())
    assert causes["labels"]["count"] == len(suspected(home))
    assert causes["counts"]["label"] == 1 and causes["unknown"] == ["scope"]  # of 7 images
    review = run / "analysis" / "review.csv"
    mistakes = json.loads((run / "analysis" / "mistakes-val.json").read_text())["worst"]
    rows = rows_of(review)
    said = [(row["id"].lstrip("'"), row["label"], row["suggested"]) for row in rows]
    assert said == [(one["id"], one["true"], one["predicted"]) for one in mistakes]
    assert "is the label wrong?" in (review.parent / "review.html").read_text("utf-8")
    review.write_text(f"hash,right_label\n{rows[0]['hash']},{rows[0]['suggested']}\n")
    told = call("data", "apply-review", photos, review, "--out", tmp_path / "new").out
    assert told.startswith("1 corrected")
    kept = call("evaluate", run, "--data", photos, "--full", "--labels", home).err
    assert "kept unchanged" in kept and len(rows_of(review)) == 1
    call("report", run)
    page = (run / "report.html").read_text("utf-8")
    assert "wrong.</bdi>" in page and "apply-review" in page and "review.html" in page


def test_labels_that_were_never_judged_are_named(photos, home, tmp_path, monkeypatch):
    run = home / "fold-0"

    def evaluated(*arguments, **options):
        raise AssertionError("the whole evaluation came first")

    monkeypatch.setattr("seewhy.workflows.analyse.judge", evaluated)
    said = call("evaluate", run, "--data", photos, "--full", "--labels", tmp_path, code=2)
    assert "make it with `seewhy data labels`" in said.err
    said = call("evaluate", run, "--data", photos, "--labels", home, code=2)
    assert "give --full" in said.err
