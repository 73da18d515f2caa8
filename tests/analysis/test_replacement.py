"""Whether a candidate may replace the champion: by accuracy, by class, and under corruptions."""

import numpy as np
import pytest

from seewhy.analysis.replacement import GateLimits, Trial, judge
from seewhy.evaluation.stats.significance import mcnemar_interval

CLASSES = ("ant", "bee", "cow", "dog")


def trial(n, won=0, lost=0, *, of=None, corrupted=(0, 0)):
    """n images, 80% right by both but for those that one alone has right; `of` is the class of these."""
    labels = np.arange(n) % len(CLASSES)
    champion = np.arange(n) >= n // 5
    candidate = champion.copy()
    here = np.ones(n, bool) if of is None else labels == CLASSES.index(of)
    candidate[np.flatnonzero(~champion & here)[:won]] = True
    candidate[np.flatnonzero(champion & here)[:lost]] = False
    worse = champion.copy()
    worse[np.flatnonzero(~champion)[: corrupted[0]]] = True
    worse[np.flatnonzero(champion)[: corrupted[1]]] = False
    return Trial(CLASSES, labels, champion, candidate, {"fog": (champion, worse)})


def test_a_candidate_that_is_shown_to_be_no_worse_passes():
    gate = judge(trial(2000), GateLimits(), "val")
    assert (gate.passed, gate.verdict, gate.images) == (True, "not worse", 2000)
    assert gate.gain == mcnemar_interval(0, 0, 2000)
    assert gate.reasons[0].startswith("on the same 2,000 images of val, the candidate has 80.0%")
    better = judge(trial(2000, won=100, lost=20), GateLimits(), "val")
    assert (better.passed, better.verdict) == (True, "better")


def test_a_margin_that_too_few_images_cannot_show_is_unproven():
    few = judge(trial(60), GateLimits(robust_margin=10), "val")
    assert (few.passed, few.verdict) == (False, "unproven")
    assert "may be 4.5 points worse, and 1 are allowed" in few.reasons[-1]
    assert "images would tell" in few.reasons[-1] and "--margin" in few.reasons[-1]
    assert judge(trial(60), GateLimits(margin=5, robust_margin=10), "val").passed


@pytest.mark.parametrize("changed", [{"lost": 60}, {"won": 20, "lost": 50}, {"lost": 30, "won": 8}])
def test_a_candidate_that_is_shown_to_be_worse_never_passes_within_no_margin(changed):
    gate = judge(trial(2000, **changed), GateLimits(margin=50), "val")
    assert gate.gain.high < 0 and (gate.passed, gate.verdict) == (False, "worse")


def test_one_class_that_is_worse_stops_a_candidate_that_is_better_in_all():
    several = trial(2000, won=100, of="ant")
    several.candidate[np.flatnonzero((several.labels == 1) & several.champion)[:60]] = False
    gate = judge(several, GateLimits(), "val")
    assert gate.gain.low > 0 and not gate.passed
    assert any(one.startswith("class bee: ") and "may be lost" in one for one in gate.reasons)
    assert gate.classes[0].name == "bee" and gate.classes[0].p < 0.001
    assert judge(several, GateLimits(class_limit=20), "val").passed


def test_a_class_of_few_images_is_named_and_does_not_decide():
    labels = np.repeat([0, 1, 2], [500, 500, 20])
    right = np.ones(1020, bool)
    candidate = right.copy()
    candidate[-2:] = False
    gate = judge(
        Trial(CLASSES, labels, right, candidate, {"fog": (right, right)}), GateLimits(), "val"
    )
    assert gate.passed
    assert any(one.startswith("class cow") and "may be chance" in one for one in gate.reasons)
    assert any("1 class: dog" in one for one in gate.reasons)


def test_a_candidate_that_is_less_robust_is_stopped():
    gate = judge(trial(1000, corrupted=(0, 40)), GateLimits(), "val")
    assert gate.gain.value == 0 and (gate.passed, gate.verdict) == (False, "worse")
    assert gate.reasons[-1].startswith("the candidate is worse on corrupted images: -4.0 points")
    assert gate.corruptions["fog"] == (0.8, 0.76)
    unproven = judge(trial(1000), GateLimits(robust_margin=0.1), "val")
    assert unproven.verdict == "unproven" and "--robust-margin" in unproven.reasons[-1]


def test_without_images_nothing_is_proven():
    nothing = np.zeros(0, bool)
    gate = judge(Trial(CLASSES, np.zeros(0, np.int64), nothing, nothing, {}), GateLimits(), "val")
    assert (gate.passed, gate.verdict) == (False, "unproven")


@pytest.mark.parametrize("points", [0.0, 1.0])
def test_of_candidates_that_are_worse_by_the_margin_few_pass(points):
    """The interval is of 95%, so at most 2.5% of them may; of those that are equally good, most do."""
    rng, passed = np.random.default_rng(0), 0
    for _ in range(300):
        n = 3000
        each = rng.choice(3, n, p=[0.02, 0.02 + points / 100, 0.96 - points / 100])
        champion = (each == 1) | ((each == 2) & (rng.random(n) < 0.9))
        candidate = (each == 0) | ((each == 2) & champion)
        same = {"fog": (champion, champion)}
        passed += judge(
            Trial(CLASSES, np.arange(n) % 4, champion, candidate, same), GateLimits(), "val"
        ).passed
    assert passed <= 0.025 * 300 + 4 if points else passed > 200
