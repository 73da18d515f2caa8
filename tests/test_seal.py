"""The sealed test split: every verb but `evaluate --split test` runs on test images that cannot be read."""

from dataclasses import replace

import pytest
from helpers import QUICK, call

from seewhy.data import load_data
from seewhy.data.imageset import Rows
from seewhy.data.split import SealedSet

FLAGS = [f"--{name}={value}" for name, value in (QUICK | {"train.epochs": 1}).items()]
SEARCH = "extends: regularized-cnn\nsearch:\n  train.lr: {low: 0.001, high: 0.1, log: true}\n"
RECIPE = ["--recipe", "regularized-cnn", *FLAGS]


class Unreadable(Rows):
    """Rows whose pixels fail the test that reads them."""

    def __getitem__(self, key):
        raise AssertionError("a test image was read")

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("the test images were read")


@pytest.fixture(autouse=True, scope="module")
def unreadable():
    """Puts unreadable images into every sealed set."""
    seal = SealedSet.__init__

    def sealed(self, images):
        seal(self, replace(images, images=Unreadable(images.images.base, images.images.rows)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SealedSet, "__init__", sealed)
        yield


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    call("train", "--data", photos, "--out", out, *RECIPE)
    return out


@pytest.fixture(scope="module")
def calibrated(photos, run, tmp_path_factory):
    out = tmp_path_factory.mktemp("calibrated") / "model.safetensors"
    call("calibrate", run, "--data", photos, "--coverage=0.8", "--out", out)
    return out


def test_the_test_images_cannot_be_read_here(run, photos):
    assert len(load_data(photos).test)
    with pytest.raises(AssertionError, match="was read"):
        call("evaluate", run, "--data", photos, "--split", "test")


def test_training_and_its_report_read_no_test_image(run):
    assert (run / "report.html").is_file() and (run / "splits.csv").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "{run}", "--full"],
        ["compare", "{run}", "{calibrated}"],
        ["explain", "{run}", "--n=1", "--features", "--no-check", "--out={out}/maps"],
        ["robustness", "{run}", "--n=1"],
        ["tune", "--recipe={out}/search.yaml", *FLAGS, "--trials=1", "--out={out}/study"],
        ["labels", *RECIPE, "--folds=2", "--out={out}/folds"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_other_verb_reads_one(run, calibrated, photos, tmp_path, arguments):
    (tmp_path / "search.yaml").write_text(SEARCH)
    places = {"run": run, "calibrated": calibrated, "out": tmp_path}
    filled = [argument.format(**places) for argument in arguments]
    if filled[0] == "labels":
        call("data", "labels", photos, *filled[1:])
    else:
        call(*filled, "--data", photos)
