"""Thousands of bad images: none crashes, hangs, or gets anything but `ImageError` out (R1, R4)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data import corpus
from PIL import Image

from seewhy.data.images import decode as module
from seewhy.data.images.decode import decode

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from /proc"
)
OUTCOMES = {
    "ok",
    "undecodable",
    "unsupported_format",
    "unsupported_depth",
    "unsupported_layout",
    "too_many_pixels",
    "too_large",
}


def run(*arguments: object) -> dict[str, object]:
    """Runs the corpus in a process of its own, warnings as errors; it must end well."""
    command = [sys.executable, "-W", "error", corpus.__file__, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_a_thousand_mutants_are_read_or_refused():
    found = run(0, 1000)
    assert found["files"] == 1000 and set(found["outcomes"]) <= OUTCOMES
    assert min(found["outcomes"]["ok"], found["outcomes"]["undecodable"]) > 100  # both are met
    assert found["peak_mb"] < 300


@pytest.fixture
def pillow_images() -> Path:
    folder = os.environ.get("SEEWHY_PILLOW_IMAGES")
    if not folder:
        pytest.skip("set SEEWHY_PILLOW_IMAGES to Tests/images of Pillow's source package")
    return Path(folder)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_ten_thousand_mutants_are_read_or_refused(seed):
    found = run(seed, 10_000)
    assert found["files"] == 10_000 and set(found["outcomes"]) <= OUTCOMES
    assert found["peak_mb"] < 300 and found["slowest_seconds"] < 2


@pytest.mark.long
def test_pillows_own_images_and_their_mutants_are_read_or_refused(pillow_images):
    found = run(0, 10_000, pillow_images)
    assert found["files"] > 11_000 and set(found["outcomes"]) <= OUTCOMES
    assert found["peak_mb"] < 300 and found["slowest_seconds"] < 2


@pytest.mark.long
def test_pillows_sample_of_inks_has_its_golden_colours(pillow_images):
    path = pillow_images / "pil_sample_cmyk.jpg"
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(np.asarray(decode(path.read_bytes())) - expected).max() <= 2


def test_bombs_are_refused_and_cost_nothing(tmp_path):
    for name, data in corpus.bombs().items():
        (tmp_path / name).write_bytes(data)
    found = run("bombs", tmp_path)
    outcomes = {name: outcome for name, (outcome, _) in found.items()}
    assert all(outcomes.pop(name) == "undecodable" for name in ("text", "profile"))
    several = ("gif of 5,000 frames", "tiff of 100,000 directories")
    assert all(outcomes.pop(name) == "ok" for name in several)
    assert set(outcomes.values()) == {"too_many_pixels"} and len(outcomes) == 7
    assert max(growth for _, growth in found.values()) < 100


def test_a_mistake_that_gets_through_is_kept_as_a_file(tmp_path, monkeypatch):
    """The harness itself: without the closed list of faults it must end with the fault."""
    monkeypatch.setattr(corpus, "ATTACKS", tmp_path)
    cut = corpus.seeds()[1][:100]
    assert corpus.attempt(cut)[0] == "undecodable"
    monkeypatch.setattr(module, "FAULTS", ())
    with pytest.raises((OSError, SyntaxError)):
        corpus.attempt(cut)
    assert (tmp_path / "picture-that-got-through").read_bytes() == cut
