import json

import numpy as np
import pytest
import torch
from attacks import bundles as attacks
from helpers import call, image_set

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.config.names import PERTURBATION_METHODS
from seewhy.errors import ModelFileError, UsageError
from seewhy.evaluation.decision.record import Decision
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.ensemble_network import EnsembleNetwork
from seewhy.models.registry import build

CLASSES = ("ant", "bee", "cow")
BOTH = ("identity", "flip")


def saved(path, seed=0, name="regularized_cnn", classes=CLASSES, size=8, **fields):
    torch.manual_seed(seed)
    network = build(name, num_classes=len(classes), size=size)
    rule = InputRule(size=size, store=size)
    bundles.save(Bundle(network, classes, rule, **fields), path)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Models that differ in network, class order, TTA views and temperature."""
    home = tmp_path_factory.mktemp("models")
    return [
        saved(home / "a", 0, decision=Decision(temperature=0.2, threshold=0.9)),
        saved(home / "b", 1, classes=("cow", "ant", "bee"), views=BOTH),
        saved(home / "c", 2, "strided_cnn", decision=Decision(temperature=3.0)),
    ]


@pytest.fixture(scope="module")
def combined(models, tmp_path_factory):
    return seewhy.ensemble(models, out=tmp_path_factory.mktemp("combined") / "abc.safetensors")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def data():
    labels = np.arange(240) % 3
    kept = image_set(labels, classes=CLASSES)
    names = np.array(CLASSES)[labels]
    return {"train": (kept.images[:160], names[:160]), "val": (kept.images[160:], names[160:])}


def test_one_file_answers_as_the_models_together(models, combined, images):
    one, many = seewhy.load(combined.file), seewhy.load(models)
    first, second = one.predict(images), many.predict(images)
    assert first.probabilities() == pytest.approx(second.probabilities(), abs=1e-6)
    assert one.classes == CLASSES and one.decision == Decision() and one.rule == many.rule
    assert one.predictor.parents == many.predictor.parents == tuple(combined.members.values())
    assert one.predictor.parameters == many.predictor.parameters == combined.parameters
    assert one.predictor.outputs(images, embed=True)[1] is None


def test_it_is_a_bundle_like_any_other(combined, data, tmp_path, images):
    measured, _ = seewhy.evaluate(combined.file, data, "val")
    assert measured.n == 80
    noise = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3)).astype(np.uint8)
    out = tmp_path / "calibrated.safetensors"
    calibrated = seewhy.calibrate(
        combined.file, data, out=out, coverage=0.5, out_of_scope=(noise, ["x"] * 40), force=True
    )
    scope = calibrated.calibration.scope
    assert scope.score == "probability" and list(scope.areas) == ["probability"]
    loaded = seewhy.load(out)
    assert loaded.predictor.parents[-1] == combined.digest and loaded.decision.threshold is not None
    seewhy.load(combined.file).save(tmp_path / "again.safetensors")
    assert seewhy.load(tmp_path / "again.safetensors").predict(images).logits == pytest.approx(
        seewhy.load(combined.file).predict(images).logits, abs=1e-6
    )


def test_it_is_explained_by_what_perturbs_pixels_alone(combined, images, tmp_path):
    from PIL import Image

    Image.fromarray(images[0]).save(tmp_path / "a.png")
    method = [sorted(PERTURBATION_METHODS)[0]]
    seewhy.explain(combined.file, [tmp_path / "a.png"], out=tmp_path / "why", methods=method)
    with pytest.raises(UsageError, match="single network"):
        seewhy.explain(
            combined.file, [tmp_path / "a.png"], out=tmp_path / "no", methods=["grad_cam"]
        )


@pytest.mark.parametrize("recipe", ["mine", {"name": ["a"], "license": ["b"]}])
def test_what_a_strangers_file_says_of_its_recipe_does_not_matter(tmp_path, recipe):
    facts = {"recipe": recipe}
    members = [saved(tmp_path / str(seed), seed, facts=facts) for seed in range(2)]
    assert seewhy.ensemble(members, out=tmp_path / "ab.safetensors").file.is_file()


def test_it_is_not_fine_tuned(combined, data, tmp_path):
    with pytest.raises(UsageError, match="name one of its members"):
        seewhy.train(data, "regularized-cnn", init=combined.file, out=tmp_path / "run")


def test_models_that_do_not_fit_are_refused(models, combined, tmp_path):
    out = tmp_path / "out.safetensors"
    others = {
        r"different classes": saved(tmp_path / "d", classes=("ant", "bee", "dog")),
        r"different rules": saved(tmp_path / "e", size=16),
        r"is not the bundle of a single network": combined.file,
        r"are the same model": models[0],
    }
    for reason, other in others.items():
        with pytest.raises(UsageError, match=reason):
            seewhy.ensemble([*models, other], out=out)
    for some in (models[:1], models * 11):
        with pytest.raises(UsageError, match="give 2 to 32 models"):
            seewhy.ensemble(some, out=out)
    with pytest.raises(UsageError, match="already exists"):
        seewhy.ensemble(models, out=combined.file)
    assert not out.exists()


def test_weights_of_other_networks_classes_or_views_have_no_mean(models, tmp_path):
    a, b, c = models
    for pair, what in (((a, c), "networks"), ((a, b), "classes in order")):
        with pytest.raises(UsageError, match=f"different {what}"):
            seewhy.ensemble(pair, out=tmp_path / "m", average_weights=True)
    flipped = saved(tmp_path / "flipped", 3, views=BOTH)
    with pytest.raises(UsageError, match="different TTA views"):
        seewhy.ensemble([a, flipped], out=tmp_path / "m", average_weights=True)


def test_averaged_weights_are_the_mean_and_so_are_statistics_without_data(models, tmp_path):
    other = saved(tmp_path / "other", 5)
    notes = []
    seewhy.ensemble(
        [models[0], other], out=tmp_path / "m", average_weights=True, on_event=notes.append
    )
    assert any("batch-norm statistics are the mean" in note.text for note in notes)
    assert any("thresholds and OOD scores are dropped" in note.text for note in notes)
    first, second, mean = (
        bundles.load(path).network.state_dict() for path in (models[0], other, tmp_path / "m")
    )
    for name, tensor in mean.items():
        expected = (first[name].float() + second[name].float()) / 2
        torch.testing.assert_close(tensor.float(), expected, rtol=2e-3, atol=1e-4)


def test_with_data_statistics_are_estimated_and_all_are_measured(models, data, tmp_path):
    other = saved(tmp_path / "other", 5)
    result = seewhy.ensemble(
        [models[0], other], out=tmp_path / "m.safetensors", average_weights=True, data=data
    )
    network = bundles.load(result.file).network
    maps = []
    network.conv1.register_forward_hook(lambda *call: maps.append(call[2].detach()))
    pixels = torch.from_numpy(np.stack(data["train"][0])).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        network(pixels)
    torch.testing.assert_close(
        network.norm1.running_mean, maps[0].mean((0, 2, 3)), rtol=0.01, atol=0.01
    )
    names = list(result.measured.metrics)
    assert names == ["a", "other", "average"] and result.measured.best in names[:2]
    assert result.measured.difference.first == "average"


def test_a_loss_is_said(models, data, tmp_path, monkeypatch):
    out = tmp_path / "m.safetensors"
    result = seewhy.ensemble(models, out=out, data=data)
    difference = result.measured.difference.accuracy.value
    assert (result.warning is None) == (difference >= 0)
    lost = result.measured.difference
    object.__setattr__(lost, "accuracy", type(lost.accuracy)(-0.25, -0.3, -0.2))
    assert result.warning.startswith("25.0 points less right than")
    assert seewhy.to_json(result)["warning"] == result.warning


def test_the_verb_prints_a_table_and_json(trained, photos, tmp_path):
    other = seewhy.load(trained)
    network = bundles.load(seewhy.Run(trained).model)
    with torch.no_grad():
        network.network.head.classes.bias.add_(0.5)
    bundles.save(network, tmp_path / "other.safetensors")
    models = [trained, tmp_path / "other.safetensors"]
    printed = call("ensemble", *models, "--out", tmp_path / "m.safetensors", "--data", photos).out
    assert "accuracy (95%)" in printed and "ensemble of 2 models" in printed
    assert "cannot be told apart" in printed and "seewhy calibrate" in printed
    found = json.loads(
        call(
            "ensemble", *models, "--out", tmp_path / "n.safetensors", "--average-weights", "--json"
        ).out
    )
    assert found["kind"] == "average" and found["measured"] is None
    assert found["members"]["run"] == other.digest
    info = seewhy.info(tmp_path / "m.safetensors")
    assert info.metrics.keys() == {"val"} and info.flops == 2 * seewhy.info(trained).flops


MEMBER = {"name": "simple_cnn", "arguments": {}, "views": ["identity"], "temperature": 1.0}


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda members: members.pop(), "its tensor|at least 2"),
        (lambda members: members.extend([MEMBER] * 40), "at most 32"),
        (lambda members: members[0].update(order=[0, 0, 1]), "does not order 3 classes"),
        (lambda members: members[0].update(order=[0, 1]), "does not order 3 classes"),
        (lambda members: members[0].update(order=[-1, 0, 1]), "does not order 3 classes"),
        (lambda members: members[0].update(temperature=0), "greater than 0"),
        (lambda members: members[0].update(name="ensemble"), "no network 'ensemble'"),
        (lambda members: members[0].update(name="custom"), "no network 'custom'"),
        (lambda members: members[0].update(code="x"), "not permitted"),
        (lambda members: members[0].update(arguments={"dropout": "much"}), "does not fit"),
        (lambda members: members[0].update(views=["sideways"]), "cannot be built"),
        (lambda members: members.__setitem__(0, "simple_cnn"), "cannot be built"),
        (lambda members: members[0].update(views=list(BOTH)), "not one of its architecture"),
    ],
)
def test_a_hostile_ensemble_is_refused(combined, tmp_path, change, refusal):
    header, body = attacks.split(combined.file.read_bytes())
    about = json.loads(header["__metadata__"]["seewhy"])
    change(about["architecture"]["arguments"]["members"])
    header["__metadata__"]["seewhy"] = json.dumps(about)
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(attacks.join(header, body))
    with pytest.raises(ModelFileError, match=refusal):
        seewhy.load(path)
    call("info", path)  # the header alone is sound, and shown


def test_an_ensemble_that_is_too_large_is_refused_before_it_takes_memory():
    from seewhy.inference.metadata import EnsembleArguments, Member

    member = Member(name="resnet50", arguments={"width": 2.0}, views=("identity",), temperature=1)
    with torch.device("meta"), pytest.raises(UsageError, match="parameters in all"):
        EnsembleNetwork(10, 32, EnsembleArguments(members=(member,) * 4))
