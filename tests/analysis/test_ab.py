import numpy as np
import pytest

from seewhy.analysis.ab import ENOUGH, ABTest, shadow_test, split_test

NONE = np.zeros((0, 2), bool)


def shadowed(outcomes, images=None, order=None, audited=NONE, **options) -> ABTest:
    """A test of disagreements with these outcomes, labelled in this order."""
    outcomes = np.asarray(outcomes, float)
    order = np.flatnonzero(~np.isnan(outcomes)) if order is None else np.asarray(order)
    disagreements = len(outcomes)
    return shadow_test(
        images or 10 * max(disagreements, 1), disagreements, outcomes, order, audited, **options
    )


def test_a_challenger_that_wins_four_of_five_is_better() -> None:
    test = shadowed([1, 1, 1, 1, -1] * 8, images=400)
    assert test.verdict == "challenger" and test.evidence > ENOUGH
    assert test.pairs == (8, 32) and test.labels == 40
    assert test.difference.value == pytest.approx(0.06, abs=0.005)
    assert 0 < test.difference.low < test.difference.value < test.difference.high < 0.2
    assert test.labels_needed is None and test.images_needed is None


def test_the_other_way_round_the_champion_is() -> None:
    ahead, behind = shadowed([1, 1, 1, 1, -1] * 8), shadowed([-1, -1, -1, -1, 1] * 8)
    assert behind.verdict == "champion" and behind.evidence == pytest.approx(ahead.evidence)
    assert behind.difference.low == pytest.approx(-ahead.difference.high)


def test_labels_of_images_that_both_get_wrong_tell_nothing() -> None:
    plain, more = shadowed([1, -1, 1] * 4), shadowed([1, 0, -1, 0, 1] * 4)
    assert more.evidence == pytest.approx(plain.evidence) and more.pairs == plain.pairs


def test_a_label_that_is_missing_counts_against_the_model_that_leads() -> None:
    wins = [1] * 20
    assert shadowed(wins).verdict == "challenger"
    missing = [np.nan] * 20
    held_back = shadowed([one for pair in zip(wins, missing, strict=True) for one in pair])
    assert held_back.verdict == "open" and held_back.evidence == 1
    assert held_back.difference.low < 0


def test_what_came_after_the_labels_does_not_count_against_them() -> None:
    assert shadowed([1] * 20 + [np.nan] * 500, images=5200).verdict == "challenger"


def test_complaints_alone_decide_nothing() -> None:
    # Clients label what the champion got wrong, a fifth of it; the models are equally good.
    rng = np.random.default_rng(0)
    outcomes = rng.choice([1.0, -1.0], 2000)
    outcomes[(outcomes < 0) | (rng.random(2000) > 0.2)] = np.nan
    test = shadowed(outcomes)
    assert test.verdict == "open" and test.pairs[0] == 0 and test.pairs[1] > 150


def test_models_that_hardly_disagree_are_equal_without_labels() -> None:
    assert shadowed([np.nan] * 4, images=3000).verdict == "equal"
    assert shadowed([], images=3).verdict == "open"
    assert shadowed([np.nan] * 4, images=3000, margin=0.001).verdict == "open"


def test_it_says_how_many_labels_and_images_decide() -> None:
    test = shadowed([1, 1, -1] * 5, images=300)
    assert test.verdict == "open"
    assert 20 < test.labels_needed < 200
    assert test.images_needed == pytest.approx(20 * test.labels_needed, rel=0.1)
    waiting = shadowed([1, 1, -1] * 5 + [np.nan] * 300, images=6300)
    assert waiting.labels_needed == pytest.approx(test.labels_needed, abs=2)
    assert waiting.images_needed == 0
    assert shadowed([1, -1] * 5).labels_needed is None


def test_the_course_follows_the_order_of_the_labels() -> None:
    test = shadowed([1] * 10, images=100, order=range(9, -1, -1))
    assert [look.labels for look in test.course] == list(range(1, 11))
    assert test.course[0].evidence == 1  # the last one alone: those before it have no label
    assert test.course[-1].evidence == test.evidence > ENOUGH
    assert len(shadowed([1, -1] * 500).course) == 60


def test_the_audit_share_gives_the_accuracies() -> None:
    audited = np.array([(True, True)] * 18 + [(True, False), (False, False)])
    champion, challenger = shadowed([1], audited=audited).accuracies
    assert champion.value == 0.95 and challenger.value == 0.9
    assert champion.low < 0.95 < champion.high
    assert shadowed([1]).accuracies is None


def split(champion: float, challenger: float, units: int = 1500, seed: int = 0) -> ABTest:
    rng = np.random.default_rng(seed)
    shown = rng.random(units) < 0.5
    right = rng.random(units) < np.where(shown, challenger, champion)
    return split_test(np.arange(units), shown, right, 2 * units)


def test_split_traffic_tells_who_is_right_more_often() -> None:
    test = split(0.7, 0.85)
    assert test.verdict == "challenger" and test.difference.low > 0
    assert test.difference.value == pytest.approx(0.15, abs=0.04)
    assert split(0.85, 0.7).verdict == "champion"
    assert test.evidence is None and test.course[-1].difference == test.difference


def test_split_traffic_says_how_much_more_it_takes() -> None:
    test = split(0.80, 0.83)
    assert test.verdict == "open" and test.labels_needed > 500
    assert test.images_needed == pytest.approx(2 * test.labels_needed, abs=2)


def test_a_split_with_few_units_says_nothing() -> None:
    test = split(0.1, 0.9, units=150)
    assert test.verdict == "open" and test.difference.reason and test.labels_needed is None
    assert split(0.5, 0.5, units=0).verdict == "open"
