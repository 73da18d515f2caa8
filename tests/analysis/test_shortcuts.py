"""A number that gives a class away is found, with its interval; nature gives little away."""

import numpy as np
import pytest
from data.inspect.sets import a_set
from data.pictures import scenes

from seewhy.analysis.shortcuts import numbers, shortcut_findings, shortcuts, telling
from seewhy.data.inspect.quality import measure_all


def found(images: np.ndarray, labels, sizes=None):
    whole = a_set(images, labels, sizes=sizes)
    return shortcuts(whole, numbers(whole, measure_all(whole)))


LABELS = np.arange(120) % 3


def test_images_that_have_nothing_in_common_give_nothing_away():
    assert found(scenes(120, 16), LABELS) == []


def test_brightness_that_gives_one_class_away_is_found():
    images = scenes(120, 16)
    images[LABELS == 1] = 90 + images[LABELS == 1] // 2
    images[LABELS != 1] = images[LABELS != 1] // 2
    first = found(images, LABELS)[0]
    assert first.label == 1 and first.share > 0.9 and first.false < 0.05 and first.low > 0.7
    whole = a_set(images, LABELS)
    (finding,) = shortcut_findings(shortcuts(whole, numbers(whole, measure_all(whole))), "abc")
    assert (finding.kind, finding.severity) == ("shortcut", "warning")
    assert "alone finds" in finding.examples[0].detail and "of b" in finding.examples[0].detail


def test_one_colour_and_one_size_are_found_by_name():
    images = scenes(120, 16)
    images[LABELS == 2, :, :, 0] //= 3
    assert {one.number for one in found(images, LABELS) if one.label == 2} >= {"red"}
    sizes = np.where(LABELS[:, None] == 0, (640, 480), (500, 400))
    assert {one.number for one in found(scenes(120, 16), LABELS, sizes)} == {
        "width",
        "height",
        "width by height",
    }


def test_what_tells_a_little_is_no_shortcut_and_what_chance_tells_is_chance():
    rng = np.random.default_rng(0)
    images = scenes(600, 8)
    labels = rng.integers(0, 2, 600)
    whole = a_set(images, labels)
    value = {"some": labels + rng.normal(0, 1.5, 600), "none": rng.normal(size=600)}
    some, none = ([one for one in telling(whole, value) if one.number == n] for n in value)
    assert all(0.05 < one.share - one.false < 0.45 for one in some)
    assert all(one.low < 0 for one in none) and shortcuts(whole, value) == []


def test_the_interval_is_newcombes():
    labels = np.repeat([0, 1], 50)
    (one, _) = telling(a_set(scenes(100, 8), labels), {"x": labels * 1.0})
    assert (one.share, one.false) == (1, 0)
    wilson = 1.959964**2 / (50 + 1.959964**2)  # of 0 in 50
    assert one.low == pytest.approx(1 - np.hypot(wilson, wilson), abs=1e-4)


def test_few_images_prove_nothing():
    labels = np.repeat([0, 1], 9)
    assert telling(a_set(scenes(18, 8), labels), {"x": labels * 1.0}) == []
    labels = np.repeat([0, 1], 10)
    assert shortcuts(a_set(scenes(20, 8), labels), {"x": labels * 1.0})[0].low < 0.75


def test_a_number_that_never_changes_and_classes_that_are_alone_are_left_out():
    assert telling(a_set(scenes(40, 8), [0] * 40), {"x": np.arange(40.0)}) == []
    assert telling(a_set(scenes(40, 8), [0, 1] * 20), {"x": np.zeros(40)}) == []


def test_large_sets_are_sampled(monkeypatch):
    monkeypatch.setattr("seewhy.analysis.shortcuts.MOST", 60)
    labels = np.arange(400) % 2
    (one, _) = telling(a_set(scenes(400, 8), labels), {"x": labels * 1.0})
    assert 0.8 < one.low < 0.95  # as of some thirty a class


@pytest.mark.parametrize("seed", range(3))
def test_a_rare_class_of_a_large_set_is_still_looked_at(monkeypatch, seed):
    monkeypatch.setattr("seewhy.analysis.shortcuts.MOST", 60)
    labels = np.array([2] * 10 + [0, 1] * 1000)
    found = telling(a_set(scenes(2010, 8), labels), {"x": np.arange(2010.0)}, seed)
    assert [one.label for one in found] == [0, 1, 2] and found[2].share == 1
