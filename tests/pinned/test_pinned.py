"""What the first version wrote is read for ever after: a run, a stopped run, a bundle and a recipe."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import seewhy
from seewhy.evaluation.predictions import Predictions
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
    assert (strange == "out of scope").all()
    assert {"not sure"} < set(known) <= {*bundle.classes, "not sure", "out of scope"}
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
