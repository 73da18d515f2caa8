"""What the first version wrote is read for ever after: a run, a stopped run, a bundle and a recipe."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from attacks import bundles as attacks
from helpers import call
from sklearn.datasets import load_digits

import seewhy
from seewhy.errors import ModelFileError
from seewhy.evaluation.predictions import Predictions
from seewhy.inference.bundle import load as load_bundle
from seewhy.inference.bundle import save as save_bundle
from seewhy.inference.container import read_header
from seewhy.inference.metadata import FORMAT_VERSION
from seewhy.run import Run

HERE = Path(__file__).parent


def require_close(found, stored):
    """Other processors change bits: within 1e-4 of a logit, or of 1."""
    assert np.all(np.abs(found - stored) <= 1e-4 * np.maximum(1, np.abs(stored)))


@pytest.fixture
def home(tmp_path):
    """A copy, so that nothing is written beside the tests."""
    return Path(shutil.copytree(HERE, tmp_path / "pinned"))


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_finished_run_is_evaluated_as_when_it_was_made(home, split):
    run = Run(home / "finished")
    stored, figures = Predictions.from_parquet(run.predictions(split)), run.metrics[split]
    _, found = seewhy.evaluate(run.path, "digits", split)
    require_close(found.logits, stored.logits)
    assert found.ids.tolist() == stored.ids.tolist() and found.classes == stored.classes
    again = run.metrics[split]
    assert (
        again["accuracy"]["value"] == figures["accuracy"]["value"]
    )  # its interval is exact by now
    assert again["confusion"] == figures["confusion"]
    assert again.get("reading", 2) == 2


def test_a_stopped_run_goes_on_to_the_answers_of_the_whole_one(home):
    run = seewhy.train("digits", home / "recipe.yaml", out=home / "unfinished", resume=True)
    whole = Run(home / "finished")
    assert [row["epoch"] for row in run.history] == [1, 2, 3]
    assert run.history[:2] == Run(HERE / "unfinished").history, "what was done is done"
    answers = [Predictions.from_parquet(one.predictions("val")).logits for one in (run, whole)]
    require_close(*answers)


def test_a_finished_run_has_nothing_to_resume(home):
    before = (home / "finished" / "model.safetensors").read_bytes()
    run = seewhy.train("digits", home / "recipe.yaml", out=home / "finished", resume=True)
    assert run.model.read_bytes() == before


def test_a_calibrated_bundle_answers_as_it_was_told(home):
    bundle = seewhy.load(home / "calibrated.safetensors")
    parent = seewhy.load(home / "finished")
    noise = np.random.default_rng(1).integers(0, 256, (20, 16, 16, 3)).astype(np.uint8)
    digits = parent.splits("digits").val
    known = bundle.answers(bundle.predict(digits.images[:50]))
    strange = bundle.answers(bundle.predict(noise))
    assert (strange == "out of distribution").all()
    assert {"not sure"} < set(known) <= {*bundle.classes, "not sure", "out of distribution"}
    require_close(bundle.predict(noise).logits, parent.predict(noise).logits)


def test_a_recipe_means_what_it_meant(home):
    recipe = seewhy.load_recipe(home / "recipe.yaml")
    stored = yaml.safe_load((home / "finished/config.yaml").read_text())["recipe"]
    found = recipe.model_dump(mode="json")
    assert {
        name: found[section][name]
        for section in ("data", "model", "augment", "train")
        for name in stored[section]
    } == {
        name: value
        for section in ("data", "model", "augment", "train")
        for name, value in stored[section].items()
    }
    assert found["views"] == stored["views"] and set(recipe.search) == {"train.lr", "model.dropout"}


def digits():
    """The data of `make_resnet18.py`."""
    images, labels = load_digits(return_X_y=True)
    grey = np.kron(images[:600].reshape(-1, 8, 8), np.ones((2, 2)))
    return np.stack([(grey * 15).astype(np.uint8)] * 3, axis=-1), labels[:600]


def test_a_resnet18_with_its_former_parameter_names_predicts_and_is_saved_anew(home, tmp_path):
    old = seewhy.load(home / "resnet18/model.safetensors")
    stored = Predictions.from_parquet(home / "resnet18/whole.parquet")
    images = old.splits(digits()).val.images[:]
    predictions = old.predict(images)
    require_close(predictions.logits, stored.logits)
    bundle = load_bundle(home / "resnet18/model.safetensors")
    save_bundle(bundle, tmp_path / "anew.safetensors")
    anew = seewhy.load(tmp_path / "anew.safetensors").predict(images)
    assert np.array_equal(anew.logits, predictions.logits)
    names = {entry.name for entry in read_header(tmp_path / "anew.safetensors").tensors}
    assert {"network.conv1.weight", "network.layer2.0.downsample.1.bias", "network.fc.bias"} < names


def test_a_stopped_resnet18_with_its_former_parameter_names_is_trained_on(home):
    stored = Predictions.from_parquet(home / "resnet18/whole.parquet")
    run = seewhy.train(digits(), out=home / "resnet18/unfinished", resume=True)
    predictions = Predictions.from_parquet(run.predictions("val"))
    require_close(predictions.logits, stored.logits)
    assert len(run.history) == 2 and len(run.gradient_norms) == 4
    first, *_, last = (list(row) for row in run.gradient_norms)
    assert first == last and first[1] == "conv1" and first[-1] == "fc"
    whole, trained = (load_bundle(p) for p in (home / "resnet18/model.safetensors", run.model))
    for name, tensor in whole.network.state_dict().items():
        torch.testing.assert_close(trained.network.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


FORMATS = {1: "calibrated.safetensors", 2: "resnet18/model.safetensors"}


def test_a_bundle_of_each_format_is_kept_and_shown_as_a_card(home):
    assert set(FORMATS) == set(range(1, FORMAT_VERSION + 1))
    for number, name in FORMATS.items():
        found = seewhy.info(home / name)
        assert found.header.metadata.format_version == number
        titles = [section.title for section in found.sections]
        assert titles[:2] == ["Model", "Answers"] and "Metrics on val" in titles
        assert seewhy.load(home / name).predictor.parameters == found.parameters


def test_a_bundle_of_a_newer_format_is_refused_in_words(home):
    header, body = attacks.split((home / "calibrated.safetensors").read_bytes())
    metadata = yaml.safe_load(header["__metadata__"]["seewhy"])
    metadata["format_version"] = FORMAT_VERSION + 1
    header["__metadata__"]["seewhy"] = json.dumps(metadata)
    newer = home / "newer.safetensors"
    newer.write_bytes(attacks.join(header, body))
    for read in (seewhy.info, seewhy.load):
        with pytest.raises(ModelFileError, match=r"reads up to 2: install a newer SeeWhy"):
            read(newer)
    assert "install a newer SeeWhy" in call("info", newer, code=2).err


def test_an_ensemble_in_one_file_is_loaded(home):
    """Its outputs on the golden images are those of its making, or it would be refused."""
    loaded = seewhy.load(home / "ensemble.safetensors")
    assert loaded.classes == ("ant", "bee", "cow") and len(loaded.predictor.parents) == 2
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert loaded.predict(image).probabilities().sum() == pytest.approx(1)
