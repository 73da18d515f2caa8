import io
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle
from PIL import Image
from plots.test_analysis import all_on_the_page
from plots.test_metrics import ODD, drawn, texts

from seewhy.attribution.channels import Channels
from seewhy.attribution.class_averages import ClassAverages
from seewhy.attribution.explanations import Explanations, Whole
from seewhy.attribution.faithfulness import Faithfulness
from seewhy.attribution.methods import METHODS
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.stats.intervals import Interval
from seewhy.plots.attribution import (
    channel_sheet,
    class_average_sheet,
    coloured,
    explanation_sheet,
    faithfulness_curves,
    filters,
    layer_maps,
    overlay,
    shared_scale,
    sheets,
)
from seewhy.plots.style import BLUE, VERMILION
from seewhy.text import percent

CLASSES = ("cat", "dog", "hare")
STAMP = "unreliable: chance, weights"


def pictures(count: int, size: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


def checked(maps: np.ndarray, failed: tuple[int, ...] = ()) -> Faithfulness:
    """The tests of maps: the rows of `failed` do no better than chance, nor by weights."""
    falling = np.tile(np.linspace(1, 0, 9, dtype=np.float32) ** 2, (len(maps), 1))
    random = np.tile(np.linspace(1, 0, 9, dtype=np.float32), (len(maps), 1))
    beaten, randomised = np.ones(len(maps), np.float32), np.zeros(len(maps), np.float32)
    for row in failed:
        falling[row], beaten[row], randomised[row] = random[row], 0.5, 0.9
    return Faithfulness(maps, falling, 1 - falling**3, random, 1 - random, beaten, randomised)


def explained(
    count: int = 3,
    methods: tuple[str, ...] = ("grad_cam",),
    classes: tuple[str, ...] = CLASSES,
    labels: bool = True,
    failed: tuple[int, ...] = (),
    size: int = 8,
) -> Explanations:
    rng = np.random.default_rng(1)
    logits = (3 * rng.normal(size=(count, len(classes)))).astype(np.float32)
    known = np.arange(count) % len(classes) if labels else None
    ids = np.array([f"a/folder/picture {row}.jpg" for row in range(count)], dtype=object)
    predictions = Predictions(logits, known, classes, ids)
    maps = {name: rng.normal(size=(count, size, size)).astype(np.float32) for name in methods}
    checks = {name: checked(found, failed) for name, found in maps.items()}
    return Explanations(pictures(count, size), predictions, predictions.predicted, maps, checks)


def rgb(colour: str) -> np.ndarray:
    return np.round(255 * np.array(to_rgb(colour)))


def test_for_is_vermilion_against_is_blue_and_nothing_is_white() -> None:
    values = np.array([[5.0, 0], [0, -5.0]])
    flat = [coloured(np.full((4, 4), value), 1.0, 16)[8, 8] for value in (5, 0, -5)]
    assert np.array_equal(flat, [rgb(VERMILION), [255, 255, 255], rgb(BLUE)])
    corners = coloured(values, 5.0, 64)
    assert corners.shape == (64, 64, 3)
    assert corners[0, 0, 0] > corners[0, 0, 2] and corners[-1, -1, 0] < corners[-1, -1, 2]


def test_a_map_is_drawn_on_a_given_scale_and_not_on_its_own() -> None:
    pale, full = (coloured(np.full((4, 4), 1.0), scale, 8)[0, 0] for scale in (4.0, 1.0))
    assert (pale.astype(int) >= full).all() and pale.sum() > full.sum()
    maps = np.zeros((2, 100, 100))
    maps[0], maps[1, 0, 0] = 2.0, 1000.0  # an outlier does not fade all else
    assert shared_scale(maps) == 2.0 and shared_scale(np.zeros((1, 4, 4))) > 0


def test_the_image_shows_through_in_grey_where_there_is_no_evidence() -> None:
    image = pictures(1)[0]
    shown = overlay(image, np.zeros((8, 8)), 1.0, 8)
    assert (shown == shown[..., :1]).all()
    grey = np.asarray(Image.fromarray(image).convert("L")).astype(float)
    assert np.corrcoef(shown[..., 0].ravel(), grey.ravel())[0, 1] > 0.99
    marked = overlay(image, np.ones((8, 8)), 1.0, 8).astype(int)
    assert (marked[..., 0] > marked[..., 2]).all()


@pytest.mark.parametrize(
    "count", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 5)), 16]
)
@pytest.mark.parametrize(
    "methods",
    [
        ("grad_cam",),
        pytest.param(("grad_cam", "shap", "saliency"), marks=pytest.mark.long),
        tuple(METHODS),
    ],
)
def test_a_sheet_holds_each_image_with_all_its_maps_and_nothing_is_cut_off(
    count: int, methods: tuple[str, ...]
) -> None:
    found = explained(count, methods)
    rows = sheets(found)[0]
    figure = drawn(explanation_sheet, found, rows)
    assert all_on_the_page(figure)
    images = [axes for axes in figure.axes if axes.images]
    assert len(images) == len(rows) * (1 + 2 * len(methods)) + 1  # and the legend
    boxes = [axes.get_position() for axes in figure.axes]
    for first in range(len(boxes)):
        assert not any(boxes[first].overlaps(other) for other in boxes[first + 1 :])


def test_what_the_network_does_not_see_is_paler_outside_a_frame() -> None:
    image = np.full((20, 60, 3), 100, np.uint8)
    found = replace(explained(2), wholes={1: Whole(image, (20, 0, 40, 20))})
    figure = drawn(explanation_sheet, found, [0, 1])
    assert all_on_the_page(figure)
    (axes,) = (axes for axes in figure.axes if axes.patches and axes.images)
    (frame,) = axes.patches
    assert (*frame.get_xy(), frame.get_width(), frame.get_height()) == (20, 0, 20, 20)
    shown = axes.images[0].get_array()
    assert (shown[:, 20:40] == 100).all() and (shown[:, :20] > 180).all()
    assert (shown[:, 40:] > 180).all()
    assert axes.get_xlim() == (0, 60) and axes.get_ylim() == (40, -20)  # its shape is kept


def test_the_explained_class_is_shown_with_its_probability_where_it_is_no_answer() -> None:
    found = explained(3, classes=tuple("abcdefgh"))
    last = found.predictions.probabilities().argmin(1)
    found = replace(found, targets=last)
    said = [text.get_text() for text in texts(drawn(explanation_sheet, found, [0, 1, 2]))]
    for row in range(3):
        name, probability = found.target(row)
        shown = percent(probability)
        assert (shown == "<1%") == (probability < 0.005)
        assert f"picture {row}.jpg; explained: {name}, {shown}" in said
        assert name in said or f"{name} ✓" in said  # also among the bars


def test_all_images_are_on_some_sheet() -> None:
    for methods in (("cam",), tuple(METHODS)):
        parts = sheets(explained(40, methods, size=4))
        assert [row for part in parts for row in part] == list(range(40)) and len(parts) > 1


def test_a_sheet_says_what_was_answered_and_what_is_true() -> None:
    found = explained(3)
    said = [text.get_text() for text in texts(drawn(explanation_sheet, found, [0, 1, 2]))]
    for row in range(3):
        (name, probability), label = found.top(row)[0], found.label(row)
        verdict = "correct" if name == label else f"wrong, label {label}"
        assert f"{name}, {probability:.0%}: {verdict}" in said
        assert f"picture {row}.jpg" in said
    other = replace(found, targets=(found.targets + 1) % 3)
    said = [text.get_text() for text in texts(drawn(explanation_sheet, other, [0]))]
    assert any(f"explained: {CLASSES[other.targets[0]]}" in line for line in said)
    assert any("brighter" in line for line in said) is False
    said = texts(drawn(explanation_sheet, explained(1, ("saliency",)), [0]))
    assert any("saliency: vermilion = brighter" in text.get_text() for text in said)


def test_without_labels_it_says_neither_right_nor_wrong() -> None:
    said = " ".join(
        t.get_text() for t in texts(drawn(explanation_sheet, explained(2, labels=False), [0, 1]))
    )
    assert "correct" not in said and "wrong" not in said and "✓" not in said


def test_a_map_that_failed_is_framed_and_says_which_test() -> None:
    found = explained(3, failed=(1,))
    figure = drawn(explanation_sheet, found, [0, 1, 2])
    assert [text.get_text() for text in texts(figure)].count(STAMP) == 1
    framed = [a for a in figure.axes if a.spines["top"].get_edgecolor()[:3] == to_rgb(VERMILION)]
    assert len(framed) == 2
    unchecked = replace(found, checks={})
    assert STAMP not in [t.get_text() for t in texts(drawn(explanation_sheet, unchecked, [0, 1]))]


def test_odd_names_are_drawn_letter_by_letter() -> None:
    found = explained(len(ODD), classes=ODD)
    assert Image.open(io.BytesIO(explanation_sheet(found, [0, 1])), formats=["PNG"]).size[0] > 500
    figure = drawn(explanation_sheet, found, list(range(len(ODD))))
    assert all_on_the_page(figure)
    boxes = [text.get_window_extent() for text in texts(figure)]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))


@pytest.mark.parametrize("methods", [("grad_cam",), tuple(METHODS)])
def test_curves_are_the_means_and_their_areas_are_said(methods: tuple[str, ...]) -> None:
    found = explained(4, methods, failed=(0,))
    figure = drawn(faithfulness_curves, found.checks)
    assert all_on_the_page(figure)
    panel, check = figure.axes[0], found.checks[methods[0]]
    reliable, shuffled = panel.get_title(loc="left").split("\n")
    assert reliable == f"{methods[0]}: 3 of 4 reliable" and shuffled.startswith(
        "shuffled weights: "
    )
    assert not panel.texts  # which would lie on a curve
    assert np.array_equal(panel.lines[0].get_ydata(), check.deletion.mean(0))
    assert np.array_equal(panel.lines[3].get_ydata(), check.random_insertion.mean(0))
    assert "moved 0.50" in panel.get_legend().get_texts()[0].get_text()


def test_layers_show_the_channels_that_answer_most() -> None:
    layers = {"conv": np.zeros((20, 4, 4)), "$odd$": np.zeros((3, 2, 2))}
    layers["conv"][7], layers["conv"][3] = -2.0, 1.0
    figure = drawn(layer_maps, pictures(1)[0], layers)
    assert all_on_the_page(figure) and len(figure.axes) == 1 + 8 + 3
    first = figure.axes[1].images[0].get_array()
    assert (first[..., 2] > first[..., 0]).all()  # channel 7, which is negative


def test_filters_are_in_colour_on_grey() -> None:
    kernels = np.zeros((100, 3, 2, 2))
    kernels[0, 0] = 1.0
    figure = drawn(filters, kernels)
    assert len(figure.axes) == 96 and all_on_the_page(figure)
    assert figure.axes[0].images[0].get_array()[0, 0].tolist() == [255, 128, 128]
    assert figure.axes[1].images[0].get_array()[0, 0].tolist() == [128, 128, 128]


def test_channels_come_by_importance_with_their_intervals_and_rings() -> None:
    drops = tuple(Interval(v, v - 0.1, v + 0.2) for v in (0.1, 0.9, -0.3, 0.5))
    rows = np.arange(8).reshape(4, 2)
    found = Channels(drops, drops, rows, np.full((4, 2, 2), 0.25, np.float32))
    figure = drawn(channel_sheet, found, pictures(8), 3)
    assert all_on_the_page(figure)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["channel 1", "channel 3", "channel 0"]
    assert tuple(figure.axes[0].lines[0].get_xdata()) == (0.8, 1.1)
    rings = [a.findobj(Circle) for a in figure.axes[1:]]
    assert len(rings) == 6 and all(len(found) == 2 for found in rings)
    assert rings[0][0].center == (64, 64)


def test_what_is_not_defined_is_no_number() -> None:
    found = explained(2)
    unknown = np.full(2, np.nan, np.float32)
    checks = {name: replace(check, randomised=unknown) for name, check in found.checks.items()}
    maps = np.zeros((3, 8, 8), np.float32)
    averages = ClassAverages(CLASSES, maps, np.array([5, 7, 0]), np.full(3, np.nan), 0.44)
    for figure in (drawn(faithfulness_curves, checks), drawn(class_average_sheet, averages)):
        assert not any("nan" in text.get_text() for text in texts(figure))


def test_a_class_told_by_the_border_is_marked() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 8, 8)).astype(np.float32)
    found = ClassAverages(CLASSES, maps, np.array([5, 7, 0]), np.array([0.2, 0.8, np.nan]), 0.44)
    figure = drawn(class_average_sheet, found)
    assert all_on_the_page(figure)
    marked = [a for a in figure.axes if a.spines["top"].get_edgecolor()[:3] == to_rgb(VERMILION)]
    said = {text.get_text(): text for text in texts(figure)}
    assert len(marked) == 1 and said["7 images, 80%"].get_color() == VERMILION
    assert "5 images, 20%" in said and "no images" in said


def test_of_many_classes_those_told_most_by_the_border_are_drawn() -> None:
    classes, border = tuple(f"class {k}" for k in range(120)), np.linspace(0, 1, 120)
    border[[5, 119]] = np.nan
    found = ClassAverages(classes, np.ones((120, 2, 2), np.float32), np.full(120, 3), border, 0.44)
    figure = drawn(class_average_sheet, found)
    said = [text.get_text() for text in texts(figure)]
    drawn_classes = [text for text in said if text.startswith("class ")]
    assert drawn_classes == [f"class {k}" for k in range(19, 119)]
    assert "Mean attribution map of each class: the 100 with most of it at the border" in said


def test_long_names_of_classes_are_apart_and_distinct() -> None:
    classes = tuple(
        f"Cherry_(including_sour)___{end}" for end in ("Powdery_mildew", "healthy", "W" * 40)
    )
    maps = np.zeros((3, 8, 8), np.float32)
    figure = drawn(
        class_average_sheet, ClassAverages(classes, maps, np.full(3, 5), np.zeros(3), 0.44)
    )
    shown = {t.get_text(): t.get_window_extent() for t in texts(figure) if "Cherry" in t.get_text()}
    assert len(shown) == 3
    assert not any(a.overlaps(b) for a, b in combinations(shown.values(), 2))
