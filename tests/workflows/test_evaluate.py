import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import QUICK, call, write_folder
from PIL import Image

import seewhy
from seewhy.errors import DataError, UsageError
from seewhy.events import Note
from seewhy.inference import bundle as bundles
from seewhy.run import Run


def evaluated(model, data, split=None, **others):
    """Metrics, and what was said."""
    notes = []

    def keep(event):
        if isinstance(event, Note):
            notes.append(event.text)

    return seewhy.evaluate(model, data, split, on_event=keep, **others)[0], " ".join(notes)


@pytest.fixture(scope="module")
def holdout(tmp_path_factory):
    """Fifteen other images a class, without splits."""
    return write_folder(tmp_path_factory.mktemp("h") / "holdout", count=15, size=16, seed=9)


@pytest.fixture(scope="module")
def with_splits(tmp_path_factory):
    """Other data with a test split alone, whose names no group pattern matches."""
    root = tmp_path_factory.mktemp("theirs")
    write_folder(root / "test", count=4, size=16, seed=5)
    return root


@pytest.fixture
def run(trained, tmp_path):
    return Path(shutil.copytree(trained, tmp_path / "run"))


def test_all_of_other_data_is_evaluated_and_that_is_said(run, holdout):
    by_default, said = evaluated(run, holdout)
    assert (by_default.split, by_default.n) == ("all", 45)
    assert "all 45 images are evaluated" in said and "not saved in" in said
    assert evaluated(run, holdout, "all")[0].n == 45
    drawn, said = evaluated(run, holdout, "test")
    assert drawn.n < 10 and f"{drawn.n} of 45 images were drawn as test" in said
    assert set(Run(run).metrics) == {"val"} and not Run(run).predictions("all").exists()


def test_images_of_other_data_that_the_model_was_trained_on_are_named(
    run, holdout, photos, tmp_path
):
    mixed = Path(shutil.copytree(holdout, tmp_path / "mixed"))
    rows = Run(run).rows("splits.csv", "id", "split")
    trained = [row["id"] for row in rows if row["split"] == "train"][:2]
    others = [row["id"] for row in rows if row["split"] == "val"][:2]
    for number, name in enumerate(trained + others):
        shutil.copy(photos / name, mixed / "ant" / f"again-{number}.png")
    measured, said = evaluated(run, mixed)
    assert measured.n == 49 and "the model was trained on 2 of these 49 images" in said
    assert "remove ant/again-0.png, ant/again-1.png, and evaluate again" in said
    assert "trained on" not in evaluated(run, holdout)[1].replace("if the model was trained on", "")
    assert "evaluate again" not in evaluated(run, photos)[1]


def test_a_model_that_was_renamed_in_its_run_is_evaluated(run, holdout):
    renamed = (run / "model.safetensors").rename(run / "mine.safetensors")
    assert evaluated(renamed, holdout)[0].n == 45


def test_an_ensemble_is_evaluated_from_within_a_run(run, holdout, monkeypatch):
    plain = bundles.load(run / "model.safetensors")
    bundles.save(
        replace(plain, facts={**plain.facts, "seconds": 1.0}, digest=""), run / "other.safetensors"
    )
    monkeypatch.chdir(run)
    assert evaluated("model.safetensors+other.safetensors", holdout)[0].n == 45


def test_all_of_the_models_own_data_is_refused(run, photos, tmp_path):
    with pytest.raises(UsageError, match="all is for other data"):
        seewhy.evaluate(run, photos, "all")
    grown = shutil.copytree(photos, tmp_path / "grown")
    shutil.copy(grown / "ant" / "000.png", grown / "ant" / "copy.png")
    Image.new("RGB", (16, 16), "red").save(grown / "ant" / "new.png")
    with pytest.raises(UsageError, match="all is for other data"):
        seewhy.evaluate(run, grown, "all")
    for model in (run, run / "model.safetensors"):
        assert evaluated(model, grown)[0].split == "val"  # drawn as in training


def test_the_command_line_evaluates_all(run, holdout):
    printed = call("evaluate", run, "--data", holdout, "--split", "all", "--json", "--full")
    assert json.loads(printed.out)["n"] == 45
    table = call("evaluate", run, "--data", holdout, "--split", "val").out
    assert "all: 45 images" not in table and "too few images" in table


@pytest.mark.parametrize(
    "fields",
    [
        {"data.group_from": r"(\d\d\d)\.png"},
        {"data.val": 0.2, "data.test": 0.2},
        {"data.limit": 6},
        {"data.layout": "folders"},
        {"data.folds": 3, "data.fold": 1},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_other_data_is_read_by_its_own_layout(photos, with_splits, tmp_path, fields):
    overrides = {**QUICK, "train.epochs": 1, **fields}
    run = seewhy.train(photos, "regularized-cnn", out=tmp_path / "run", overrides=overrides)
    for file in with_splits.rglob("0*.png"):
        file.rename(file.with_name(f"img{file.name}".replace(".png", "x.png")))
    assert evaluated(run.path, with_splits, "test")[0].n == 12


def test_an_empty_split_is_an_error_that_names_those_there_are(run, with_splits, tmp_path):
    for split in (None, "val", "train"):
        with pytest.raises(
            UsageError, match=r"no \w+ images; it has test \(12 images\): choose another"
        ):
            seewhy.evaluate(run, with_splits, split)
    with pytest.raises(UsageError, match="has no val images; it has test"):
        seewhy.calibrate(run, with_splits, out=tmp_path / "new")
    said = call("evaluate", run, "--data", with_splits, code=2).err
    assert "it has test (12 images): choose another split" in said


def test_a_reading_of_test_is_counted_before_its_predictions_are_there(run, photos, monkeypatch):
    own = Run(run)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(seewhy.Predictions, "to_parquet", killed)
    with pytest.raises(KeyboardInterrupt):
        seewhy.evaluate(run, photos, "test")
    assert own.test_readings == 1 and not own.predictions("test").exists()


def test_another_test_set_does_not_replace_the_runs_own(run, photos, with_splits):
    own = evaluated(run, photos, "test")[0]
    _, said = evaluated(run, with_splits, "test")
    assert "not saved" in said
    stored = Run(run).metrics["test"]
    assert (stored["n"], stored["reading"]) == (own.n, 1)


def test_another_test_folder_beside_the_same_training_images_does_not_either(tmp_path):
    data = tmp_path / "data"
    for seed, name in enumerate(("train", "val", "test")):
        write_folder(data / name, count=6, size=16, seed=seed)
    run = seewhy.train(data, "regularized-cnn", out=tmp_path / "run", overrides=QUICK)
    assert "not saved" not in evaluated(run.path, data, "test")[1]
    shutil.rmtree(data / "test")
    write_folder(data / "test", count=5, size=16, seed=7)
    assert "not saved" in evaluated(run.path, data, "test")[1]
    assert run.metrics["test"]["n"] == 18


def test_the_first_separate_test_set_is_the_runs_own(with_splits, tmp_path):
    data = tmp_path / "data"
    write_folder(data / "train", count=8, size=16)
    write_folder(data / "val", count=4, size=16, seed=3)
    run = seewhy.train(data, "regularized-cnn", out=tmp_path / "run", overrides=QUICK)
    second = tmp_path / "second"
    write_folder(second / "test", count=3, size=16, seed=6)
    first = evaluated(run.path, with_splits, "test")[1]
    assert "not saved" not in first and "evaluation 1" not in first
    assert "not saved" in evaluated(run.path, second, "test")[1]
    measured, said = evaluated(run.path, with_splits, "test")
    assert measured.n == run.metrics["test"]["n"] == 12 and "evaluation 2 on the test split" in said
    assert run.metrics["test"]["reading"] == 2


def test_a_loaded_model_is_evaluated_and_stays_open(run, photos):
    with seewhy.load(run) as classifier:
        first = seewhy.evaluate(classifier, photos)[0]
        again = seewhy.analyse(classifier, photos, full=False).metrics
        assert first.accuracy == again.accuracy == seewhy.evaluate(run, photos)[0].accuracy
        assert len(classifier.predict(photos / "ant" / "000.png")) == 1


def test_a_report_refuses_other_images_with_the_same_names(run, photos, tmp_path):
    other = Path(shutil.copytree(photos, tmp_path / "photos"))
    val = set(seewhy.load(run).splits(photos).val.ids)
    for name in val:  # other pixels, under the names of the validation images
        pixels = np.array(Image.open(other / name))
        Image.fromarray(255 - pixels).save(other / name)
    for analyse in (False, True):
        with pytest.raises(DataError, match="does not have the validation images"):
            seewhy.report(run, other, analyse=analyse)
