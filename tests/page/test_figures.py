from dataclasses import replace

import numpy as np
from page.conftest import made
from plots.test_robustness import tried

from seewhy.page import charts
from seewhy.page.figures import draw_figures


def test_each_drawing_is_there_as_png_and_as_svg(tmp_path):
    stored, _ = made(("ant", "bee", "<b>"))
    test = {**stored.val, "split": "test", "reading": 1}
    told = {name: stored.analysis[name] for name in ("confidence", "curves", "mistakes")}
    both = replace(stored, metrics={**stored.metrics, "test": test}, test_analysis=told)
    draw_figures(both, np.zeros((300, 8, 8, 3), np.uint8), tmp_path)
    drawn = {
        path.suffix: {p.stem for p in tmp_path.glob(f"*{path.suffix}")}
        for path in tmp_path.iterdir()
    }
    assert drawn[".png"] == drawn[".svg"]
    each = {
        *("confusion", "confusion-rates", "per-class", "class-heat-map"),
        *("reliability", "ranking", "confidence", "risk-coverage"),
    }
    pictures = {"worst-mistakes-val", "confused-pairs-val"}  # those of test stay covered
    assert drawn[".svg"] == {f"{name}-{split}" for name in each for split in ("val", "test")} | {
        "curves",
        *pictures,
    }


def test_bins_that_were_stored_without_intervals_are_drawn(tmp_path):
    stored, _ = made(("ant", "bee"))
    bins = stored.analysis["confidence"]["reliability"]
    del bins["low"], bins["high"]
    draw_figures(stored, None, tmp_path)
    assert (tmp_path / "reliability-val.png").is_file()
    assert "whisker" in charts.reliability(bins)


def test_robustness_is_drawn_where_it_was_run(tmp_path):
    stored, _ = made(("ant", "bee"))
    draw_figures(replace(stored, analysis={"robustness": tried()}), None, tmp_path)
    drawn = {path.stem for path in tmp_path.glob("robustness-*.svg")}
    assert drawn == {f"robustness-{n}" for n in ("attacks", "corruptions", "transformations")}


def test_without_analysis_what_there_is_is_drawn(tmp_path):
    draw_figures(replace(made(("ant", "bee"))[0], analysis={}), None, tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {
        "curves",
        *("confusion-val", "confusion-rates-val", "per-class-val", "class-heat-map-val"),
    }
