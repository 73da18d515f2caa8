from dataclasses import replace

import numpy as np
from page.conftest import made, with_analysis
from plots.test_metrics import measured, names, picture

from seewhy.analysis.causes import Causes, Explained
from seewhy.analysis.slices import Slice, Slices
from seewhy.evaluation.stats.intervals import Interval
from seewhy.plots.drawings import split_drawings
from seewhy.plots.style import write_drawings

MEASURED = {"confusion", "confusion-rates", "per-class", "class-heat-map"}
CAUSES = Causes(
    {"duplicate": 0, "label": 0, "confusion": 1}, (), None, (Explained(0, "confusion", (), ()),)
)
RATE = Interval(0.5, 0.4, 0.6)
SLICES = Slices(80, RATE, 1, (Slice("ant", ("class",), 40, 20, RATE, RATE, 0.2),))


def test_figures_alone_have_their_drawings_named_by_split() -> None:
    m = measured(names(3))
    stored = replace(m, reliability=None)
    assert set(split_drawings(stored)) == {f"{name}-val" for name in MEASURED}
    assert set(split_drawings(m)) == {f"{name}-val" for name in (*MEASURED, "reliability")}


def test_all_that_is_known_is_drawn_as_png_and_svg(tmp_path) -> None:
    stored = with_analysis(made(("ant", "bee", "<b>"))[0], causes=CAUSES, slices=SLICES)
    images = np.zeros((300, 8, 8, 3), np.uint8)
    drawings = split_drawings(stored.val.metrics, stored.val.analysis, images)
    others = {"reliability", "ranking", "confidence", "risk-coverage", "slices", "causes"}
    others |= {"worst-mistakes", "confused-pairs"}
    assert set(drawings) == {f"{name}-val" for name in MEASURED | others}
    write_drawings(drawings, tmp_path / "figures")
    for name in drawings:
        assert picture((tmp_path / "figures" / f"{name}.png").read_bytes()).format == "PNG"
        assert b"<svg" in (tmp_path / "figures" / f"{name}.svg").read_bytes()


def test_what_is_not_there_is_not_drawn() -> None:
    stored = made(("ant", "bee"))[0]
    none = replace(stored.val.analysis.mistakes, worst=(), pairs=())
    empty = with_analysis(
        stored,
        slices=replace(SLICES, tested=0, slices=()),
        causes=replace(CAUSES, mistakes=()),
        mistakes=none,
    )
    analysed = {*MEASURED, "reliability", "ranking", "confidence", "risk-coverage"}
    images = np.zeros((300, 8, 8, 3), np.uint8)
    for run, shown in ((empty, images), (stored, None)):
        drawings = split_drawings(run.val.metrics, run.val.analysis, shown)
        assert set(drawings) == {f"{name}-val" for name in analysed}
