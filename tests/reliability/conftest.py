"""What these proofs share: a seed that a failure prints, and a small folder of images."""

import os
import random

import pytest
from helpers import write_folder

from reliability import processes
from reliability.trainings import train
from seewhy.run import Run


@pytest.fixture(scope="session", autouse=True)
def server():
    processes.begin()


@pytest.fixture
def rng():
    """Random numbers of one seed, printed with a failure; SEEWHY_TEST_SEED sets another."""
    seed = int(os.environ.get("SEEWHY_TEST_SEED", "0"))
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="session")
def whole(photos, tmp_path_factory):
    """A run that nothing interrupted."""
    home = tmp_path_factory.mktemp("whole")
    assert processes.run(train, photos, home / "run", home / "cache") == 0
    return Run(home / "run")
