"""`seewhy drift`."""

import json

import numpy as np
import pytest
from helpers import call
from PIL import Image


@pytest.fixture
def reference(photos, tmp_path):
    """Other images than the model's, so that all of them are the reference."""
    folder = tmp_path / "reference"
    for file in photos.rglob("*.png"):
        target = folder / file.relative_to(photos)
        target.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.asarray(Image.open(file)).astype(int)
        Image.fromarray((pixels + 1).clip(0, 255).astype(np.uint8)).save(target)
    return folder


def test_the_same_images_are_no_drift_and_black_ones_are(
    trained, photos, reference, tmp_path, rendered
):
    same = ["drift", trained, "--reference", reference, "--window", photos]
    out = call(*same).out
    assert "no difference shown: 36 images, reference 36" in out and "at most" in out
    assert "takes a reference of 200, not 36" in out
    black = tmp_path / "black"
    black.mkdir()
    for number in range(20):
        Image.new("RGB", (16, 16)).save(black / f"{number}.png")
    (black / "broken.png").write_bytes(b"no image")
    arguments = ["drift", trained, "--reference", reference, "--window", black, "--json"]
    done = call(*arguments, "--out", tmp_path / "out", code=1)
    result = json.loads(done.out)
    assert result["window"] == 20 and result["errors"] == 1
    assert "broken.png" in done.err
    assert min(test["corrected"] for test in result["tests"]) < 0.01
    assert json.loads((tmp_path / "out" / "drift.json").read_text())["ids"] == result["ids"]
    assert (tmp_path / "out" / "drift.png").stat().st_size > 10_000
    assert "the window differs" in call(*arguments[:-1], code=1).out


def test_a_window_of_three_images_is_refused(trained, photos, reference):
    window = [str(file) for file in sorted(photos.rglob("*.png"))[:3]]
    arguments = [part for file in window for part in ("--window", file)]
    error = call("drift", trained, "--reference", reference, *arguments, code=2).err
    assert "3 images says nothing" in error
