"""What a Python user may get wrong is one sentence, and data in memory goes where a path does."""

import numpy as np
import pytest
from helpers import QUICK, write_folder

import seewhy
from seewhy.errors import UsageError


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("photos") / "photos", count=12)


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return seewhy.train(photos, "regularized-cnn", out=out, overrides=QUICK)


@pytest.mark.parametrize("split", ["Test", "tset", ""])
def test_an_unknown_split_gives_no_other_ones_metrics(run, photos, split):
    with pytest.raises(UsageError, match=r"no split .*train, val, test"):
        seewhy.evaluate(run.path, photos, split)
    assert set(run.metrics) == {"val"}


@pytest.mark.parametrize("split", ["test", "Val"])
def test_images_of_test_are_not_explained(run, photos, tmp_path, split):
    with pytest.raises(UsageError, match="choose train or val"):
        seewhy.explain(run.path, data=photos, split=split, out=tmp_path / "why")


def test_a_wrong_option_is_named(run, photos):
    with pytest.raises(UsageError, match=r"options: on_bad: .*got 'skp'"):
        seewhy.evaluate(run.path, photos, options={"on_bad": "skp"})


def test_a_single_path_is_labelled(run, photos, tmp_path):
    labelled = seewhy.label_images(run.path, str(photos / "bee"), tmp_path / "out.csv")
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
