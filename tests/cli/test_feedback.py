"""`seewhy feedback`."""

import io
import json

import pytest
from helpers import call
from PIL import Image

import seewhy
from seewhy.registry.records import KeptImage, ServedAnswer, now


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A registry with the answers a and b, and their images."""
    path = tmp_path / "registry.db"
    monkeypatch.setenv("SEEWHY_REGISTRY", str(path))
    with seewhy.open_feedback(make=True) as feedback:
        for key in ("a", "b"):
            served = ServedAnswer(key, 0, "photos", "d", now(), "ant", "ant", 0.9, ("ant", "bee"))
            feedback.record([served], [KeptImage(key, 0, b"file")])
    return path


def test_a_request_is_forgotten(place):
    assert call("feedback", "forget", "a").out == "forgotten: a, with 1 image\n"
    assert json.loads(call("feedback", "forget", "b", "--json").out)["images"] == 1
    assert "no answer to request 'a'" in call("feedback", "forget", "a", code=2).err
    with seewhy.open_feedback() as feedback:
        assert feedback.image("a", 0) is None


@pytest.mark.parametrize("line", ["feedback forget", "feedback export --out new", "ab status"])
def test_what_no_registry_can_have_is_not_looked_for(place, line):
    assert "'a\\udcff' is not UTF-8" in call(*line.split(), "a\udcff", code=2).err


def test_labels_become_a_version_of_the_data(place, photos, tmp_path):
    with seewhy.open_feedback() as feedback:
        feedback.forget("b")
        served = ServedAnswer("c", 0, "photos", "d", now(), "ant", "ant", 0.9, ("ant",), True)
        image = io.BytesIO()
        Image.new("RGB", (20, 20), "red").save(image, "PNG")
        feedback.record([served], [KeptImage("c", 0, image.getvalue())])
        feedback.label("c", "bee")
    out, version = tmp_path / "served", tmp_path / "v2"
    text = call("feedback", "export", "photos", "--out", out).out
    assert "1 label, 1 image" in text and "drawn at random: 1, of which 0 were" in text
    assert f"seewhy data apply-review DATA {out} --out NEW" in text
    text = call("data", "apply-review", photos, out, "--out", version).out
    assert "1 added, 0 none" in text and f"seewhy train --data {version}" in text
    assert "already exists" in call("feedback", "export", "photos", "--out", out, code=2).err
