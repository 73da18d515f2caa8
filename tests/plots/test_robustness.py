from typing import Any

import numpy as np
import pytest
from plots.test_analysis import all_on_the_page
from plots.test_metrics import ODD, drawn, picture

from seewhy.analysis.corruptions import CORRUPTIONS, examples
from seewhy.analysis.robustness import RADII, TRANSFORMATIONS
from seewhy.analysis.robustness_record import Adversarial, Curve, Robustness
from seewhy.evaluation.stats.intervals import wilson
from seewhy.plots.robustness import (
    adversarial_sheet,
    attack_curves,
    corruption_examples,
    corruption_map,
    draw_robustness,
    robustness_drawings,
    transformation_curves,
)


def tried(n: int = 40) -> Robustness:
    """A model that recognises ever less of `n` images; fog costs most, the last corruption nothing."""

    def falling(strengths: tuple[float, ...], by: float = 0.1) -> tuple[Any, ...]:
        return tuple(wilson(round(n * max(0.9 - by * k, 0)), n) for k in range(len(strengths)))

    costs = dict.fromkeys(CORRUPTIONS, 0.05) | {"fog": 0.2, "jpeg_compression": 0.0}
    return Robustness(
        n=n,
        clean=wilson(round(0.9 * n), n),
        corruptions={name: falling(tuple(range(5)), by) for name, by in costs.items()},
        mean_corruption_error=wilson(n // 4, n),
        lost=wilson(n // 10, n),
        worst="fog",
        transformations={
            name: Curve(about, strengths, falling(strengths))
            for name, (about, strengths, _) in TRANSFORMATIONS.items()
        },
        attacks={name: Curve("of 255", radii, falling(radii)) for name, radii in RADII.items()},
        attacked=dict.fromkeys(RADII, n),
    )


def adversarial(count: int = 3, side: int = 8) -> Adversarial:
    before = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    after = np.where(before < 128, before + 2, before - 2).astype(np.uint8)
    return Adversarial(2.0, before, after, np.arange(count), np.arange(count) + 1)


def test_the_map_has_the_worst_corruption_first_with_its_figures() -> None:
    found = tried()
    figure = drawn(corruption_map, found)
    assert all_on_the_page(figure)
    axes = figure.axes[0]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert rows[0] == "fog" and rows[-1] == "JPEG compression" and len(rows) == 15
    first = [text.get_text() for text in axes.texts if text.get_position()[1] == 0]
    values = [interval.value for interval in found.corruptions["fog"]]
    assert first == [f"{100 * v:.0f}" for v in [*values, float(np.mean(values))]]
    assert "Mean corruption error 25.0%" in figure.get_suptitle()


@pytest.mark.parametrize("draw", [transformation_curves, attack_curves])
def test_curves_are_the_stored_ones_with_their_intervals(draw: Any) -> None:
    found = tried()
    figure = drawn(draw, found)
    assert all_on_the_page(figure)
    part = found.attacks if draw is attack_curves else found.transformations
    lines = [line for axes in figure.axes for line in axes.lines if line.get_marker() == "o"]
    for line, curve in zip(lines, part.values(), strict=True):
        assert list(line.get_xdata()) == list(curve.strengths)
        assert list(line.get_ydata()) == [interval.value for interval in curve.accuracy]
    bands = [band for axes in figure.axes for band in axes.collections]
    assert len(bands) == len(part)


def test_the_difference_is_amplified_to_the_full_range() -> None:
    found = adversarial()
    figure = drawn(adversarial_sheet, found, ("ant", "bee", "cow", "dog"))
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(shown) == 9
    before, after, difference = shown[0], shown[3], shown[6]
    assert np.array_equal(before, found.before[0]) and np.array_equal(after, found.after[0])
    assert set(np.unique(difference)) == {0, 254}
    captions = [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    assert captions == ["ant", "bee", "cow", "bee", "cow", "dog"]
    assert "at most 2 of 255" in figure.get_suptitle()


def test_odd_names_and_a_single_image_are_drawn() -> None:
    count = len(ODD) - 1
    assert picture(adversarial_sheet(adversarial(count), ODD)).size[0] > 500
    assert all_on_the_page(drawn(adversarial_sheet, adversarial(1), ("w" * 60, "x" * 60)))


def test_the_examples_show_each_corruption_as_it_is_and_in_each_strength() -> None:
    found = examples(np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), np.uint8))
    figure = drawn(corruption_examples, found)
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 90 and np.array_equal(shown[5], found["gaussian_noise"][5])


def test_all_are_written_as_png_and_as_svg(tmp_path) -> None:
    found = tried()
    shown = {"fog": np.zeros((2, 8, 8, 3), np.uint8)}
    draw_robustness(found, shown, None, ("ant", "bee"), tmp_path / "without")
    names = {*robustness_drawings(found), "robustness-examples"}
    files = {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert {path.name for path in (tmp_path / "without").iterdir()} == files
    draw_robustness(found, shown, adversarial(1), ("ant", "bee"), tmp_path / "with")
    files |= {f"robustness-adversarial.{kind}" for kind in ("png", "svg")}
    assert {path.name for path in (tmp_path / "with").iterdir()} == files
