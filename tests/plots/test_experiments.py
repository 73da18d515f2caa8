import io
from math import nan
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plots.test_metrics import drawn

from seewhy.analysis.experiments.ablation import Ablation, ResultRow
from seewhy.analysis.experiments.learning_curve import LearningCurve, Share, fit
from seewhy.analysis.experiments.lr_range import LrRange
from seewhy.analysis.experiments.tuning import Contender, Trial, Tuning
from seewhy.evaluation.stats.intervals import Interval
from seewhy.evaluation.stats.summary import difference, summarise
from seewhy.plots import experiments as figures
from seewhy.plots.style import BLUE, GREY, VERMILION

ODD = "$x_1$ 日本 \x1b[31m" + "w" * 60
BASE = [0.70, 0.71, 0.72]


def row(name, scores, p=None, mode="max"):
    return ResultRow(
        name=name,
        changes="",
        after=None if p is None else "base",
        runs={},
        diverged=(),
        figures={"score": summarise(scores)} if scores else {},
        difference=None if p is None or not scores else difference(scores, BASE),
        p=p,
    )


def ablation(mode="max", metric="accuracy"):
    rows = (
        row("base", BASE),
        row("up", [0.80, 0.82, 0.83], 0.01),
        row("down", [0.60, 0.62, 0.61], 0.01),
        row(ODD, [0.71, 0.70, 0.73], 0.5),
        row("lost", [], nan),
    )
    return Ablation(Path("a"), f"{ODD} " * 3, metric, mode, (0, 1, 2), None, rows)


def tuning(values, states=None, mode="max"):
    states = states or ["complete"] * len(values)
    trials = tuple(
        Trial(number, state, value, 3, {}, Path())
        for number, (value, state) in enumerate(zip(values, states, strict=True))
    )
    contenders = (
        Contender("base", {}, (None,) * 3, summarise(BASE), None),
        Contender("trial 1", {}, (None,) * 3, summarise(BASE), difference(BASE, BASE)),
    )
    return Tuning(Path(), "s", "accuracy", mode, trials, {"train.lr": 0.7, ODD: 0.3}, contenders)


def lr_range():
    rates = np.geomspace(1e-5, 1, 100)
    losses = 2.3 - 1 / (1 + (0.01 / rates)) + (rates > 0.5) * 5
    return LrRange(Path("found"), "mine", rates, losses, losses, 0.01, 0.4)


def curve(values):
    shares = tuple(
        Share(size / 1000, size, (), summarise(found, 0, 1))
        for size, found in zip((250, 500, 1000), values, strict=True)
    )
    return LearningCurve(Path(), "accuracy", shares, fit(shares, 500))


HISTORIES = [[{"epoch": e, "val_accuracy": 0.5 + 0.1 * e} for e in range(1, n)] for n in (4, 6)]
ENDS = {"seed 0": Interval(0.8, 0.7, 0.9), "seed 1": Interval(0.9, 0.8, 0.95)}

PICTURES = [
    (figures.repeats, HISTORIES, ENDS, ("mean", Interval(0.85, nan, nan)), "two"),
    (figures.ablation, ablation()),
    (figures.ablation, ablation("min", "loss")),
    (figures.tuning_history, tuning([0.1, 0.9, 0.5, nan], ["complete"] * 2 + ["pruned", "failed"])),
    (figures.tuning_history, tuning([0.5])),
    (figures.importance, tuning([0.5])),
    (figures.lr_range, lr_range()),
    (figures.learning_curve, curve([[0.8, 0.81], [0.85, 0.86], [0.9, 0.91]])),
    (
        figures.learning_curve,
        LearningCurve(Path(), "accuracy", curve([[0.8], [0.9], [1.0]]).shares, None),
    ),
]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture[0].__name__)
def test_every_drawing_is_a_png_that_is_not_blank(picture):
    draw, *arguments = picture
    image = Image.open(io.BytesIO(draw(*arguments)))
    assert image.format == "PNG" and image.width <= 1600
    assert np.asarray(image.convert("L")).std() > 5


def colours(axes):
    return [line.get_color() for line in axes.lines if line.get_marker() == "|"]


def test_differences_are_coloured_by_what_may_be_said_of_them():
    for mode, better, worse in (("max", BLUE, VERMILION), ("min", VERMILION, BLUE)):
        right = drawn(figures.ablation, ablation(mode)).axes[1]
        assert colours(right) == [better, worse, GREY]


def test_far_worse_trials_are_drawn_at_the_edge_and_the_best_rises():
    left = drawn(figures.tuning_history, tuning([0.9, 0.01, 0.91, 0.89, 0.95])).axes[0]
    heights = next(line for line in left.lines if line.get_label() == "complete").get_ydata()
    best = next(line for line in left.lines if line.get_label() == "best so far").get_ydata()
    assert 0.7 < min(heights) == heights[1] and list(heights[2:]) == [0.91, 0.89, 0.95]
    assert list(best) == [0.9, 0.9, 0.91, 0.91, 0.95]
    left = drawn(figures.tuning_history, tuning([0.5, 0.4, 0.6, 9.0], mode="min")).axes[0]
    best = next(line for line in left.lines if line.get_label() == "best so far").get_ydata()
    assert list(best) == [0.5, 0.4, 0.4, 0.4]


def test_the_titles_say_what_was_found():
    titles = {
        figures.lr_range: (lr_range(), "mine: suggested learning rate 0.01"),
        figures.learning_curve: (
            curve([[0.8, 0.81], [0.85, 0.86], [0.9, 0.91]]),
            "More images would help",
        ),
        figures.tuning_history: (tuning([0.5]), "1 trial: no trial is better than the base"),
    }
    for draw, (result, title) in titles.items():
        assert drawn(draw, result).get_suptitle() == title
