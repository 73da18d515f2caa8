import io
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from math import nan
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from seewhy.evaluation.metrics import Metrics, metrics
from seewhy.evaluation.predictions import Predictions
from seewhy.plots.metrics import confusion_matrix, curves, per_class, reliability
from seewhy.plots.style import style

ODD = (
    "$x_1$",
    "$\\frac$",
    "a\nb",
    "<b>",
    "%d",
    "日本",
    "مرحبا",
    "😀",
    "w" * 60,
    "\\",
    "_^{}",
    "ok",
)


@cache
def measured(classes: tuple[str, ...], n: int = 400) -> Metrics:
    """A split whose first class is never there and whose last is always confused with its neighbour."""
    k = len(classes)
    rng = np.random.default_rng(k)
    labels = rng.integers(1, k, n)
    logits = rng.normal(size=(n, k)) + 3 * np.eye(k)[np.where(labels == k - 1, k - 2, labels)]
    return metrics(
        Predictions(logits.astype(np.float32), labels, classes, np.arange(n).astype(str)), "val"
    )


def names(k: int) -> tuple[str, ...]:
    return tuple(f"class {number:03d}" for number in range(k))


def history(epochs: int, **columns: float) -> list[dict[str, float]]:
    return [
        {
            "epoch": e,
            "lr": 0.1 / e,
            "train_loss": 2 / e,
            "train_accuracy": 1 - 0.8 / e,
            "val_loss": 2.5 / e,
            "val_accuracy": 0.9 - 0.01 * abs(e - 3),
            **columns,
        }
        for e in range(1, epochs + 1)
    ]


def drawn(draw: Any, *args: Any) -> Figure:
    """The figure behind an image, laid out as it is in the image, and not rendered."""
    with style():
        figure: Figure = draw.__wrapped__(*args)
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
    return figure


def picture(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=["PNG"])


def texts(figure: Figure) -> Iterator[matplotlib.text.Text]:
    return (t for t in figure.findobj(matplotlib.text.Text) if t.get_visible() and t.get_text())


@pytest.mark.parametrize("k", [2, pytest.param(10, marks=pytest.mark.long), 20, 21, 100, 260])
@pytest.mark.parametrize("draw", [confusion_matrix, per_class])
def test_nothing_is_cut_off_or_overlaps(draw: Any, k: int) -> None:
    figure = drawn(draw, measured(names(k)))
    page = figure.bbox.padded(1)
    for text in texts(figure):
        box = text.get_window_extent()
        assert page.x0 <= box.x0 and box.x1 <= page.x1, text
        assert page.y0 <= box.y0 and box.y1 <= page.y1, text
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        boxes = [label.get_window_extent() for label in axis.get_ticklabels()]
        assert not any(a.overlaps(b) for a, b in pairwise(boxes))


@pytest.mark.parametrize("draw", [confusion_matrix, per_class])
def test_odd_names_are_drawn_letter_by_letter_and_warn_of_nothing(draw: Any) -> None:
    stored = measured(ODD)
    assert picture(draw(stored)).size[0] > 500
    shown = {text.get_text(): text for text in texts(drawn(draw, stored))}
    for name in (
        "$x_1$",
        "$\\frac$",
        "a\\nb",
        "<b>",
        "%d",
        "日本",
        "\\",
        "w" * 12 + "…" + "w" * 11,
    ):
        assert not shown[name].get_parse_math(), name


def test_the_matrix_shows_shares_and_counts() -> None:
    m = measured(names(5))
    axes = drawn(confusion_matrix, m).axes[0]
    shares = axes.images[0].get_array()
    assert shares.mask[0].all() and not shares.mask[1:].any()  # the class without images
    assert np.allclose(shares[1:].sum(axis=1), 1)
    written = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in axes.texts}
    assert written == {
        (row, column): str(m.confusion[row, column])
        for row, column in zip(*np.nonzero(m.confusion), strict=True)
    }
    assert axes.get_ylabel() == "true" and axes.get_xlabel() == "predicted"
    assert not drawn(confusion_matrix, measured(names(21))).axes[0].texts


def test_the_title_says_what_was_measured() -> None:
    m = measured(names(5))
    title = drawn(confusion_matrix, m).get_suptitle()
    low, high = m.accuracy.low, m.accuracy.high
    assert title == (
        f"Validation: accuracy {m.accuracy.value:.1%} on 400 images\n(95% CI {low:.1%} to {high:.1%})"
    )


def test_classes_are_sorted_and_have_their_intervals() -> None:
    m = measured(names(5))
    axes = drawn(per_class, m).axes[0]
    order = [label.get_text() for label in axes.get_yticklabels()]
    recalls = [m.per_class[name].recall for name in order]
    assert order[0] == "class 000" and recalls[1:] == sorted(recalls[1:])
    assert "no images" in [text.get_text() for text in axes.texts]
    assert [bar.get_width() for bar in axes.patches] == recalls[1:]
    intervals = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2][:-1]
    for name, interval in zip(order[1:], intervals, strict=True):
        expected = m.per_class[name].intervals["recall"]
        assert tuple(interval) == (expected.low, expected.high)


def test_beyond_a_hundred_the_worst_classes_are_drawn() -> None:
    m = measured(names(130), n=1_000)
    figure = drawn(per_class, m)
    assert len(figure.axes[0].get_yticklabels()) == 100
    assert "the 100 worst of 130 classes" in figure.get_suptitle()
    drawn_names = {label.get_text() for label in figure.axes[0].get_yticklabels()}
    worst = min((figures.recall, name) for name, figures in m.per_class.items() if figures.support)[
        1
    ]
    assert worst in drawn_names
    assert "class 000" not in drawn_names  # which has no images


def test_reliability_marks_each_filled_bin_with_its_interval() -> None:
    m = measured(names(5))
    bins = m.reliability
    upper, lower = drawn(reliability, bins, "test").axes
    filled = np.flatnonzero(bins.counts)
    points = next(line for line in upper.lines if line.get_marker() == "o")
    assert np.array_equal(points.get_xdata(), bins.confidence[filled])
    assert np.array_equal(points.get_ydata(), bins.accuracy[filled])
    (whiskers,) = upper.collections
    spans = [(low, high) for (_, low), (_, high) in whiskers.get_segments()]
    assert spans == list(zip(bins.low[filled], bins.high[filled], strict=True))
    assert sum(bar.get_height() for bar in lower.patches) == pytest.approx(1)
    title = drawn(reliability, bins, "test").get_suptitle()
    assert title == f"Test: expected calibration error (ECE) {bins.ece:.1%}"


def test_curves_show_both_splits_and_the_best_epoch() -> None:
    rows = history(6, seconds=3700.0)
    for row in rows:
        row["best"] = float(row["epoch"] <= 2)
    figure = drawn(curves, rows)
    accuracy, loss, rate = figure.axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        by_label = {line.get_label(): line for line in axes.lines}
        for label, part in (("training", "train"), ("validation", "val")):
            expected = [row[f"{part}_{name}"] for row in rows]
            assert list(by_label[label].get_ydata()) == expected
        assert list(axes.lines[-1].get_xdata()) == [2, 2]
    assert list(rate.lines[0].get_ydata()) == [row["lr"] for row in rows]
    assert figure.get_suptitle() == (
        "6 epochs in 1 h 1 min; best epoch kept: 2,\nvalidation accuracy 89.0%"
    )


def test_the_best_epoch_is_that_of_highest_accuracy_where_none_is_marked() -> None:
    assert "best epoch kept: 3," in drawn(curves, history(6)).get_suptitle()
    assert "last epoch kept: 6," in drawn(curves, history(6), "last").get_suptitle()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(7.2, "7 s"), (59.7, "1 min 0 s"), (192, "3 min 12 s"), (7260, "2 h 1 min")],
)
def test_durations_read_easily(seconds: float, said: str) -> None:
    assert f"1 epoch in {said};" in drawn(curves, history(1, seconds=seconds)).get_suptitle()


@pytest.mark.parametrize("rows", [history(1), history(3, train_accuracy=nan), history(300)])
def test_short_broken_and_long_histories_are_drawn(rows: list[dict[str, float]]) -> None:
    assert picture(curves(rows)).size == (720, 870)
    ticks = drawn(curves, rows).axes[0].get_xticks()
    assert all(float(tick).is_integer() for tick in ticks)


def test_the_readers_own_style_changes_nothing_and_is_left_alone() -> None:
    stored = measured(names(3))
    plain = confusion_matrix(stored)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "text.usetex": True}):
        before: Mapping[str, Any] = dict(matplotlib.rcParams)
        assert confusion_matrix(stored) == plain
        assert dict(matplotlib.rcParams) == before


def test_no_window_system_is_touched() -> None:
    code = "import sys, seewhy.plots.metrics; print('matplotlib.pyplot' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
