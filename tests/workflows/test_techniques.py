"""Techniques of training, end to end: each resumes to the same bits, and a run says what it used."""

import csv
import re
import shutil

import numpy as np
import pytest
import torch
from helpers import QUICK, TinyNet, same_weights, write_folder
from PIL import Image

import seewhy
from seewhy.cli.progress import Terminal
from seewhy.config.data import DataConfig
from seewhy.errors import DataError, UsageError
from seewhy.events import Epoch, Note, Step
from seewhy.inference.bundle import load as load_bundle
from seewhy.run import Run

RESNET = {"model.name": "resnet18", "model.width": 0.125}
TECHNIQUES = {
    "rand": {"augment.policy": "rand"},
    "trivial": {"augment.policy": "trivial"},
    "auto": {"augment.policy": "auto"},
    "accumulate": {"train.accumulate": 3},
    "progressive": {"train.progressive": 0.5, **RESNET},
    "hardest": {"train.hardest": 0.5},
    "curriculum": {"train.curriculum": 0.7, "train.difficulty": "MODEL"},
    "teacher": {"train.teacher": "MODEL", "train.distill_temperature": 2},
}


def options(name, model):
    fields = {k: str(model) if v == "MODEL" else v for k, v in TECHNIQUES[name].items()}
    return {**QUICK, **fields}


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
    return train(photos, out, QUICK)


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


@pytest.mark.parametrize("frozen", [False, True])
def test_that_batch_norm_sees_micro_batches_is_said_unless_it_is_frozen(photos, tmp_path, frozen):
    seen = []
    fields = {**QUICK, "train.epochs": 1, "train.accumulate": 3, "train.freeze_batch_norm": frozen}
    train(photos, tmp_path / "run", fields, on_event=seen.append)
    notes = [event.text for event in seen if isinstance(event, Note)]
    said = "accumulate: batch-norm statistics are those of micro-batches of 6 images" in notes
    assert said != frozen


# ------------------------------------------------------------------ averaging

BEFORE = (
    "swa: averaging begins after 50% of the steps of 4 epochs; where patience or time_limit ends"
)


@pytest.mark.parametrize(
    ("fields", "lines"),
    [
        ({"train.swa": 0.5, "train.keep": "last"}, []),
        ({"train.swa": 0.5, "train.keep": "last", "train.patience": 4}, [BEFORE]),
        (
            {"train.swa": 0.5, "train.time_limit": 1e-6},
            [
                BEFORE,
                "averaging begins after step 3 of 7 and the training ended after step 1: raise",
            ],
        ),
        (  # no epoch is better than the first by a metric that grows
            {"train.swa": 0.5, "train.monitor": "loss", "train.monitor_mode": "max"},
            [
                "after step 3 of 7 and the best epoch, 1, ended at step 2: --train.keep last keeps it"
            ],
        ),
    ],
)
def test_that_no_weights_were_averaged_is_said(photos, tmp_path, fields, lines):
    seen = []
    fields = {**QUICK, "train.epochs": 4, "train.lr": 1e-4, **fields}
    run = train(photos, tmp_path / "run", fields, on_event=seen.append)
    for kept in (seen, run.events):
        notes = [e.text for e in kept if isinstance(e, Note) and e.text.startswith("swa")]
        assert len(notes) == len(lines)
        assert all(line in note for line, note in zip(lines, notes, strict=True))


# ------------------------------------------------------------------ distillation


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"train.epochs": 1}, "there are too few epochs"),
        ({"train.batch_size": 512}, "a batch has as many"),
        ({}, None),
    ],
)
def test_that_the_hardest_images_are_all_is_said(photos, tmp_path, fields, why):
    settings = {**QUICK, "train.hardest": 0.5, "train.batch_size": 4, **fields}
    told = []
    train(photos, tmp_path / "run", settings, on_event=told.append)
    notes = [note.text for note in told if isinstance(note, Note) and "hardest" in note.text]
    said = f"hardest has no effect: all epochs have all images, as {why}"
    assert notes == [said] if why else notes[0].startswith("hardest: training loss")


def test_a_run_says_who_taught_it_and_resumes_with_no_other(photos, trained, tmp_path):
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
    other = train(photos, tmp_path / "other", {**QUICK, "train.epochs": 1})
    with pytest.raises(UsageError, match="teacher"):
        seewhy.train(resume=True, out=run.path, overrides={"train.teacher": str(other.model)})


def test_a_teacher_of_another_size_sees_the_images_resized(photos, trained, tmp_path):
    fields = {**QUICK, "data.size": 12, "train.epochs": 1, "train.teacher": str(trained)}
    seen = []
    run = train(photos, tmp_path / "run", fields, on_event=seen.append)
    assert run.finished
    notes = [event.text for event in seen if isinstance(event, Note)]
    assert any("sees the images resized to 16 pixels" in note for note in notes)


@pytest.mark.parametrize("teachers", ["{0}", "{0}+{0}/model.safetensors"])
def test_a_teacher_that_was_trained_on_held_out_images_is_named(
    photos, trained, tmp_path, teachers
):
    seen = []
    fields = {**QUICK, "train.teacher": teachers.format(trained), "data.split_seed": 5}
    with seewhy.training_events(
        photos, "regularized-cnn", out=tmp_path / "run", overrides=fields
    ) as events:
        seen += [next(events) for _ in range(9)]
    (line,) = (e.text for e in seen if isinstance(e, Note) and e.text.startswith("teacher"))
    held_out = r"\d of the 6 validation images and \d of the 3 test images"
    assert re.search(rf"trained on {held_out}, so that metrics on them are too good", line)


@pytest.mark.parametrize("option", ["train.distill_weight", "train.distill_temperature"])
def test_what_only_a_teacher_needs_is_refused_without_one(photos, tmp_path, option):
    with pytest.raises(UsageError, match="has no effect without teacher"):
        train(photos, tmp_path / "run", {**QUICK, option: 1})
    assert not (tmp_path / "run").exists()


def test_a_teacher_that_lacks_a_class_leaves_nothing_behind(photos, tmp_path):
    with pytest.raises(UsageError, match=r"train\.teacher=fast does not know 3 of the 3 classes"):
        train(photos, tmp_path / "run", {**QUICK, "train.teacher": "fast"})
    assert not (tmp_path / "run").exists()


def test_what_belongs_to_steps_is_noted_where_the_last_layer_alone_is_fitted(
    photos, trained, tmp_path
):
    taught = {"train.teacher": str(trained), "train.hardest": 0.5, "augment.mixup": 0.2}
    seen = []
    fields = {"train.seed": 1, "train.ema": None, **taught, "train.unfreeze": None}
    run = train(photos, tmp_path / "run", fields, init=trained, on_event=seen.append)
    notes = [event.text for event in seen if isinstance(event, Note)]
    unused = (
        "train.teacher, train.hardest, augment.mixup have no effect: the last layer is fitted, "
    )
    assert f"{unused}and no step is made" in notes
    assert not any(note.startswith(("teacher:", "hardest:", "batch_size")) for note in notes)
    assert f"kept: all but the last layer; known: 3 classes of {trained}" in notes
    bundle = load_bundle(run.model)
    assert bundle.parents == (load_bundle(trained / "model.safetensors").digest,)
    assert run.config["teacher"] is None


# ------------------------------------------------------------------ fine-tuning with classes or images added


def tuned(data, out, init, **more):
    seen = []
    fields = {**QUICK, "train.epochs": 1, "train.lr": 1e-6}
    run = train(data, out, fields, init=init, on_event=seen.append, **more)
    return run, [event.text for event in seen if isinstance(event, Note)]


def test_classes_added_and_dropped_are_said_and_their_rows_kept_by_name(trained, tmp_path):
    data = write_folder(tmp_path / "data", ("ape", "bee", "cow", "dog"), count=12, seed=7)
    run, notes = tuned(data, tmp_path / "run", trained)
    assert (
        f"kept: 2 classes of {trained}; new: 2 classes (ape, dog), whose last-layer rows start at random; "
        "dropped: 1 class that the data do not have (ant)"
    ) in notes
    before, after = (load_bundle(path) for path in (trained / "model.safetensors", run.model))
    old, new = (bundle.network.state_dict() for bundle in (before, after))
    last = [name for name, tensor in new.items() if tensor.shape[:1] == (4,)]
    assert len(last) == 2
    for name in last:
        torch.testing.assert_close(new[name][[1, 2]], old[name][[1, 2]], atol=2e-3, rtol=0)
        assert not torch.allclose(new[name][[0]], old[name][[0]], atol=2e-3)


def test_images_added_later_are_counted(photos, trained, tmp_path):
    data = shutil.copytree(photos, tmp_path / "data")
    _, notes = tuned(data, tmp_path / "same", trained)
    assert f"kept: 3 classes of {trained}" in notes
    train_images = Run(trained).split_sizes["train"]
    assert f"0 of {train_images} training images are new to {trained}" in notes
    for kind in ("ant", "bee", "cow"):
        for number in range(6):
            pixels = np.random.default_rng(number).integers(0, 255, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(data / kind / f"{kind}-more-{number}.png")
    _, notes = tuned(data, tmp_path / "more", trained)
    (line,) = (note for note in notes if "new to" in note)
    assert not line.startswith("0 of")


def test_validation_images_that_the_model_was_trained_on_are_counted(photos, trained, tmp_path):
    seen = []
    fields = {**QUICK, "train.epochs": 1, "data.split_seed": 5}
    train(photos, tmp_path / "run", fields, init=trained, on_event=seen.append)
    (line,) = (e.text for e in seen if isinstance(e, Note) and "new to" in e.text)
    assert re.search(
        r"trained on \d of the 6 validation images and \d of the 3 test images, so", line
    )


def test_a_network_of_ones_own_is_not_tuned_to_other_classes(photos, tmp_path):
    run = train(photos, tmp_path / "own", QUICK, model=TinyNet())
    data = write_folder(tmp_path / "data", ("ape", "bee", "cow"), count=12)
    with pytest.raises(UsageError, match="not matched by name"):
        train(data, tmp_path / "run", QUICK, init=run.path, model=TinyNet())
    _, notes = tuned(photos, tmp_path / "again", run.path, model=TinyNet())
    assert f"kept: 3 classes of {run.path}" in notes


# ------------------------------------------------------------------ progressive resizing and curricula


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model.name": "simple_cnn"}, "images of 8 pixels, and simple_cnn does not take these"),
        ({"train.progressive": 0.95}, "has no effect on images of 16 pixels"),
        (
            {"train.progressive": None, "augment.crop_padding": 16},
            "crop_padding=16 does not fit images of 16 pixels cropped to 16: choose 1 to 15",
        ),
    ],
)
def test_small_images_that_do_not_fit_are_refused_in_a_line(photos, tmp_path, fields, message):
    fields = {**QUICK, "train.progressive": 0.5, **fields}
    with pytest.raises(UsageError, match=message):
        train(photos, tmp_path / "run", fields)
    assert not (tmp_path / "run").exists()


def test_a_curriculum_keeps_its_scores_in_the_run(photos, trained, tmp_path):
    run = train(photos, tmp_path / "run", options("curriculum", trained))
    with open(run.path / "difficulty.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == run.split_sizes["train"]
    assert run.config["difficulty"] == [load_bundle(trained / "model.safetensors").digest]
    model = seewhy.load(trained)
    images = model.splits(photos).train
    p = model.predict_set(images).probabilities()
    own = p[np.arange(len(images)), images.labels]
    np.testing.assert_allclose([float(row["loss"]) for row in rows], -np.log(own), atol=1e-4)
    assert [row["id"] for row in rows] == images.ids.tolist()
    # What is too hard to be right may be left out: two columns of the table are a review.
    hardest = sorted(rows, key=lambda row: float(row["loss"]))[-3:]
    lines = ["hash,right_label", *(f"{row['hash']},none of these" for row in hardest)]
    (tmp_path / "drop.csv").write_text("\n".join(lines))
    seewhy.apply_review(photos, tmp_path / "drop.csv", tmp_path / "without")
    kept = seewhy.load_data(tmp_path / "without", DataConfig(size=16)).train
    assert len(kept) == len(rows) - 3
    assert not {row["hash"].encode() for row in hardest} & set(kept.hashes.tolist())


def test_scores_that_were_sorted_are_refused(photos, trained, tmp_path):
    fields = options("curriculum", trained)
    run = stopped(photos, tmp_path / "run", fields, steps=1)
    file = run.path / "difficulty.csv"
    header, *rows = file.read_text().splitlines()
    file.write_text("\n".join([header, *reversed(rows)]))
    with pytest.raises(
        DataError, match=r"difficulty.csv has other images, or another order.*remove"
    ):
        seewhy.train(resume=True, out=run.path)
    file.unlink()
    whole = train(photos, tmp_path / "whole", fields)
    assert same_weights(seewhy.train(resume=True, out=run.path).model, whole.model)


@pytest.mark.parametrize("option", ["train.curriculum", "train.difficulty"])
def test_a_curriculum_needs_both_of_its_options(photos, tmp_path, option):
    value = {"train.curriculum": 0.5, "train.difficulty": "fast"}[option]
    with pytest.raises(UsageError, match="curriculum and difficulty need each other"):
        train(photos, tmp_path / "run", {**QUICK, option: value})


# ------------------------------------------------------------------ memory of a GPU


def test_without_a_gpu_a_limit_of_its_memory_is_refused_and_nothing_is_made(photos, tmp_path):
    fields = {**QUICK, "train.device": "cpu", "train.device_memory": 0.8}
    with pytest.raises(UsageError, match=r"train\.device_memory has no effect on cpu"):
        train(photos, tmp_path / "run", fields)
    with pytest.raises(UsageError, match="not available"):
        train(photos, tmp_path / "run", {**QUICK, "train.device": "mps"})
    assert not (tmp_path / "run").exists()


def test_each_epoch_has_its_peak_memory_where_there_is_a_gpu(photos, tmp_path, monkeypatch, capsys):
    peaks = iter([2_500_000_000, 1_250_000_000])
    monkeypatch.setattr("seewhy.training.loop.take_peak_memory", lambda device: next(peaks))
    terminal = Terminal()
    run = train(photos, tmp_path / "run", QUICK, on_event=terminal)
    assert [row["peak_memory"] for row in run.history] == [2.5e9, 1.25e9]
    stored = [event.peak_memory for event in run.events if isinstance(event, Epoch)]
    assert stored == [2_500_000_000, 1_250_000_000]
    shown = capsys.readouterr().err
    assert "2.5 GB" in shown and "1.2 GB" in shown


def test_a_history_begun_on_a_gpu_and_ended_elsewhere_is_written(tmp_path):
    Run(tmp_path).write_history([{"epoch": 1, "peak_memory": 5}, {"epoch": 2}])
    assert Run(tmp_path).history == [{"epoch": 1}, {"epoch": 2}]
