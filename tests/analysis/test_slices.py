import numpy as np
import pytest
from scipy.stats import fisher_exact

from seewhy.analysis.slices import find_slices
from seewhy.evaluation.predictions import Predictions

CLASSES = ("ant", "bee", "cow", "dog")


def answers(wrong: np.ndarray, labels: np.ndarray) -> Predictions:
    rng = np.random.default_rng(7)
    given = np.where(wrong, (labels + 1) % 4, labels)
    logits = 3 * np.eye(4)[given] + rng.normal(0, 0.1, (len(labels), 4))
    return Predictions(
        logits.astype(np.float32), labels, CLASSES, np.arange(len(labels)).astype(str)
    )


def drawn(n: int, seed: int) -> tuple[np.ndarray, dict[str, np.ndarray], np.random.Generator]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    return labels, {"brightness": rng.random(n), "sharpness": rng.normal(size=n)}, rng


def test_a_planted_weakness_is_found_and_named_alone() -> None:
    labels, attributes, rng = drawn(3_000, 0)
    dark = attributes["brightness"] < np.quantile(attributes["brightness"], 0.2)
    found = find_slices(answers(rng.random(3_000) < np.where(dark, 0.3, 0.1), labels), attributes)
    assert [s.name[:30] for s in found.weak] == ["lowest fifth of brightness (be"]
    weak = found.weak[0]
    assert weak.n == 600 and weak.rate.low > weak.rest.high and weak.factors == ("brightness",)
    assert len(weak.examples) == 8 and dark[list(weak.examples)].all()


def test_a_weak_class_is_found_and_its_parts_are_not() -> None:
    labels, attributes, rng = drawn(3_000, 1)
    found = find_slices(
        answers(rng.random(3_000) < np.where(labels == 2, 0.35, 0.1), labels), attributes
    )
    assert [s.name for s in found.weak] == ["cow"]


def test_what_two_factors_share_is_found_where_it_is_worse_than_both() -> None:
    labels, attributes, rng = drawn(6_000, 2)
    blurred = attributes["sharpness"] < np.quantile(attributes["sharpness"], 0.2)
    chance = np.where((labels == 1) & blurred, 0.6, 0.1)
    found = find_slices(answers(rng.random(6_000) < chance, labels), attributes)
    pairs = [s.name for s in found.weak if len(s.factors) == 2]
    assert pairs[0].startswith("bee, lowest fifth of sharpness") and len(pairs) == 1


def test_where_mistakes_are_even_hardly_ever_an_alarm_is_raised() -> None:
    alarms = 0
    for seed in range(60):
        labels, attributes, rng = drawn(1_000, 100 + seed)
        alarms += bool(find_slices(answers(rng.random(1_000) < 0.15, labels), attributes).weak)
    assert alarms <= 7  # 5% of 60 are 3


def test_the_p_value_is_fisher_s_corrected_for_all_tests() -> None:
    labels, _, rng = drawn(400, 3)
    wrong = rng.random(400) < np.where(labels == 0, 0.4, 0.2)
    found = find_slices(answers(wrong, labels), {})
    first = next(s for s in found.slices if s.name == "ant")
    inside = labels == 0
    table = [
        [(wrong & inside).sum(), (~wrong & inside).sum()],
        [(wrong & ~inside).sum(), (~wrong & ~inside).sum()],
    ]
    assert found.tested == 4
    assert first.p == pytest.approx(4 * fisher_exact(table, alternative="greater").pvalue)
    assert (first.errors, first.n) == (table[0][0], inside.sum())
    assert first.rest.value == pytest.approx(table[1][0] / (~inside).sum())


def test_what_is_equal_or_unknown_cuts_nothing() -> None:
    labels, _, rng = drawn(400, 4)
    attributes = {
        "size": np.full(400, 32.0),
        "unknown": np.full(400, np.nan),
        "two values": (np.arange(400) % 2).astype(float),
    }
    found = find_slices(answers(rng.random(400) < 0.2, labels), attributes)
    factors = {factor for s in found.slices for factor in s.factors}
    assert factors == {"class", "two values"}
    assert {s.name for s in found.slices if s.factors == ("two values",)} == {
        "two values below 1", "two values from 1",
    }  # fmt: skip


def test_small_parts_and_images_without_label_are_left_alone() -> None:
    labels, attributes, rng = drawn(300, 5)
    labels[:20] = 3
    labels[20:] = np.minimum(labels[20:], 2)
    labels[-50:] = -1
    p = answers(rng.random(300) < 0.2, np.maximum(labels, 0))
    p = Predictions(p.logits, labels, CLASSES, p.ids)
    found = find_slices(p, attributes)
    assert found.n == 250 and all(s.n >= 30 for s in found.slices)
    assert not any(s.name.startswith("dog") for s in found.slices)
