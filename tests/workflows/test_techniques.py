"""Techniques of training, end to end: each resumes to the same bits, and a run says what it used."""

import shutil

import pytest
from helpers import QUICK, same_weights

import seewhy
from seewhy.errors import UsageError
from seewhy.events import Note, Step
from seewhy.inference.bundle import load as load_bundle
from seewhy.run import Run

TECHNIQUES = {
    "rand": {"augment.policy": "rand"},
    "trivial": {"augment.policy": "trivial"},
    "auto": {"augment.policy": "auto"},
    "accumulate": {"train.accumulate": 3},
    "teacher": {"train.teacher": "MODEL", "train.distill_temperature": 2},
}


def options(name, model):
    fields = {k: str(model) if v == "MODEL" else v for k, v in TECHNIQUES[name].items()}
    return {**QUICK, "train.epochs": 3, **fields}


def train(photos, out, fields, **more):
    return seewhy.train(photos, "regularized-cnn", out=out, overrides=fields, **more)


def stopped(photos, out, fields, steps):
    with seewhy.training_events(photos, "regularized-cnn", out=out, overrides=fields) as events:
        done = (event for event in events if isinstance(event, Step))
        for _ in range(steps):
            next(done)
    return Run(out)


@pytest.fixture(scope="module")
def plain(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("plain") / "run"
    return train(photos, out, {**QUICK, "train.epochs": 3})


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_technique_resumes_to_the_same_bits_and_has_an_effect(
    photos, trained, plain, tmp_path, name
):
    fields = options(name, trained)
    whole = train(photos, tmp_path / "whole", fields)
    run = stopped(photos, tmp_path / "stopped", fields, steps=3)
    resumed = seewhy.train(resume=True, out=run.path)
    assert same_weights(whole.model, resumed.model)
    assert not same_weights(whole.model, plain.model)
    assert [row["val_loss"] for row in whole.history] == [
        row["val_loss"] for row in resumed.history
    ]


# ------------------------------------------------------------------ distillation


def test_a_run_says_who_taught_it_and_resumes_with_no_other(photos, trained, plain, tmp_path):
    teacher = shutil.copy(trained / "model.safetensors", tmp_path / "teacher.safetensors")
    fields = {**QUICK, "train.teacher": teacher}
    seen = []
    run = train(photos, tmp_path / "run", fields, on_event=seen.append)
    assert f"teacher: {teacher}" in [event.text for event in seen if isinstance(event, Note)]
    digest = load_bundle(trained / "model.safetensors").digest
    assert run.config["teacher"] == [digest]
    bundle = load_bundle(run.model)
    assert bundle.parents == (digest,)
    assert bundle.facts["recipe"]["train"]["teacher"] == str(teacher)
    moved = shutil.move(teacher, tmp_path / "elsewhere.safetensors")
    again = {"train.teacher": str(moved)}
    seen.clear()
    seewhy.train(resume=True, out=run.path, overrides=again, on_event=seen.append)
    assert seen[-1].note == "nothing to resume"
    shutil.rmtree(run.checkpoints)
    with pytest.raises(UsageError, match="teacher"):
        seewhy.train(resume=True, out=run.path, overrides={"train.teacher": str(plain.model)})


def test_a_teacher_of_another_size_sees_the_images_resized(photos, trained, tmp_path):
    fields = {**QUICK, "data.size": 12, "train.epochs": 1, "train.teacher": str(trained)}
    seen = []
    run = train(photos, tmp_path / "run", fields, on_event=seen.append)
    assert run.finished
    notes = [event.text for event in seen if isinstance(event, Note)]
    assert any("sees the images resized to 16 pixels" in note for note in notes)


@pytest.mark.parametrize("option", ["train.distill_weight", "train.distill_temperature"])
def test_what_only_a_teacher_needs_is_refused_without_one(photos, tmp_path, option):
    with pytest.raises(UsageError, match="has no effect without teacher"):
        train(photos, tmp_path / "run", {**QUICK, option: 1})
    assert not (tmp_path / "run").exists()


def test_a_teacher_that_lacks_a_class_leaves_nothing_behind(photos, tmp_path):
    with pytest.raises(UsageError, match=r"train\.teacher=fast does not know 3 of the 3 classes"):
        train(photos, tmp_path / "run", {**QUICK, "train.teacher": "fast"})
    assert not (tmp_path / "run").exists()
