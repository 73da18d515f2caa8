import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers import write_folder
from PIL import Image

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.errors import DataError, ModelFileError, UsageError
from seewhy.evaluation.decision.answers import NOT_SURE, OUT_OF_DISTRIBUTION
from seewhy.evaluation.decision.fit import fit_decision
from seewhy.evaluation.decision.record import Decision, Scope
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.classifier import Classifier
from seewhy.inference.pytorch import PyTorchPredictor
from seewhy.models.registry import build

CLASSES = ("ant", "bee", "cow")


def drawn(sharpness: float, n: int = 3_000) -> Predictions:
    """Predictions whose labels are drawn from softmax(logits / sharpness)."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (n, 3))
    labels = (logits + rng.gumbel(size=logits.shape)).argmax(1)
    return Predictions(
        (logits * sharpness).astype(np.float32), labels, CLASSES, np.arange(n).astype(str)
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    import torch

    torch.manual_seed(0)
    network = build("speednet", num_classes=3, size=17, width=0.2)
    network.fit_input(np.random.default_rng(0).integers(0, 256, (50, 17, 17, 3), np.uint8))
    made = Bundle(network=network, classes=CLASSES, rule=InputRule(size=17, store=17))
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    bundles.save(made, path)
    return path


@pytest.fixture(scope="module")
def loaded(model) -> Classifier:
    return seewhy.load(model)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("data") / "photos", count=40, size=20)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Loose images of another kind: no classes, one of them damaged."""
    folder = tmp_path_factory.mktemp("others")
    rng = np.random.default_rng(1)
    for number in range(60):
        noise = rng.integers(0, 256, (20, 20, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    (folder / "damaged.png").write_bytes(b"\x89PNG\r\n\x1a\n no")
    return folder


def test_the_temperature_makes_the_confidence_honest() -> None:
    found = fit_decision(drawn(3.0))
    assert found.temperature == pytest.approx(3, rel=0.1)
    assert found.ece_after.value < 0.03 < found.ece_before.low
    assert found.nll_after.value < found.nll_before.value
    assert found.threshold is None and found.scope is None
    assert found.decision == Decision(temperature=found.temperature)


def test_a_temperature_fitted_before_plays_no_part() -> None:
    once, twice = drawn(3.0), replace(drawn(3.0), temperature=2.0)
    assert fit_decision(once).temperature == fit_decision(twice).temperature


def test_the_threshold_is_of_the_tempered_confidence() -> None:
    found = fit_decision(drawn(3.0), coverage=0.5)
    sure = replace(drawn(3.0), temperature=found.temperature).confidence()
    assert (sure >= found.decision.threshold).mean() == pytest.approx(0.5, abs=0.001)


def test_the_new_bundle_answers_otherwise_and_names_its_parent(
    model, loaded, photos, others, tmp_path
):
    out = tmp_path / "new.safetensors"
    made = seewhy.calibrate(model, photos, out=out, coverage=0.5, out_of_scope=others)
    again = seewhy.load(out)
    assert again.predictor.parents == (loaded.digest,) != (again.digest,)
    assert made.file == out and made.digest == again.digest
    assert again.decision == made.calibration.decision
    pictures = sorted(photos.rglob("*.png"))
    answers = again.answers(again.predict(pictures))
    assert set(answers) <= {*CLASSES, NOT_SURE, OUT_OF_DISTRIBUTION} and NOT_SURE in answers
    events = []
    made = seewhy.calibrate(out, photos, out=tmp_path / "plain", on_event=events.append)
    decision = made.calibration.decision
    assert decision.threshold is None and decision.scope is None
    notes = [event.text for event in events if isinstance(event, Note)]
    dropped = [text.split(" is ")[0] for text in notes if " is dropped" in text]
    assert dropped == ["the model's threshold", "the model's out-of-distribution (OOD) score"]
    plain = loaded.predict(pictures)
    assert list(loaded.answers(plain)) == [CLASSES[k] for k in plain.predicted]


def test_a_file_that_is_there_is_not_written_over(model, photos, tmp_path) -> None:
    (tmp_path / "new.safetensors").touch()
    with pytest.raises(UsageError, match="already exists"):
        seewhy.calibrate(model, photos, out=tmp_path / "new.safetensors")


def test_an_ensemble_is_calibrated_by_its_members(model, photos, tmp_path) -> None:
    twin = shutil.copy(model, tmp_path / "twin.safetensors")
    with pytest.raises(UsageError, match="`seewhy ensemble` makes of them"):
        seewhy.calibrate(f"{model}+{twin}", photos, out=tmp_path / "new.safetensors")


def test_an_unreadable_image_has_no_answer(loaded, others) -> None:
    means = tuple((1.0,) + (0.0,) * 39 for _ in CLASSES)
    scope = Scope(score="similarity", threshold=-1.0, means=means)
    decision = Decision(threshold=0.1, scope=scope)
    bundle = replace(loaded.predictor.bundle, decision=decision)
    classifier = Classifier(PyTorchPredictor.of(bundle, loaded.predictor.device))
    found = classifier.predict([others / "damaged.png", others / "1.png"], on_error="row")
    assert found.embeddings.shape == (2, 40) and np.isnan(found.embeddings[0]).all()
    assert classifier.answers(found)[0] == "" and classifier.answers(found)[1] != ""


def test_class_means_of_another_network_are_refused_at_load(loaded, tmp_path) -> None:
    scope = Scope(score="similarity", threshold=0.5, means=((1.0, 0.0),) * 3)
    strange = replace(loaded.predictor.bundle, decision=Decision(scope=scope))
    bundles.save(strange, tmp_path / "strange.safetensors")
    with pytest.raises(ModelFileError, match="class means do not fit its network"):
        seewhy.load(tmp_path / "strange.safetensors")


def test_too_few_others_are_refused(model, photos, tmp_path) -> None:
    write_folder(tmp_path / "few", classes=("x",), count=5)
    with pytest.raises(DataError, match="5 readable images"):
        seewhy.calibrate(model, photos, out=tmp_path / "new", out_of_scope=tmp_path / "few")


def test_a_data_set_by_name_serves_as_others(model, photos, tmp_path) -> None:
    out = tmp_path / "new.safetensors"
    found = seewhy.calibrate(model, photos, out=out, out_of_scope="digits").calibration
    assert found.scope is not None and len(found.scope.areas) == 4


def test_images_in_memory_serve_as_others(model, photos, tmp_path) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (60, 20, 20, 3), np.uint8)
    found = seewhy.calibrate(
        model, photos, out=tmp_path / "new", out_of_scope=(noise, np.zeros(60, int)), force=True
    )
    assert found.calibration.scope is not None


def test_an_ood_score_that_tells_nothing_is_refused_unless_forced(model, photos, tmp_path) -> None:
    out, notes = tmp_path / "new", []
    with pytest.raises(UsageError, match=r"ROC area of 0\.\d\d .*--force"):
        seewhy.calibrate(model, photos, out=out, out_of_scope=photos)
    assert not out.exists()
    seewhy.calibrate(model, photos, out=out, out_of_scope=photos, force=True, on_event=notes.append)
    assert any("hardly tells" in str(note) for note in notes) and out.exists()


def test_it_is_said_that_too_few_images_leave_the_temperature_at_1(model, tmp_path) -> None:
    few = write_folder(tmp_path / "few", count=10)
    notes = []
    made = seewhy.calibrate(model, few, out=tmp_path / "new", on_event=notes.append)
    assert made.calibration.temperature == 1
    assert any("temperature stays 1: 6 labelled images" in str(note) for note in notes)


def test_a_loaded_model_is_calibrated_too(loaded, photos, tmp_path) -> None:
    made = seewhy.calibrate(loaded, photos, out=tmp_path / "new")
    assert seewhy.load(made.file).predictor.parents == (loaded.digest,)
