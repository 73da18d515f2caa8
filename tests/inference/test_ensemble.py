import gc
import shutil
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import QUICK, write_folder

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.config.names import PERTURBATION_METHODS
from seewhy.errors import UsageError
from seewhy.evaluation.decision.record import Decision
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.models.registry import build

CLASSES = ("ant", "bee", "cow")


def save(path, classes=CLASSES, seed=0, size=16, temperature=1.0, **facts):
    torch.manual_seed(seed)
    network = build("regularized_cnn", num_classes=len(classes), size=size)
    rule, decision = InputRule(size=size, store=size), Decision(temperature=temperature)
    bundle = Bundle(network=network, classes=classes, rule=rule, decision=decision, facts=facts)
    bundles.save(bundle, path)
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two models that know the same classes in different orders, with temperatures of their own."""
    home = tmp_path_factory.mktemp("pair")
    first = save(home / "first.safetensors", temperature=0.2)
    return first, save(home / "second.safetensors", ("cow", "ant", "bee"), 1, temperature=0.1)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3)).astype(np.uint8)


def test_it_answers_with_the_mean_of_calibrated_probabilities_by_class_name(pair, images):
    first, second = (seewhy.load(path).predict(images) for path in pair)
    expected = (first.probabilities() + second.probabilities()[:, [1, 2, 0]]) / 2
    both = seewhy.load(list(pair))
    predictions = both.predict(images)
    assert both.classes == CLASSES and predictions.temperature == 1
    assert predictions.probabilities() == pytest.approx(expected, abs=1e-6)
    assert both.predictor.parents == tuple(seewhy.load(path).digest for path in pair)
    assert len(both.digest) == 64 and both.digest not in both.predictor.parents


def test_two_names_with_a_plus_are_an_ensemble_and_a_file_of_that_name_wins(pair, images, tmp_path):
    named = seewhy.load(f"{pair[0]}+{pair[1]}")
    assert named.digest == seewhy.load(pair).digest
    plus = shutil.copy(pair[0], tmp_path / "a+b.safetensors")
    assert seewhy.load(plus).digest == seewhy.load(pair[0]).digest
    with pytest.raises(UsageError, match="no file, run or shipped model 'nothing'"):
        seewhy.load(f"{pair[0]}+nothing")


def test_models_that_do_not_fit_together_are_refused(pair, tmp_path):
    other = save(tmp_path / "other.safetensors", ("ant", "bee", "dog"))
    with pytest.raises(UsageError, match=r"different classes .*in one: cow; .*another: dog"):
        seewhy.load([pair[0], other])
    larger = save(tmp_path / "larger.safetensors", size=24)
    with pytest.raises(UsageError, match=r"16x16 .* and 24x24 .*: combine"):
        seewhy.load([pair[0], larger])


def test_a_class_that_no_member_believes_in_still_has_a_finite_logit(pair, images):
    member = seewhy.load(pair[0]).predictor
    sure = replace(member, decision=Decision(temperature=1e-4))
    logits, embeddings = seewhy.load(pair).predictor.of([sure, sure]).outputs(images, embed=True)
    assert np.isfinite(logits).all() and embeddings is None


def test_it_is_evaluated_and_compared_like_any_model(tmp_path):
    photos = write_folder(tmp_path / "photos", count=20)
    runs = [
        seewhy.train(
            photos, "regularized-cnn", out=tmp_path / name, overrides=QUICK | {"train.seed": seed}
        ).path
        for seed, name in enumerate(("one", "two"))
    ]
    both = f"{runs[0]}+{runs[1]}"
    measured, predictions = seewhy.evaluate(both, photos, "val")
    alone = [seewhy.evaluate(run, photos, "val")[1].probabilities() for run in runs]
    assert predictions.probabilities() == pytest.approx(np.mean(alone, axis=0), abs=1e-6)
    assert measured.n == 12
    result = seewhy.compare([runs[0], both], photos)
    single, ensemble = result.contenders
    assert ensemble.parameters == 2 * single.parameters
    assert ensemble.megabytes > 1.9 * single.megabytes
    full = seewhy.analyse(both, photos, out=tmp_path / "out")
    assert full.analysis is not None and full.home == tmp_path / "out"


def test_members_of_different_splits_answer_but_are_not_measured(tmp_path):
    """What tests one has trained the other."""
    photos = write_folder(tmp_path / "photos", count=20)
    runs = [
        seewhy.train(
            photos,
            "regularized-cnn",
            out=tmp_path / f"r{n}",
            overrides=QUICK | {"data.split_seed": n},
        ).path
        for n in range(2)
    ]
    assert len(seewhy.predict(runs, sorted(photos.rglob("*.png")))) == 60
    with pytest.raises(UsageError, match="different splits"):
        seewhy.evaluate(f"{runs[0]}+{runs[1]}", photos, "test")


def test_an_ensemble_of_different_splits_joins_others_and_is_not_measured(images, tmp_path):
    split = [{"recipe": {"data": {"split_seed": seed}}} for seed in range(2)]
    first, second = (save(tmp_path / f"{n}.safetensors", seed=n, **split[n]) for n in range(2))
    mixed = [tmp_path / "mixed.safetensors", tmp_path / "other.safetensors"]
    seewhy.ensemble([first, second], out=mixed[0])
    seewhy.ensemble([second, first], out=mixed[1])
    for models in ([mixed[0], first], [first, mixed[0]], mixed):
        with seewhy.load(models) as joined:
            assert np.isfinite(joined.predict(images).logits).all()
            with pytest.raises(UsageError, match="different splits"):
                joined.splits(tmp_path)


@pytest.mark.parametrize("recipe", [None, [], "data", {"data": "folder"}])
def test_a_recipe_of_another_kind_among_the_facts_says_nothing_of_the_split(recipe, tmp_path):
    photos = write_folder(tmp_path / "photos")
    paths = [save(tmp_path / f"{n}.safetensors", seed=n, recipe=recipe) for n in range(2)]
    for models in (paths[0], paths):
        with seewhy.load(models) as model:
            assert len(model.splits(photos).train) > 0


@pytest.mark.parametrize("names", [[], "fast+", "+"])
def test_a_model_that_is_not_named_is_said_to_be_missing(names):
    with pytest.raises(UsageError, match=r"no model is named|lacks a model"):
        seewhy.load(names)


def test_it_is_explained_by_what_perturbs_pixels_alone(pair, images, tmp_path):
    from PIL import Image

    Image.fromarray(images[0]).save(tmp_path / "a.png")
    both = f"{pair[0]}+{pair[1]}"
    result = seewhy.explain(
        both, [tmp_path / "a.png"], out=tmp_path / "why", methods=PERTURBATION_METHODS
    )
    checks = result.explanations.checks
    assert set(checks) == set(PERTURBATION_METHODS)
    assert all(np.isnan(check.randomised).all() for check in checks.values())
    assert all("weights" not in check.faults(0) for check in checks.values())
    with pytest.raises(UsageError, match="not a single network"):
        seewhy.explain(both, [tmp_path / "a.png"], out=tmp_path / "no", methods=["grad_cam"])
    with pytest.raises(UsageError, match="not a single network"):
        seewhy.load(both).module()


def test_its_facts_are_those_that_its_members_share(tmp_path):
    facts = {"train_pictures": 5, "recipe": {"name": "fast", "data": {"size": 16, "val": 0.1}}}
    own = {"val_accuracy": 0.5, "metrics": {"val": {"accuracy": 0.5}}, "epochs": 3}
    paths = [save(tmp_path / f"{n}.safetensors", seed=n, **facts, **own) for n in range(2)]
    both = seewhy.load(paths).predictor
    assert both.facts == {"train_pictures": 5, "recipe": {"data": facts["recipe"]["data"]}}


def test_a_model_from_before_fit_and_depth_joins_a_new_one(tmp_path):
    """Their settings move no image of a square data set between its splits."""
    photos = write_folder(tmp_path / "photos", count=12)
    settings = {"size": 16, "val": 0.1, "split_seed": 0}
    files = []
    for name, more in (("old", {}), ("new", {"fit": None, "depth": "range"})):
        model = bundles.load(save(tmp_path / f"{name}.safetensors", seed=len(files)))
        facts = {"recipe": {"data": {**settings, **more}}}
        files.append(tmp_path / f"{name}-facts.safetensors")
        bundles.save(replace(model, facts=facts), files[-1])
    assert seewhy.load(files).splits(photos).rule == InputRule(size=16, store=16)


def test_precision_holds_for_a_block_and_holds_no_ensemble(trained):
    """A server keeps the block as long as it lives, and replaces its models."""
    conv = torch.backends.mkldnn.conv
    before, ensemble = conv.fp32_precision, seewhy.load([trained, trained]).predictor
    with ensemble.in_full_precision():
        assert conv.fp32_precision == "ieee"
        gone = weakref.ref(ensemble)
        del ensemble
        gc.collect()
        assert gone() is None
    assert conv.fp32_precision == before
