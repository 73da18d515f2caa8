"""`seewhy feedback`."""

import json

import pytest
from helpers import call

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
