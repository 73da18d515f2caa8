import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import QUICK, write_folder

import seewhy
from seewhy.errors import DataError, UsageError
from seewhy.events import Note
from seewhy.inference import bundle as bundles
from seewhy.inference.classifier import Classifier
from seewhy.run import Run


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("data") / "photos", count=30)


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "trained"
    return seewhy.train(photos, "regularized-cnn", out=out, overrides=QUICK).path


@pytest.fixture(scope="module")
def spoilt(run, tmp_path_factory):
    """The same model with its last layer drawn anew."""
    bundle = bundles.load(run / "model.safetensors")
    with torch.no_grad():
        bundle.network.head.classes.weight.normal_(0, 3, generator=torch.Generator().manual_seed(1))
    path = tmp_path_factory.mktemp("other") / "spoilt.safetensors"
    bundles.save(replace(bundle, digest=""), path)
    return path


def test_models_are_compared_on_the_same_images_with_what_they_cost(run, spoilt, photos, tmp_path):
    found = seewhy.compare([run, spoilt], photos, out=tmp_path / "out")
    trained, other = found.contenders
    assert (trained.name, other.name) == ("trained", "spoilt.safetensors")
    assert trained.curves.epochs == 2 and other.curves is None and other.history == []
    assert trained.parameters == other.parameters and trained.megabytes > 0.1
    for one in found.contenders:
        assert 0 < one.latency.low <= one.latency.median <= one.latency.high
        assert one.gap.low <= one.gap.value <= one.gap.high
    val = seewhy.load(run).splits(photos).val
    assert found.comparison.n == len(val) == len(found.images)
    predicted = seewhy.load(spoilt).predict_set(val).predicted
    assert np.array_equal(found.comparison.answers[1], predicted[found.comparison.rows[1]])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"curves.png", "differences.png", "classes-trained-spoilt.safetensors.png"} <= names
    assert {"trained-not-spoilt.safetensors.png", "compare.json"} <= names


def test_what_is_left_out_of_a_comparison_is_said(run, spoilt, photos, tmp_path):
    def said(data):
        events = []
        seewhy.compare([run, spoilt], data, "val", on_event=events.append)
        return [one.text for one in events if isinstance(one, Note)]

    assert not any("cop" in text or "common" in text for text in said(photos))
    val = sorted(path for path in photos.glob("*/*") if path.stem in ("001", "002"))
    for split, paths in (("train", sorted(photos.glob("*/*"))), ("val", val)):
        for path in paths:
            folder = tmp_path / "given" / split / path.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            if split == "val" or path.stem not in ("001", "002"):
                shutil.copy(path, folder)
    shutil.copy(val[0], tmp_path / "given" / "val" / val[0].parent.name / "again.png")
    notes = said(tmp_path / "given")
    assert "val: 1 exact copy left out of the comparison" in notes
    assert (
        seewhy.load_data(tmp_path / "given")
        .notes[-1]
        .startswith("val: 1 exact copy among 7 images")
    )


def test_images_that_only_one_model_has_in_val_are_no_copies(run, photos, tmp_path):
    more = {**QUICK, "data.val": 0.4}
    other = seewhy.train(photos, "regularized-cnn", out=tmp_path / "more", overrides=more)
    events = []
    found = seewhy.compare([run, other.path], photos, "val", on_event=events.append)
    n, of = found.comparison.n, Run(other.path).split_sizes["val"]
    assert n == Run(run).split_sizes["val"] < of
    texts = [one.text for one in events if isinstance(one, Note)]
    assert f"{n} of {of} val images are common to all models" in texts
    assert not any("cop" in text for text in texts)


def test_test_is_compared_by_what_evaluate_has_stored(run, photos, tmp_path):
    twin = shutil.copytree(run, tmp_path / "twin")
    with pytest.raises(UsageError, match="no stored test predictions"):
        seewhy.compare([run, twin], photos, "test")
    for path in (run, twin):
        seewhy.evaluate(path, photos, "test")
    before = seewhy.Run(run).metrics["test"]["reading"]
    found = seewhy.compare([run, twin], photos, "test")
    assert found.comparison.n == 9 and found.images is None and found.contenders[0].gap is None
    assert seewhy.Run(run).metrics["test"]["reading"] == before


def test_runs_without_test_are_compared_on_a_test_set_that_was_given_later(run, tmp_path):
    """They must have been given the same images, in the same order."""
    train = tmp_path / "data" / "train"
    write_folder(train, count=12)
    first = seewhy.train(train.parent, "regularized-cnn", out=tmp_path / "first", overrides=QUICK)
    other = shutil.copytree(first.path, tmp_path / "other")
    write_folder(tmp_path / "later" / "test", count=4, seed=5)
    write_folder(tmp_path / "others" / "test", count=4, seed=6)
    seewhy.evaluate(first.path, tmp_path / "later", "test")
    third = shutil.copytree(other, tmp_path / "third")
    seewhy.evaluate(other, tmp_path / "later", "test")
    seewhy.evaluate(third, tmp_path / "others", "test")
    assert seewhy.compare([first.path, other], tmp_path / "later", "test").comparison.n == 12
    with pytest.raises(DataError, match="no labelled image in common"):
        seewhy.compare([first.path, third], tmp_path / "later", "test")


def test_an_ensemble_is_named_by_its_members_and_a_run_here_by_its_folder(
    run, spoilt, photos, monkeypatch
):
    monkeypatch.chdir(run)
    found = seewhy.compare([f"{run}+{spoilt}", "."], photos)
    names = [one.name for one in found.contenders]
    assert names == ["trained+spoilt.safetensors", "trained"]


def test_the_models_are_closed(run, spoilt, photos, monkeypatch):
    closed = []
    monkeypatch.setattr(Classifier, "close", lambda classifier: closed.append(classifier))
    seewhy.compare([run, spoilt], photos)
    assert len(closed) == 2


def test_a_model_that_is_no_run_has_no_stored_test_predictions(run, spoilt, photos):
    for models in ([spoilt, run], ["fast", run]):
        with pytest.raises(UsageError, match="is no run directory: on test"):
            seewhy.compare(models, photos, "test")


def test_one_model_alone_is_refused(run, photos):
    for models in ([run], [run, run]):
        with pytest.raises(UsageError, match="two different models"):
            seewhy.compare(models, photos)
