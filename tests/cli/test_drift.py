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
    assert "<title>Do the new images differ?" in (tmp_path / "out" / "drift.html").read_text()
    assert "the window differs" in call(*arguments[:-1], code=1).out


def test_a_window_of_three_images_is_refused(trained, photos, reference):
    window = [str(file) for file in sorted(photos.rglob("*.png"))[:3]]
    arguments = [part for file in window for part in ("--window", file)]
    error = call("drift", trained, "--reference", reference, *arguments, code=2).err
    assert "3 images says nothing" in error


def test_a_reference_that_was_kept_stands_for_its_data(trained, photos, reference, tmp_path):
    kept = tmp_path / "photos.drift"
    call("drift", trained, "--reference", reference, "--save", kept)
    again = call("drift", trained, "--reference", photos, "--save", kept, code=2).err
    assert f"{kept} already exists: choose another name" in again  # of --save, not of --out
    window = ["--window", photos, "--json"]
    by_file, by_data = (
        json.loads(call("drift", trained, "--reference", one, *window).out)
        for one in (kept, reference)
    )
    assert by_file == by_data and by_file["reference"] == 36


def test_the_reference_of_another_model_is_refused_and_so_is_a_damaged_one(
    trained, exported, photos, reference, tmp_path
):
    kept = tmp_path / "photos.drift"
    call("drift", trained, "--reference", reference, "--save", kept)
    compare = ["--reference", kept, "--window", photos]
    assert "no reference of this model" in call("drift", exported, *compare, code=2).err
    kept.write_bytes(kept.read_bytes()[:-5])
    error = call("drift", trained, *compare, code=2).err
    assert "no reference of drift" in error and "--save" in error


def test_what_to_do_with_a_reference_must_be_said(trained, photos, tmp_path):
    arguments = ["drift", trained, "--reference", photos]
    assert "either --window" in call(*arguments, code=2).err
    assert "name it" in call(*arguments, "--save", tmp_path / "photos", code=2).err
    out = ["--save", tmp_path / "a.drift", "--out", tmp_path / "out"]
    assert "leave it out" in call(*arguments, *out, code=2).err


def test_a_server_refuses_a_window_of_three_images(exported, tmp_path):
    error = call("serve", exported, "--drift", tmp_path, "--drift-window", 3, code=2).err
    assert "a window of 3 images says nothing: expected 10" in error
