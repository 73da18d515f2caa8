from itertools import pairwise
from math import nan
from pathlib import Path

import numpy as np
import pytest
from helpers import EACH_FAMILY
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image
from plots.test_metrics import drawn, texts

from seewhy.models.blocks import blocks
from seewhy.models.registry import build
from seewhy.plots.network import gradient_norms, network
from seewhy.plots.style import write_drawings


@pytest.mark.parametrize("name", EACH_FAMILY)
def test_a_net_of_each_family_is_drawn_whole_and_nothing_overlaps(name: str) -> None:
    found = blocks(build(name, num_classes=10, size=32))
    figure = drawn(network, found, 32, name)
    total = sum(block.parameters for block in found)
    assert figure.get_suptitle().startswith(f"{name}: {total:,} parameters")
    page = figure.bbox.padded(1)
    shown = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    for text, box in shown:
        assert page.x0 <= box.x0 and box.x1 <= page.x1, text
        assert page.y0 <= box.y0 and box.y1 <= page.y1, text
    for (one, a), (two, b) in ((s, t) for s in shown for t in shown if s is not t):
        assert not a.overlaps(b), (one, two)
    (axes,) = figure.axes
    boxes = [p.get_window_extent() for p in axes.patches if isinstance(p, FancyBboxPatch)]
    arrows = [p for p in axes.patches if isinstance(p, FancyArrowPatch)]
    assert len(boxes) == len(found) + 1  # and the image
    assert len(arrows) == sum(len(block.inputs) for block in found)
    written = {text for text, _ in shown}
    for block in found:
        assert "  ·  ".join(block.steps) in written
        assert " × ".join(map(str, block.shape)) in written
        assert not block.parameters or f"{block.parameters:,}" in written


def test_only_what_runs_beside_the_main_way_is_at_its_left() -> None:
    found = blocks(build("resnet18", num_classes=10, size=32))
    (axes,) = drawn(network, found, 32, "resnet18").axes
    boxes = [p.get_x() for p in axes.patches if isinstance(p, FancyBboxPatch)][1:]
    beside = {block.steps[0] for block, x in zip(found, boxes, strict=True) if x < 0}
    assert beside == {"conv 1x1 stride 2"} and sum(x < 0 for x in boxes) == 3


ROWS = [
    {"step": step, "block1.conv1": 1e-6 / step, "block1.conv2": 1e-3, "head": 0.5}
    for step in (1, 51, 101)
]


def test_gradient_norms_are_a_line_a_layer_and_the_median_of_each() -> None:
    over, by_layer = drawn(gradient_norms, ROWS).axes
    assert [list(line.get_ydata()) for line in over.lines] == [
        [row[name] for row in ROWS] for name in ("block1.conv1", "block1.conv2", "head")
    ]
    assert list(over.lines[0].get_xdata()) == [1, 51, 101]
    medians = [line.get_xdata()[0] for line in by_layer.lines if line.get_marker() == "o"]
    assert medians == pytest.approx([1e-6 / 51, 1e-3, 0.5])
    names = [label.get_text() for label in by_layer.get_yticklabels()]
    assert names == ["block1.conv1", "block1.conv2", "head"]
    low, high = by_layer.get_ylim()
    assert low > high  # the first layer above


@pytest.mark.parametrize("least", [1e-9, 1e-3, 0.3])
def test_the_scales_are_plain_numbers_with_room(least: float) -> None:
    rows = [{"step": step, "a": least * step, "b": 1.0} for step in (1, 2)]
    for axes in drawn(gradient_norms, rows).axes:
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True)
            labels = [label for at, label in ticks if min(low, high) <= at <= max(low, high)]
            assert len(labels) > 1 and not any("$" in label.get_text() for label in labels)
            boxes = [label.get_window_extent() for label in labels]
            assert not any(a.overlaps(b) for a, b in pairwise(boxes))


@pytest.mark.parametrize(
    ("first", "said"),
    [(0.4, "0.8 times"), (5e-6, "1/100,000 of"), (0.0, "0 times"), (nan, "0 times")],
)
def test_the_title_says_how_much_of_the_gradient_arrives(first: float, said: str) -> None:
    rows = [{"step": 1.0, "a": first, "b": 0.5}]
    title = drawn(gradient_norms, rows).get_suptitle()
    assert title == f"Gradient of the first layer: {said} that of the last layer (medians)"


def test_many_layers_with_long_names_have_room(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"stage{k}.very.long.name.of.a.layer" for k in range(40)]
    rows = [{"step": s, **dict(zip(names, rng.random(40), strict=True))} for s in range(1, 9)]
    by_layer = drawn(gradient_norms, rows).axes[1]
    boxes = [label.get_window_extent() for label in by_layer.get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))
    write_drawings({"gradient-norms": (gradient_norms, [rows])}, tmp_path / "figures")
    with Image.open(tmp_path / "figures" / "gradient-norms.png", formats=["PNG"]) as picture:
        assert picture.size[0] == 1500
