from dataclasses import replace
from math import nan

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from plots.test_metrics import ODD, drawn, measured, names, picture, texts

from seewhy.analysis.causes import Causes, Explained
from seewhy.analysis.confidence import confidence
from seewhy.analysis.slices import Slices, find_slices
from seewhy.evaluation.decision.ood import choose_ood_score
from seewhy.evaluation.decision.threshold import risk_coverage
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.ranking import ClassCurves, class_curves
from seewhy.plots.analysis import (
    class_heat_map,
    confidence_histograms,
    mistakes_by_cause,
    ood_curve,
    ranking_curves,
    risk_coverage_curve,
    weak_slices,
)
from seewhy.plots.style import LIGHT_VERMILION


def all_on_the_page(figure: Figure) -> bool:
    """Whether all text lies within the figure; ticks beyond the axes' limits are not drawn."""
    page = figure.bbox.padded(1)
    unseen = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks()
            unseen |= {t for t in ticks if not low - 1e-9 <= t.get_loc() <= high + 1e-9}
    labels = {id(label) for tick in unseen for label in (tick.label1, tick.label2)}
    boxes = [text.get_window_extent() for text in texts(figure) if id(text) not in labels]
    return all(
        page.x0 <= b.x0 and b.x1 <= page.x1 and page.y0 <= b.y0 and b.y1 <= page.y1 for b in boxes
    )


def curves_of(classes: tuple[str, ...], n: int = 300) -> dict[str, ClassCurves]:
    rng = np.random.default_rng(0)
    labels = rng.integers(1, len(classes), n)
    logits = rng.normal(size=(n, len(classes))) + 2 * np.eye(len(classes))[labels]
    p = Predictions(logits.astype(np.float32), labels, classes, np.arange(n).astype(str))
    return class_curves(p)


@pytest.mark.parametrize("k", [2, 10, 130])
def test_the_heat_map_has_a_row_a_class_and_the_two_means(k: int) -> None:
    m = measured(names(k), n=1_000)
    figure = drawn(class_heat_map, m)
    assert all_on_the_page(figure)
    rows = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert rows[-2:] == ["macro mean", "weighted mean"] and len(rows) == min(k, 100) + 2
    values = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    assert values[-2].tolist() == pytest.approx([m.macro.precision, m.macro.recall, m.macro.f1])
    kept = sorted(row.f1 for row in m.per_class.values() if row.support)[: len(rows) - 2]
    assert k <= 100 or values[:-2, 2].tolist() == kept
    last = rows[-3]
    assert values[-3, 2] == m.per_class[last].f1
    f1 = m.per_class[last].intervals["f1"]
    written = [text.get_text() for text in figure.axes[0].texts]
    assert f"{100 * f1.low:.0f} to {100 * f1.high:.0f}" in written


def test_curves_name_the_three_of_smallest_area_with_their_intervals() -> None:
    classes = names(10)
    m = measured(classes)
    curves = curves_of(classes)
    figure = drawn(ranking_curves, curves, m)
    assert all_on_the_page(figure)
    for axes, area in zip(figure.axes, ("auroc", "average_precision"), strict=True):
        known = [name for name in classes if len(curves[name].fpr)]
        worst = sorted(known, key=lambda name: getattr(m.per_class[name], area))[:3]
        legend = axes.get_legend().get_window_extent()
        assert not legend.overlaps(axes.get_window_extent())  # which may be full of curves
        labels = axes.get_legend_handles_labels()[1]
        assert [label.split("  ")[0] for label in labels] == [*worst, "the other 6"]
        assert f"(95% CI {m.per_class[worst[0]].intervals[area].low:.3f} to" in labels[0]


def test_without_images_of_two_classes_the_curves_say_so_and_no_number() -> None:
    m = replace(measured(names(3)), auroc=nan, average_precision=nan)
    titles = [axes.get_title("left") for axes in drawn(ranking_curves, curves_of(names(3)), m).axes]
    assert all(title.endswith("curves: needs images of two classes") for title in titles)


def test_odd_names_are_drawn_as_they_are() -> None:
    m = measured(ODD)
    assert picture(class_heat_map(m)).size[0] > 300
    assert picture(ranking_curves(curves_of(ODD), m)).size[0] > 300


def answered(n: int = 500) -> Predictions:
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 4, n)
    logits = rng.normal(size=(n, 4)) + 2 * np.eye(4)[labels]
    return Predictions(logits.astype(np.float32), labels, names(4), np.arange(n).astype(str))


def test_the_histograms_show_every_answer_and_count_the_sure_mistakes() -> None:
    found = confidence(answered())
    figure = drawn(confidence_histograms, found)
    assert all_on_the_page(figure)
    upper, lower = figure.axes
    assert [bar.get_height() for bar in upper.patches] == found.right_counts.tolist()
    assert f"{sum(found.wrong_counts)} wrong, mean confidence" in lower.get_title(loc="left")
    assert figure.get_suptitle().endswith(f"confidence: {found.sure_mistakes}")


def test_the_risk_coverage_curve_is_the_stored_one() -> None:
    curve = confidence(answered()).risk_coverage
    figure = drawn(risk_coverage_curve, curve)
    line = figure.axes[0].lines[0]
    assert list(line.get_xdata()) == list(curve.coverage) and list(line.get_ydata()) == list(
        curve.risk
    )
    assert all_on_the_page(figure)


def test_the_risk_of_surest_mistakes_is_drawn_whole_with_distinct_ticks() -> None:
    """Also where fewer answers mean more mistakes, and where hardly any answer is wrong."""
    sure = np.linspace(0.99, 0.4, 60)
    worst_first = risk_coverage(sure, np.arange(60) >= 6)
    hardly = risk_coverage(np.linspace(1, 0, 400), np.arange(400) != 390)
    for curve in (worst_first, hardly):
        axes = drawn(risk_coverage_curve, curve).axes[0]
        assert axes.get_ylim()[1] > curve.risk.max()
        low, high = axes.get_ylim()
        ticks = [t.get_text() for t in axes.get_yticklabels() if low <= t.get_position()[1] <= high]
        assert len(ticks) > 2 and len(set(ticks)) == len(ticks)


def test_a_perfect_model_has_drawings_too() -> None:
    p = answered()
    right = replace(p, labels=p.predicted)
    found = confidence(right)
    assert picture(confidence_histograms(found)) and picture(
        risk_coverage_curve(found.risk_coverage)
    )


def sliced(weak: bool, name: str = "brightness") -> Slices:
    """A split whose darkest fifth is all wrong, or one like another."""
    p, dark = answered(), np.arange(500) / 500
    if weak:
        p = replace(p, labels=np.where(dark < 0.2, (p.predicted + 1) % 4, p.predicted))
    return find_slices(p, {name: dark, "contrast": 1 - dark**2})


@pytest.mark.parametrize("weak", [True, False])
def test_slices_are_the_stored_ones_with_their_intervals_and_the_weak_are_red(weak: bool) -> None:
    found = sliced(weak, "w" * 60)
    figure = drawn(weak_slices, found)
    assert all_on_the_page(figure)
    axes, shown = figure.axes[0], found.slices[:15]
    assert [bar.get_width() for bar in axes.patches] == [part.rate.value for part in shown]
    spans = [tuple(line.get_xdata()) for line in axes.lines[: 2 * len(shown) : 2]]
    assert spans == [(part.rate.low, part.rate.high) for part in shown]
    red = [to_hex(bar.get_facecolor()).upper() == LIGHT_VERMILION for bar in axes.patches]
    assert red == [part.p < 0.05 for part in shown] and any(red) == weak
    title = figure.get_suptitle()
    count = sum(part.p < 0.05 for part in found.slices)
    assert title.startswith(f"{count} of {found.tested} tested slices significantly worse")
    assert ("the 15 with the strongest evidence" in title) == (found.tested > 15)


def test_causes_are_counted_and_the_unknown_named() -> None:
    counts = {"duplicate": 0, "label": 0, "picture": 2, "scope": 0, "confusion": 7}
    one = Explained(0, "confusion", (), ())
    causes = Causes(counts, ("label",), None, (one,) * 9)
    figure = drawn(mistakes_by_cause, causes)
    assert all_on_the_page(figure) and "9 most confident mistakes" in figure.get_suptitle()
    axes = figure.axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names[:2] == ["A true confusion", "A poor image"]
    assert names[-1] == "Likely a wrong label"
    assert [text.get_text() for text in axes.texts] == ["7", "2", "0", "0", "not checked"]
    assert [bar.get_width() for bar in axes.patches] == [7, 2, 0, 0, 0]


def test_the_scope_curve_marks_the_threshold() -> None:
    p = answered()
    others = replace(p, logits=p.logits * 0.2)
    found = choose_ood_score(p, others)
    figure = drawn(ood_curve, found)
    dot = figure.axes[0].lines[2]
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == pytest.approx(
        (1 - found.caught.value, found.kept.value)
    )
    assert all_on_the_page(figure)
