import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import call, write_folder
from torch import nn

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.errors import UsageError
from seewhy.evaluation.decision.record import Decision
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note
from seewhy.exporters import gate
from seewhy.exporters.gate import Speed
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.onnx import OnnxPredictor
from seewhy.inference.speed import BATCHES
from seewhy.models.registry import build
from seewhy.workflows import compress as workflow

pytest.importorskip("onnxscript")


@pytest.fixture(scope="module")
def compressed(trained: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compressed") / "out"
    call(
        *("compress", str(trained), "--data", str(photos), "--out", str(out)),
        *("--methods", "int8", "--max-drop", "100"),
    )
    return out


def test_int8_is_written_with_its_table_and_figure(
    compressed: Path, trained: Path, photos: Path
) -> None:
    record = json.loads((compressed / "compress.json").read_text())
    (one,) = record["candidates"]
    assert one["name"] == "int8" and one["rejected"] is None
    assert record["reference"]["name"] == "fp32" and record["n"] > 0
    assert one["bytes"] < 0.5 * record["reference"]["bytes"]
    assert (compressed / "pareto.png").is_file() and (compressed / "pareto.svg").is_file()
    with seewhy.load(compressed / "int8.onnx") as small, seewhy.load(trained) as whole:
        assert small.predictor.parents == (whole.digest,)
        images = sorted(photos.rglob("*.png"))
        agree = small.predict(images).predicted == whole.predict(images).predicted
        assert agree.mean() == one["agreement"] or agree.mean() > 0.8


def test_a_call_that_was_killed_before_its_record_goes_on(
    compressed: Path, trained: Path, exported: Path, photos: Path, tmp_path: Path, monkeypatch
) -> None:
    out = tmp_path / "out"
    shutil.copytree(compressed, out)
    with seewhy.load(exported) as whole, seewhy.load(compressed / "int8.onnx") as small:
        monkeypatch.setattr(workflow, "to_onnx", lambda predictor: (whole.predictor, 0.0))
        monkeypatch.setattr(workflow, "to_int8", lambda predictor, images: small.predictor)
    for max_drop, kept in ((100, ["int8.onnx"]), (0, [])):
        (out / "compress.json").unlink()
        result = seewhy.compress(trained, photos, out, methods=["int8"], max_drop=max_drop)
        assert [one.file.name for one in result.kept] == kept
        assert [file.name for file in out.glob("*.onnx")] == kept
        assert (out / "compress.json").is_file()
        monkeypatch.setattr(workflow, "to_int8", lambda model, images: OneClass(**vars(model)))


def test_a_folder_of_other_files_is_refused_before_the_data_are_read(
    trained: Path, tmp_path: Path
) -> None:
    file = tmp_path / "int8.onnx"
    file.write_text("mine")
    for out in (tmp_path, file):
        told = call("compress", trained, "--data", "nowhere", "--out", out, code=2).err
        assert f"{out} is not empty: choose another --out" in told
    assert file.read_text() == "mine"


def test_a_finished_compression_is_not_overwritten(
    compressed: Path, trained: Path, photos: Path
) -> None:
    with pytest.raises(UsageError, match="already holds"):
        seewhy.compress(trained, photos, compressed, methods=["int8"])


class _ShownError(Exception):
    """Carries the images that int8 is to be made with."""


def test_images_of_every_class_show_the_ranges_of_int8(
    trained: Path, photos: Path, tmp_path: Path, monkeypatch
) -> None:
    def shown(_: OnnxPredictor, images: np.ndarray) -> OnnxPredictor:
        raise _ShownError(images)

    monkeypatch.setattr(workflow, "to_int8", shown)
    monkeypatch.setattr(workflow, "IMAGES", 16)
    with pytest.raises(_ShownError) as error:
        seewhy.compress(trained, photos, tmp_path / "out", methods=["int8"])
    (images,) = error.value.args
    colours = images.mean((1, 2)).argmax(1)  # which tell the class
    assert len(images) == 16 and np.bincount(colours, minlength=3).min() >= 3


class OneClass(OnnxPredictor):
    """The same file with a head that answers one class."""

    def outputs(self, images, embed=False):
        row = np.arange(len(self.classes), dtype=np.float32)
        return np.tile(row, (len(images), 1)), None


def test_what_loses_too_much_is_not_written(
    trained: Path, exported: Path, photos: Path, tmp_path: Path, monkeypatch
) -> None:
    with seewhy.load(exported) as whole:
        monkeypatch.setattr(workflow, "to_onnx", lambda predictor: (whole.predictor, 0.0))
    monkeypatch.setattr(workflow, "to_int8", lambda predictor, images: OneClass(**vars(predictor)))
    result = seewhy.compress(trained, photos, tmp_path / "out", methods=["int8"])
    (one,) = result.candidates
    assert one.rejected is not None and "loses" in one.rejected and one.file is None
    assert not list((tmp_path / "out").glob("*.onnx"))
    assert one.worst_class[1] == 1.0


def test_what_is_neither_smaller_nor_faster_is_rejected(
    exported: Path, photos: Path, monkeypatch
) -> None:
    with seewhy.load(exported) as model:
        predictions = model.predict_set(model.splits(photos).val)
        monkeypatch.setattr(
            gate, "measure_speeds", lambda models: [Speed(1, 1000, 1)] * len(models)
        )
        twice = [model.predictor] * 2
        first, second = gate.judge(["a", "b"], twice, [predictions] * 2, 0.5)
    assert first.rejected is None and second.rejected == "neither smaller nor faster"
    assert second.drop.value == 0 and second.agreement == 1


@pytest.mark.parametrize(
    ("lost", "max_drop", "verdict"),
    [
        (7, 0.7, "neither smaller nor faster"),
        (8, 0.7, "loses 0.80 points, more than 0.7"),
        (7, 0.66, "loses 0.70 points, more than 0.66"),
    ],
)
def test_a_drop_of_as_much_as_is_allowed_is_allowed(lost, max_drop, verdict, monkeypatch) -> None:
    monkeypatch.setattr(gate, "measure_speeds", lambda models: [Speed(1, 1000, 1)] * len(models))
    labels = np.arange(1000) % 2
    right = Predictions(
        np.eye(2, dtype=np.float32)[labels], labels, ("a", "b"), np.arange(1000).astype(object)
    )
    logits = right.logits.copy()
    logits[:lost] = logits[:lost, ::-1]
    models = [SimpleNamespace(file=SimpleNamespace(data=b"x"), parameters=1)] * 2
    judged = gate.judge(["x", "y"], models, [right, replace(right, logits=logits)], max_drop / 100)
    assert judged[1].rejected == verdict


def test_speeds_are_of_one_thread(exported: Path) -> None:
    with seewhy.load(exported) as model:
        (speed,) = gate.measure_speeds([model.predictor])
    assert speed.p50_ms > 0 and speed.images_per_second > 0
    assert np.isfinite(speed.images_per_second) and speed.batch in (1, *BATCHES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ["int4"]}, "int4"),
        ({"methods": []}, "int8"),
        ({"keep": 1}, "share between 0 and 1"),
        ({"max_drop": 101}, "points from 0 to 100"),
    ],
)
def test_wrong_options_are_refused_first(
    options: dict, message: str, trained: Path, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        seewhy.compress(trained, photos, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_only_a_bundle_is_compressed(exported: Path, photos: Path, tmp_path: Path) -> None:
    copy = shutil.copy(exported, tmp_path / "m.onnx")
    with pytest.raises(UsageError, match="only a bundle can be compressed"):
        seewhy.compress(copy, photos, tmp_path / "out")


def test_a_narrower_network_learns_from_a_model_whose_recipe_names_no_width(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(gate, "ROUNDS", 3)
    photos = write_folder(tmp_path / "photos", count=12, size=20)
    small = {"data.size": 20, "train.epochs": 1, "train.batch_size": 8, "model.width": 0.25}
    run = seewhy.train(photos, "thumbnails", out=tmp_path / "run", overrides=small)
    bundle = bundles.load(run.model)
    bundle.facts["recipe"]["model"]["width"] = None
    bundles.save(bundle, tmp_path / "older.safetensors")
    result = seewhy.compress(
        tmp_path / "older.safetensors", photos, tmp_path / "out", methods=["distil"], epochs=1
    )
    (one,) = result.candidates
    assert one.name == "distilled" and one.parameters < 0.7 * result.reference.parameters


def test_a_network_that_only_its_user_can_train_takes_int8_alone(tmp_path: Path) -> None:
    def own() -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))

    rule = InputRule(size=16, store=16)
    bundles.save(Bundle(own(), ("a", "b"), rule), tmp_path / "own.safetensors")
    out = tmp_path / "out"
    with seewhy.load(tmp_path / "own.safetensors", model=own()) as model:
        for methods in (["distil"], ["int8", "magnitude"]):
            with pytest.raises(UsageError, match="use --methods int8"):
                seewhy.compress(model, "nowhere", out, methods=methods)
    assert not out.exists()


@pytest.fixture
def noted(trained: Path, exported: Path, photos: Path, tmp_path: Path, monkeypatch):
    """The notes of a compression of a bundle, in which nothing is exported and little is timed."""
    with seewhy.load(exported) as whole:
        monkeypatch.setattr(workflow, "to_onnx", lambda predictor: (whole.predictor, 0.0))
    monkeypatch.setattr(gate, "ROUNDS", 3)

    def notes(changed: dict, **options) -> list[str]:
        bundles.save(replace(bundles.load(trained / "model.safetensors"), **changed), file)
        events: list = []
        seewhy.compress(file, photos, tmp_path / "out", on_event=events.append, **options)
        return [event.text for event in events if isinstance(event, Note)]

    file = tmp_path / "changed.safetensors"
    return notes


def test_a_network_that_can_be_no_narrower_is_noted_and_what_was_trained_is_not_lost(noted) -> None:
    narrow = build("resnet18", num_classes=3, size=16, width=0.15)
    notes = noted({"network": narrow}, methods=["distil"])
    assert any(note.startswith("distil: resnet18: width=0.11") for note in notes)


def test_a_threshold_that_trained_candidates_do_not_have_is_noted(noted, monkeypatch) -> None:
    monkeypatch.setitem(workflow._TRAININGS, "prune", lambda job: job.parent)
    notes = noted({"decision": Decision(threshold=0.5)}, methods=["prune"], max_drop=100)
    assert any("threshold and OOD score hold for int8 alone" in note for note in notes)
