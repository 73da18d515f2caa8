from dataclasses import replace

import numpy as np
from page.conftest import made, with_analysis
from plots.test_robustness import tried

from seewhy.analysis.confidence import Confidence
from seewhy.files import from_json, to_json
from seewhy.page.figures import draw_figures
from seewhy.page.stored import Results


def _unanalysed(stored):
    metrics = replace(stored.val.metrics, reliability=None)  # which metrics.json does not have
    return replace(stored, val=Results(metrics))


def test_each_drawing_is_there_as_png_and_as_svg(tmp_path):
    stored, _ = made(("ant", "bee", "<b>"))
    test = replace(stored.val, metrics=replace(stored.val.metrics, split="test"), reading=1)
    both = replace(stored, test=test)
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
    sure = to_json(stored.confidence)
    del sure["reliability"]["low"], sure["reliability"]["high"]
    draw_figures(with_analysis(stored, confidence=from_json(Confidence, sure)), None, tmp_path)
    assert (tmp_path / "reliability-val.png").is_file()


def test_robustness_is_drawn_where_it_was_run(tmp_path):
    stored, _ = made(("ant", "bee"))
    draw_figures(replace(_unanalysed(stored), robustness=tried()), None, tmp_path)
    drawn = {path.stem for path in tmp_path.glob("robustness-*.svg")}
    assert drawn == {f"robustness-{n}" for n in ("attacks", "corruptions", "transformations")}


def test_without_analysis_what_there_is_is_drawn(tmp_path):
    draw_figures(_unanalysed(made(("ant", "bee"))[0]), None, tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {
        "curves",
        *("confusion-val", "confusion-rates-val", "per-class-val", "class-heat-map-val"),
    }
