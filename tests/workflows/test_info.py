import json
import re
from dataclasses import replace
from importlib import resources

import pytest
import torch
import yaml
from helpers import EVERY_NETWORK, call, small

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.errors import DataError, UsageError
from seewhy.evaluation.decision.record import Decision, Scope
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.container import Header, TensorEntry
from seewhy.models.registry import build, cost
from seewhy.run import Run
from seewhy.workflows.info import parameters_of

HOSTILE = (
    "<script>alert(1)</script>",
    "a | b",
    "[x](javascript:alert(1))",
    "![y](http://evil/?q)",
    "`*_~$\\",
    "---: {no: [yaml",
    "‮evil\u2028",
)


def written(path, classes=("ant", "bee"), name="simple_cnn", size=8, options=None, **fields):
    network = build(name, num_classes=len(classes), size=size, **options or {})
    bundle = Bundle(network, classes, InputRule(size=size, store=size), **fields)
    bundles.save(bundle, path)
    return path


def rows(info, title):
    """The rows of the first section whose title begins so."""
    return dict(next(one.rows for one in info.sections if one.title.startswith(title)))


def test_a_run_is_shown_with_its_metrics_data_and_training(trained):
    info = seewhy.info(trained)
    measured = Run(trained).metrics["val"]
    kept = info.metrics["val"]
    assert kept.accuracy.value == pytest.approx(measured["accuracy"]["value"], abs=1e-6)
    assert kept.accuracy.low == pytest.approx(measured["accuracy"]["low"], abs=1e-6)
    assert [one.label for one in kept.weakest] == sorted(
        measured["per_class"], key=lambda name: measured["per_class"][name]["recall"]
    )
    sizes = Run(trained).split_sizes
    assert f"{sizes['train']} train" in rows(info, "Training data")["images"]
    assert rows(info, "Training data")["train by class"].startswith("ant ")
    training = rows(info, "Training")
    assert rows(info, "Training data")["fingerprint"] == info.header.metadata.fingerprint
    training = dict(next(one.rows for one in info.sections if one.title == "Training"))
    assert training["recipe"] == "regularized-cnn" and training["epochs"] == "2"
    assert "threads" in training["machine"] and training["seed"] == "0"
    assert rows(info, "Model")["licence"].startswith("not stated")
    assert "no metrics on test" in rows(info, "Limits")["test"]


def test_the_model_file_alone_has_the_metrics_of_validation(trained):
    run, file = seewhy.info(trained), seewhy.info(Run(trained).model)
    assert file.metrics["val"].accuracy == run.metrics["val"].accuracy
    about = file.header.metadata
    counted = cost("regularized_cnn", num_classes=3, size=16, **about.architecture.arguments)
    assert (file.parameters, file.flops) == (counted.parameters, counted.flops)


def test_the_cost_of_an_image_is_that_of_all_its_views():
    info = seewhy.info("best")
    cost = f"{6 * info.flops / 1e6:,.1f} MFLOPs an image (6 views)"
    assert rows(info, "Model")["size"].endswith(cost)
    cards = resources.files("seewhy") / "weights"
    assert cost in (cards / "best.md").read_text()


def test_json_keeps_its_keys_and_adds(trained):
    found = json.loads(call("info", trained, "--json").out)
    before = {"file", "digest", "format_version", "created_by", "architecture", "classes", "rule"}
    before |= {"stored", "decision", "views", "facts", "fingerprint", "parents"}
    assert before <= found.keys()
    assert {"parameters", "flops", "metrics", "test_readings", "license", "bytes"} <= found.keys()
    assert {"epochs", "seconds", "train_pictures", "val_accuracy"} <= found["facts"].keys()


@pytest.mark.parametrize("name", EVERY_NETWORK)
def test_parameters_are_counted_by_the_names_of_tensors(name, tmp_path):
    with torch.device("meta"):
        network = build(name, num_classes=3, size=32, **small(name))
    entries = (
        TensorEntry(
            f"network.{key}", "F32" if t.is_floating_point() else "I64", tuple(t.shape), 0, 0
        )
        for key, t in network.state_dict().items()
    )
    header = Header(seewhy.info("fast").header.metadata, tuple(entries), "", 0)
    assert parameters_of(header) == sum(tensor.numel() for tensor in network.parameters())


def test_a_calibrated_model_says_in_words_how_it_answers(tmp_path):
    scope = Scope(score="probability", threshold=0.25)
    decision = Decision(temperature=2, threshold=0.8, scope=scope)
    path = written(tmp_path / "m", decision=decision, views=("identity", "flip"))
    answers = rows(seewhy.info(path), "Answers")
    assert "temperature 2.000" in answers["confidence"]
    assert answers["not sure"] == 'below 80.0% confidence it says "not sure"'
    assert "probability is below 0.25" in answers["other images"]
    assert "logits averaged" in answers["TTA views"]


def test_a_card_of_hostile_names_is_harmless(tmp_path):
    measured = {"value": 0.5, "low": 0.4, "high": 0.6}
    names = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "ece")
    weak = [{"label": HOSTILE[0], "support": 3, "recall": measured}]
    metrics = {"val <b>": {"n": 10, "weakest": weak, **dict.fromkeys(names, measured)}}
    recipe = {"name": "a: [b", "about": "<img src=x>\n# title", "license": "my: own\n<b>"}
    facts = {"recipe": recipe, "metrics": metrics, "data": {"counts": {"train": [1] * 7}}}
    classes = tuple(name.replace("\u2028", " ") for name in HOSTILE)
    out = tmp_path / "card.md"
    seewhy.info(written(tmp_path / "m", classes, facts=facts), out=out)
    _, front, body = out.read_text().split("---\n", 2)
    parsed = yaml.safe_load(front)
    assert parsed["license"] == "other" and parsed["license_name"] == recipe["license"]
    assert parsed["model-index"][0]["name"] == "a: [b"
    assert parsed["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.5
    assert "<" not in body and "://" not in body and not re.search(r"(?<!\\)\]", body)
    assert "\u202e" not in body and "\n# title" not in body
    assert all(line.startswith(("# ", "## ", "- **")) for line in body.splitlines() if line)


@pytest.mark.parametrize(
    "facts",
    [
        {"recipe": []},
        {"flops": 10**400, "epochs": 10**400},
        {"recipe": {"name": 3, "license": ["x"], "train": "no"}, "metrics": 5, "data": [1]},
        {"metrics": {"val": {"n": -1}}, "machine": {"cores": [1]}, "flops": True},
        {"data": {"images": {"train": "many"}, "counts": {"train": [1]}}, "members": [1, {}]},
        {"seconds": "long", "epochs": None, "val_accuracy": "high"},
    ],
)
def test_facts_of_another_kind_are_left_out(facts, tmp_path):
    path = written(tmp_path / "m", facts=facts)
    info = seewhy.info(path, out=tmp_path / "card.md")
    assert info.metrics == {} and info.flops is None and info.license is None
    assert call("info", path).out and call("info", path, "--json").out


def test_the_license_of_a_recipe_is_in_the_card(tmp_path):
    file, card = tmp_path / "m", tmp_path / "card.md"
    recipe = seewhy.load_recipe("digits", {"license": "apache-2.0"}).model_dump(mode="json")
    written(file, facts={"recipe": recipe})
    assert "apache-2.0" in call("info", file, "--out", card).out
    assert yaml.safe_load(card.read_text().split("---\n")[1])["license"] == "apache-2.0"
    with pytest.raises(UsageError, match="already exists"):
        seewhy.info(file, out=card)
    assert "--license" in call("train", "--help").out


def test_many_classes_fit_into_the_facts(tmp_path):
    """Their names have a MiB; the facts do not repeat them all."""
    from seewhy.evaluation.headline import headline

    row = {"recall": 0.5, "support": 1}
    stored = {"n": 1, "accuracy": {"value": 0.5, "low": 0.1, "high": 0.9}, "macro": {"f1": 0.5},
              "balanced_accuracy": 0.5, "nll": 1.0, "ece": 0.1,
              "per_class": {f"{k:0256}": row for k in range(10_000)}}  # fmt: skip
    assert len(headline(stored).model_dump_json()) < 4_000


def test_damaged_metrics_of_a_run_are_named(trained, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    for name in ("model.safetensors", "config.yaml"):
        (run / name).write_bytes((trained / name).read_bytes())
    assert seewhy.info(run).metrics.keys() == {"val"}, "those in the model file"
    for damaged in ('{"val": {"n": 3}}', '{"val": 5}', '{"val": {"n"'):
        (run / "metrics.json").write_text(damaged)
        with pytest.raises(DataError, match=r"metrics.json is damaged"):
            seewhy.info(run)


def test_an_onnx_file_is_shown_with_the_bundle_that_it_came_from(trained, exported):
    bundle, onnx = seewhy.info(Run(trained).model), seewhy.info(exported)
    assert onnx.metrics == bundle.metrics and onnx.parameters == bundle.parameters
    assert onnx.header.digest != bundle.header.digest
    assert bundle.header.digest in rows(onnx, "File")["exported from"]
    found = json.loads(call("info", exported, "--json").out)
    assert found["bundle"] == bundle.header.digest and found["precision"] == "fp32"


def test_calibration_stores_its_metrics_of_validation(trained, photos, tmp_path):
    out = tmp_path / "calibrated.safetensors"
    seewhy.calibrate(trained, photos, out=out, coverage=0.5)
    before, after = seewhy.info(trained).metrics["val"], seewhy.info(out).metrics["val"]
    assert after.accuracy == before.accuracy and after.n == before.n
    assert replace(seewhy.info(out)).test_readings == 0


def test_without_an_epoch_the_card_names_the_last_layer(tmp_path):
    path = written(tmp_path / "m", facts={"epochs": 0})
    sections = {section.title: dict(section.rows) for section in seewhy.info(path).sections}
    assert sections["Training"]["epochs"] == "0 (last layer)"
