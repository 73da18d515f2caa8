import json
import subprocess
import sys
from dataclasses import replace
from math import isnan, log

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
    roc_auc_score,
    top_k_accuracy_score,
)

from seewhy.errors import DataError, UsageError
from seewhy.evaluation.metrics import (
    METRICS,
    by_name,
    metrics,
    reliability,
    score,
    top_k_accuracy,
    value_of,
)
from seewhy.evaluation.predictions import Predictions
from seewhy.files import to_json


def predictions(
    logits: object, labels: list[int] | np.ndarray | None, errors: dict | None = None
) -> Predictions:
    logits = np.asarray(logits, np.float32)
    n, k = logits.shape
    return Predictions(
        logits,
        None if labels is None else np.asarray(labels, np.int64),
        tuple("abcdefghijklmnop"[:k]),
        np.array([str(row) for row in range(n)]),
        errors=errors or {},
    )


def answers(predicted: list[int], labels: list[int], classes: int) -> Predictions:
    return predictions(np.eye(classes)[predicted] * 4, labels)


@pytest.fixture(scope="module")
def drawn() -> Predictions:
    """2,000 images of eight unequal classes, right about half of the time."""
    rng = np.random.default_rng(7)
    labels = rng.choice(8, 2_000, p=np.arange(1, 9) / 36)
    return predictions(rng.normal(size=(2_000, 8)) * 1.5 + np.eye(8)[labels] * 2, labels)


# true a a a a b b c, predicted a a b c b a c
SMALL = answers([0, 0, 1, 2, 1, 0, 2], [0, 0, 0, 0, 1, 1, 2], 3)


def test_figures_worked_out_by_hand() -> None:
    m = metrics(SMALL, "val")
    assert (m.split, m.n, m.classes) == ("val", 7, ("a", "b", "c"))
    assert m.confusion.tolist() == [[2, 1, 1], [1, 1, 0], [0, 0, 1]]
    assert m.accuracy.value == 4 / 7
    assert m.balanced_accuracy == pytest.approx((2 / 4 + 1 / 2 + 1) / 3)
    a, b, c = m.per_class.values()
    assert (a.precision, a.recall, a.support) == (pytest.approx(2 / 3), 0.5, 4)
    assert (b.precision, b.recall, b.support) == (0.5, 0.5, 2)
    assert (c.precision, c.recall, c.support) == (0.5, 1.0, 1)
    assert a.f1 == pytest.approx(4 / 7) and c.f1 == pytest.approx(2 / 3)
    assert m.macro.precision == pytest.approx((2 / 3 + 0.5 + 0.5) / 3)
    assert m.weighted.recall == pytest.approx(m.accuracy.value)
    assert m.weighted.f1 == pytest.approx((4 * 4 / 7 + 2 * 0.5 + 2 / 3) / 7)
    assert a.accuracy == 0.5 and round(a.intervals["recall"].low, 4) == 0.0676
    assert m.top5 is None


def test_agrees_with_scikit_learn_and_torch(drawn: Predictions) -> None:
    m = metrics(drawn, "val")
    labels, predicted, p = drawn.labels, drawn.predicted, drawn.probabilities()
    for average, found in (("macro", m.macro), ("weighted", m.weighted)):
        expected = precision_recall_fscore_support(labels, predicted, average=average)[:3]
        assert (found.precision, found.recall, found.f1) == pytest.approx(expected)
    assert m.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels, predicted))
    assert m.top5 == pytest.approx(top_k_accuracy_score(labels, p, k=5))
    assert m.auroc == pytest.approx(roc_auc_score(labels, p, multi_class="ovr", average="macro"))
    logits = torch.tensor(drawn.logits).double()
    nll = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
    assert m.nll == pytest.approx(nll.item())


def test_calibration_error_agrees_with_its_authors_loop(drawn: Predictions) -> None:
    """Guo et al. 2017, the loop of their published code."""
    confidence, correct = drawn.confidence(), drawn.predicted == drawn.labels
    expected = 0.0
    for low in np.linspace(0, 1, 16)[:-1]:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            expected += abs(confidence[inside].mean() - correct[inside].mean()) * inside.mean()
    assert metrics(drawn, "val").ece == pytest.approx(expected)


def test_calibration_error_of_two_bins_by_hand() -> None:
    confidence = np.array([0.9, 0.9, 0.5, 0.5])
    correct = np.array([True, False, True, True])
    assert reliability(confidence, correct).ece == pytest.approx((0.4 + 0.5) / 2)


def test_a_confidence_on_an_edge_falls_in_the_lower_bin() -> None:
    bins = reliability(np.array([1.0, 3 / 15, 0.0]), np.array([True, True, True]))
    assert np.flatnonzero(bins.counts).tolist() == [0, 2, 14]
    assert isnan(bins.accuracy[1]) and bins.confidence[2] == pytest.approx(0.2)


def test_a_binary_problem_has_the_area_of_its_one_curve() -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 300)
    p = predictions(rng.normal(size=(300, 2)) + np.eye(2)[labels], labels)
    assert metrics(p, "val").auroc == pytest.approx(roc_auc_score(labels, p.probabilities()[:, 1]))


def test_a_class_without_images_is_left_out_of_the_means() -> None:
    """As in scikit-learn's balanced accuracy; class b has no image, and is predicted once."""
    m = metrics(answers([0, 0, 1, 2], [0, 0, 2, 2], 3), "test")
    assert m.balanced_accuracy == pytest.approx((1 + 0.5) / 2)
    assert (m.macro.recall, m.macro.precision) == pytest.approx((0.75, 1.0))
    assert m.per_class["b"].support == 0 and isnan(m.per_class["b"].recall)
    row = to_json(m)["per_class"]["b"]
    assert row.pop("support") == 0
    nothing = {"value": None, "low": None, "high": None, "reason": "no images"}
    assert all(interval == nothing for interval in row.pop("intervals").values())
    assert set(row.values()) == {None}
    assert not isnan(m.auroc)
    for name in ("balanced_accuracy", "macro_f1", "auroc"):
        assert score(name, answers([0, 0, 1, 2], [0, 0, 2, 2], 3)) == pytest.approx(
            {"balanced_accuracy": 0.75, "macro_f1": (1 + 2 / 3) / 2, "auroc": m.auroc}[name]
        )


def test_one_class_alone_has_no_roc_area() -> None:
    m = metrics(answers([0, 1, 0], [0, 0, 0], 3), "val")
    assert isnan(m.auroc) and to_json(m)["auroc"] is None
    assert m.macro.recall == pytest.approx(2 / 3)


def test_top5_counts_equal_logits_in_their_order() -> None:
    flat = predictions(np.zeros((6, 6)), [0, 1, 2, 3, 4, 5])
    assert metrics(flat, "val").top5 == pytest.approx(5 / 6)
    assert top_k_accuracy(flat, 1) == pytest.approx(metrics(flat, "val").accuracy.value)
    six = predictions([[6, 5, 4, 3, 2, 1]] * 2, [4, 5])
    assert score("top5", six) == 0.5


def test_the_log_loss_of_a_hopeless_answer_is_finite() -> None:
    sure = predictions([[1000, 0], [0, 0]], [1, 0])
    assert score("loss", sure) == pytest.approx((1000 + log(2)) / 2)


def test_the_interval_of_the_log_loss_has_no_negative_end() -> None:
    almost_perfect = predictions([[12.0, 0.0]] * 150, [0] * 150)
    interval = metrics(almost_perfect, "val").intervals["nll"]
    assert interval.low == 0 < interval.value < interval.high


def test_temperature_changes_loss_calibration_and_areas_alone(drawn: Predictions) -> None:
    cold, warm = metrics(drawn, "val"), metrics(replace(drawn, temperature=3.0), "val")
    assert cold.accuracy == warm.accuracy and cold.mcc == warm.mcc
    for a, b in zip(cold.per_class.values(), warm.per_class.values(), strict=True):
        assert (a.precision, a.recall, a.f1, a.support) == (b.precision, b.recall, b.f1, b.support)
    assert warm.nll == pytest.approx(
        torch.nn.functional.cross_entropy(
            torch.tensor(drawn.logits).double() / 3, torch.tensor(drawn.labels)
        ).item()
    )
    assert warm.ece != cold.ece


def test_json_has_exactly_the_promised_keys(drawn: Predictions) -> None:
    found = to_json(metrics(drawn, "val"))
    assert list(found) == [
        "split", "n", "accuracy", "balanced_accuracy", "top5", "macro", "weighted", "per_class",
        "confusion", "classes", "nll", "ece", "auroc", "mcc", "average_precision", "intervals",
    ]  # fmt: skip
    assert list(found["accuracy"]) == ["value", "low", "high"]
    assert list(found["macro"]) == list(found["weighted"]) == ["precision", "recall", "f1"]
    assert list(found["per_class"]) == found["classes"]
    for row in found["per_class"].values():
        assert list(row) == [
            "precision", "recall", "f1", "support", "accuracy", "auroc", "average_precision",
            "intervals",
        ]  # fmt: skip
        assert set(row["intervals"]) == {"precision", "recall", "f1", "auroc", "average_precision"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert np.sum(found["confusion"]) == found["n"] == 2_000


def test_every_figure_lies_in_its_interval(drawn: Predictions) -> None:
    found = to_json(metrics(drawn, "val"))
    flat = {
        name: found[name] for name in ("balanced_accuracy", "mcc", "nll", "ece", "auroc", "top5")
    }
    flat["average_precision"] = found["average_precision"]
    for kind in ("macro", "weighted"):
        flat |= {f"{kind}_{name}": value for name, value in found[kind].items()}
    assert set(found["intervals"]) == set(flat)
    rows = [(found["intervals"], flat)]
    rows += [(row["intervals"], row) for row in found["per_class"].values()]
    for intervals, values in rows:
        for name, interval in intervals.items():
            assert interval["low"] < interval["value"] == values[name] < interval["high"], name


def test_a_class_that_is_never_given_has_precision_0_and_no_interval() -> None:
    row = to_json(metrics(answers([0, 0, 0], [0, 0, 1], 2), "val"))["per_class"]["b"]
    never = {"value": 0.0, "low": None, "high": None, "reason": "never predicted"}
    assert row["intervals"]["precision"] == never
    assert row["recall"] == 0.0 and row["intervals"]["recall"]["high"] > 0.5


def test_correlation_and_average_precision_agree_with_scikit_learn(drawn: Predictions) -> None:
    m, p = metrics(drawn, "val"), drawn.probabilities()
    assert m.mcc == pytest.approx(matthews_corrcoef(drawn.labels, drawn.predicted))
    expected = [average_precision_score(drawn.labels == k, p[:, k]) for k in range(8)]
    found = [row.average_precision for row in m.per_class.values()]
    assert found == pytest.approx(expected) and m.average_precision == pytest.approx(
        np.mean(expected)
    )
    assert [row.auroc for row in m.per_class.values()] == pytest.approx(
        [roc_auc_score(drawn.labels == k, p[:, k]) for k in range(8)]
    )


def test_images_without_label_and_unreadable_ones_do_not_count() -> None:
    logits = [[5, 0], [0, 5], [np.nan, np.nan], [0, 5]]
    found = metrics(predictions(logits, [0, -1, 0, 0], {2: ("undecodable", "cut short")}), "val")
    assert (found.n, found.accuracy.value) == (2, 0.5)
    assert found.confusion.tolist() == [[1, 1], [0, 0]]
    assert not isnan(found.nll)


@pytest.mark.parametrize("labels", [None, [-1, -1]])
def test_nothing_to_measure_is_a_data_error(labels: list[int] | None) -> None:
    with pytest.raises(DataError, match="no image has a label"):
        metrics(predictions(np.zeros((2, 3)), labels), "val")
    with pytest.raises(DataError, match="no image has a label"):
        score("loss", predictions(np.zeros((2, 3)), labels))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_no_numbers_are_not_measured(value: float) -> None:
    logits = np.array([[1, 0], [0, 1], [value, 0]])
    with pytest.raises(DataError, match="logits of 1 image are NaN or infinite"):
        metrics(predictions(logits, [0, 1, 0]), "val")
    assert metrics(predictions(logits, [0, 1, -1]), "val").n == 2


def test_each_score_is_the_figure_of_the_table(drawn: Predictions) -> None:
    m = metrics(drawn, "val")
    table = {
        "accuracy": m.accuracy.value,
        "balanced_accuracy": m.balanced_accuracy,
        "loss": m.nll,
        "macro_f1": m.macro.f1,
        "top5": m.top5,
        "ece": m.ece,
        "auroc": m.auroc,
    }
    assert {name: score(name, drawn) for name in METRICS} == pytest.approx(table)


def test_an_unknown_score_names_the_known_ones(drawn: Predictions) -> None:
    with pytest.raises(UsageError, match=r"no metric 'f1'.*accuracy.*macro_f1"):
        score("f1", drawn)
    with pytest.raises(UsageError, match="at least six classes"):
        score("top5", SMALL)


def test_the_figures_need_no_torch_and_start_without_scikit_learn() -> None:
    code = (
        "import sys, seewhy.evaluation; "
        "print([m for m in ('torch', 'sklearn', 'scipy', 'pyarrow', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("classes", [3, 7])
def test_stored_metrics_go_by_the_names_by_which_they_are_chosen(classes):
    rng = np.random.default_rng(0)
    names = tuple(map(str, range(classes)))
    labels = np.arange(70) % classes
    ids = np.array(names * 70, object)[:70]
    predictions = Predictions(rng.normal(size=(70, classes)).astype(np.float32), labels, names, ids)
    found = by_name(to_json(metrics(predictions, "val")))
    assert set(found) == set(METRICS) - ({"top5"} if classes < 6 else set())
    assert found == pytest.approx({name: score(name, predictions) for name in found})


def test_a_metric_that_the_images_do_not_define_is_named():
    stored = to_json(metrics(answers([0, 0, 0, 1], [0] * 4, 2), "val"))
    assert value_of(stored, "accuracy") == 0.75
    with pytest.raises(DataError, match=r"^auroc is not defined by the images of val.*: accuracy,"):
        value_of(stored, "auroc")


@pytest.mark.parametrize("n", [1, 29, 30, 99, 100])
def test_where_images_are_too_few_there_is_no_interval_but_a_reason(n: int) -> None:
    labels = np.arange(n) % 2
    found = to_json(metrics(answers(labels.tolist(), labels.tolist(), 2), "val"))
    assert found["accuracy"]["low"] < 1 == found["accuracy"]["high"]
    for name, interval in found["intervals"].items():
        scored = name in ("nll", "ece", "auroc", "average_precision")
        if name == "weighted_recall" or n >= (100 if scored else 30):
            assert interval["low"] < interval["high"] and "reason" not in interval, name
        elif n > 1 or not name.startswith(("a", "mcc")):
            assert interval["low"] is None and interval["reason"] == "too few images", name


def test_a_class_of_four_images_leaves_means_over_classes_without_an_interval() -> None:
    labels = [0] * 146 + [1] * 4
    found = metrics(answers(labels, labels, 2), "val")
    none = {name for name, interval in found.intervals.items() if interval.reason is not None}
    assert none == {
        *("balanced_accuracy", "mcc", "auroc", "average_precision"),
        *("macro_precision", "macro_recall", "macro_f1", "weighted_precision", "weighted_f1"),
    }
    assert found.per_class["b"].intervals["f1"].low < 0.6 and found.intervals["nll"].high > 0


def test_images_of_one_class_tell_no_correlation() -> None:
    predicted = [0] * 75 + [1, 2, 3, 4, 5]
    found = metrics(answers(predicted, [0] * 80, 6), "val")  # whose shares add up to 1 and a little
    assert isnan(found.mcc) and found.intervals["mcc"].reason == "only one class has images"
    assert found.intervals["macro_recall"].low < 75 / 80 < found.intervals["macro_recall"].high


def test_f1_of_a_class_has_the_exact_interval_of_the_rate_behind_it() -> None:
    f1 = metrics(answers([0] * 8 + [1] * 12, [0] * 10 + [1] * 10, 2), "val").per_class["a"]
    low, high = (2 * x / (1 + x) for x in (0.4439, 0.9748))  # 8 of 10, Clopper and Pearson
    assert f1.f1 == pytest.approx(2 * 0.8 / 1.8)
    assert (f1.intervals["f1"].low, f1.intervals["f1"].high) == pytest.approx((low, high), abs=1e-3)
