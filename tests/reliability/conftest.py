"""What these proofs share: a seed that a failure prints, and a small folder of pictures."""

import os
import random

import pytest
from helpers import write_folder


@pytest.fixture
def rng():
    """Random numbers of one seed, printed with a failure; SEEWHY_TEST_SEED sets another."""
    seed = int(os.environ.get("SEEWHY_TEST_SEED", "0"))
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of the test's own, so that pictures are read anew."""
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
