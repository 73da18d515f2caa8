"""What the tests of the command line share: a folder of images and a trained run."""

import shutil

import pytest
from helpers import QUICK, write_folder

import seewhy


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Twelve images of each of three classes, to be read only."""
    return write_folder(tmp_path_factory.mktemp("photos") / "photos", count=12)


@pytest.fixture(scope="session")
def trained(photos, tmp_path_factory):
    """The directory of a run on `photos`, to be read only."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return seewhy.train(photos, "regularized-cnn", out=out, overrides=QUICK).path


@pytest.fixture
def run(trained, tmp_path):
    """A copy of `trained`, to be written to."""
    return shutil.copytree(trained, tmp_path / "copy" / "run")
