"""What the images of a source decide about the input rule, and that it is decided once."""

import numpy as np
import pytest
from data.pictures import class_folders, encoded, noise, put

from seewhy.data import survey as survey_module
from seewhy.data.sources import find
from seewhy.data.stamps import content_of
from seewhy.data.survey import Survey, depth_of, survey_of


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_usual_side_is_the_median_and_kept(home, tmp_path, monkeypatch):
    for number, side in enumerate((10, 20, 21, 300, 300, 20, 20)):
        class_folders(tmp_path / "p", {f"{number}": 1}, side=side, start=number)
    (tmp_path / "p/0/bad.png").write_bytes(b"bad")
    source = find(tmp_path / "p")
    content = content_of(source)
    assert survey_of(source, content) == Survey(20, square=True, deep=False)
    monkeypatch.setattr(survey_module, "measure", lambda picture: 1 / 0)
    assert survey_of(source, content) == Survey(20, square=True, deep=False)
    known = home / "sets" / content.id / "survey.txt"
    whole = known.read_text()
    for damaged in ("junk", "", whole.replace("20 ", "21 ", 1), whole[:-5], "x " + whole):
        known.write_text(damaged)
        with pytest.raises(ZeroDivisionError):
            survey_of(source, content)


def test_shapes_and_depths_are_seen_on_headers(home, tmp_path):
    put(tmp_path / "p", "a/1.png", data=encoded(noise(30, 20)))
    put(tmp_path / "p", "b/2.png", data=encoded(np.full((9, 40), 300, np.uint16)))
    source = find(tmp_path / "p")
    found = survey_of(source, content_of(source))
    assert found == Survey(20, square=False, deep=True)
    assert survey_of(source, content_of(source)) == found


def test_a_depth_is_decided_once_for_the_same_training_images(home, tmp_path, monkeypatch):
    for number, level in enumerate((0, 900, 60_000)):
        ramp = (np.arange(400).reshape(20, 20) + level).astype(np.uint16)
        put(tmp_path / "p", f"a/{number}.png", data=encoded(ramp))
    put(tmp_path / "p", "b/8bits.png", data=encoded(noise(9, 9)))
    source = find(tmp_path / "p")
    content = content_of(source)
    assert depth_of(source, content, {"a/0.png", "a/1.png"}) == (0, 1_344)
    assert depth_of(source, content, {"b/8bits.png"}) is None
    monkeypatch.setattr(survey_module, "value_range", lambda image: 1 / 0)
    assert depth_of(source, content, {"a/1.png", "a/0.png"}) == (0, 1_344)
    assert depth_of(source, content, {"b/8bits.png"}) is None
    with pytest.raises(ZeroDivisionError):
        depth_of(source, content, {"a/2.png"})
