"""What the tests of experiments share: a small folder of images that is not quite easy."""

import numpy as np
import pytest
from PIL import Image
from registry.conftest import postgres

from seewhy.workflows import train as module

__all__ = ["postgres"]


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Three classes of 30 images, ten photographers of nine each, whose colour hints at the class."""
    root, rng = tmp_path_factory.mktemp("photos") / "photos", np.random.default_rng(0)
    for label, name in enumerate(("ant", "bee", "cow")):
        (root / name).mkdir(parents=True)
        for number in range(30):
            pixels = rng.integers(0, 100, (16, 16, 3)) + rng.integers(0, 60, 3)
            pixels[..., label] += 40
            path = root / name / f"p{number % 10}-{number:03}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return root


@pytest.fixture
def no_training(monkeypatch):
    """Fails the test as soon as a step would be trained."""

    def trained(*arguments, **options):
        raise AssertionError("something was trained again")

    monkeypatch.setattr(module, "training_loop", trained)


@pytest.fixture(autouse=True, scope="module")
def sealed():
    """Fails every test in which the test split is opened."""

    def opened(self):
        raise AssertionError("the test split was opened")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seewhy.data.split.SealedSet.unseal", opened)
        yield
