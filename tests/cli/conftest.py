"""What the tests of the command line share."""

import shutil

import pytest


@pytest.fixture
def run(trained, tmp_path):
    """A copy of `trained`, to be written to."""
    return shutil.copytree(trained, tmp_path / "copy" / "run")
