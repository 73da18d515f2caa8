"""What a Python user may get wrong is one sentence, and data in memory goes where a path does."""

import shutil
from unittest.mock import patch

import numpy as np
import pytest
from helpers import QUICK
from PIL import Image

import seewhy
from seewhy.data import sources
from seewhy.errors import UnwritableError, UsageError
from seewhy.run import Run


@pytest.fixture
def run_copy(trained, tmp_path):
    """A copy of `trained`, to be written to."""
    return shutil.copytree(trained, tmp_path / "copy" / "run")


@pytest.mark.parametrize("split", ["Test", "tset", ""])
def test_an_unknown_split_gives_no_other_ones_metrics(trained, photos, split):
    with pytest.raises(UsageError, match=r"no split .*train, val, test"):
        seewhy.evaluate(trained, photos, split)
    assert set(Run(trained).metrics) == {"val"}


@pytest.mark.parametrize("split", ["test", "Val"])
def test_images_of_test_are_not_explained(trained, photos, tmp_path, split):
    with pytest.raises(UsageError, match="choose train or val"):
        seewhy.explain(trained, data=photos, split=split, out=tmp_path / "why")


def test_a_wrong_option_is_named(trained, photos):
    with pytest.raises(UsageError, match=r"options: on_bad: .*got 'skp'"):
        seewhy.evaluate(trained, photos, options={"on_bad": "skp"})


def test_a_single_path_is_labelled(trained, photos, tmp_path):
    labelled = seewhy.label_images(trained, str(photos / "bee"), tmp_path / "out.csv")
    assert (labelled.images, labelled.bad) == (12, 0)


def test_data_in_memory_are_analysed_and_reported(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = (rng.integers(0, 60, (60, 16, 16, 3)) + 60 * labels[:, None, None, None]).astype(
        "uint8"
    )
    data = (images, labels)
    run = seewhy.train(data, "regularized-cnn", out=tmp_path / "run", overrides=QUICK)
    seewhy.analyse(run.path, data)
    assert not (run.path / "analysis" / "review.html").exists()  # it would correct files
    page = seewhy.report(run, data).read_text("utf-8")
    assert "in memory: 60 images" in page and 'id="images"' in page
    with pytest.raises(UsageError, match="give its path"):
        seewhy.find_label_issues(data, out=tmp_path / "labels")


def test_an_output_that_cannot_be_made_is_refused_before_the_work(trained, photos, tmp_path):
    (tmp_path / "file").write_text("")
    out = tmp_path / "file" / "out.csv"
    works = (
        lambda: seewhy.train(photos, "simple-cnn", out=out),
        lambda: seewhy.analyse(trained, photos, csv=out),
        lambda: seewhy.label_images(trained, photos, out),
        lambda: seewhy.report(trained, photos, out=out),
        lambda: seewhy.explain(trained, data=photos, out=out),
        lambda: seewhy.data_statistics(photos, out=out),
        lambda: seewhy.split_data(photos, out=out),
        lambda: seewhy.analyse(trained, photos, out=out),
        lambda: seewhy.robustness(trained, photos, out=out),
        lambda: seewhy.calibrate(trained, photos, out=tmp_path / "file" / "model.safetensors"),
        lambda: seewhy.calibrate(trained, photos, out=tmp_path / "m.safetensors", figures=out),
        lambda: seewhy.seeds(photos, "simple-cnn", 2, out=out),
        lambda: seewhy.find_label_issues(photos, "simple-cnn", out=out),
    )
    for work in works:
        with (
            patch.object(sources, "find", side_effect=AssertionError("read the data")),
            pytest.raises(UnwritableError, match="cannot write"),
        ):
            work()


def test_what_explain_does_not_take_is_said(trained, photos, tmp_path):
    arrays = np.zeros((2, 16, 16, 3), np.uint8)
    for images in (arrays, [arrays[0]], [Image.fromarray(arrays[0])]):
        with pytest.raises(UsageError, match="explain takes paths"):
            seewhy.explain(trained, images, out=tmp_path / "why")


def test_no_images_have_no_robustness(trained, photos):
    with pytest.raises(UsageError, match="0 images: expected 1 or more"):
        seewhy.robustness(trained, photos, n=0)


def test_a_copy_of_the_data_does_not_replace_the_names_in_a_run(run_copy, photos, tmp_path):
    before = Run(run_copy).predictions("val").read_bytes()
    for file in photos.rglob("*.png"):
        copy = tmp_path / "renamed" / file.parent.name / f"x-{file.name}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    notes = []
    seewhy.evaluate(run_copy, tmp_path / "renamed", on_event=notes.append)
    assert any("by other names" in getattr(note, "text", "") for note in notes)
    assert Run(run_copy).predictions("val").read_bytes() == before
    seewhy.report(run_copy, photos)


@pytest.mark.parametrize(("name", "other"), [("fit", "pad"), ("interpolation", "bilinear")])
def test_a_rule_without_effect_is_refused_when_fine_tuning(trained, photos, tmp_path, name, other):
    settings = {**QUICK, f"data.{name}": other}
    with pytest.raises(UsageError, match=rf"data.{name}={other} has no effect with --init"):
        seewhy.train(photos, "simple-cnn", init=trained, out=tmp_path / "run", overrides=settings)
