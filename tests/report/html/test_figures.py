from dataclasses import replace

from report.html.conftest import made
from report.test_robustness_figures import tried

from seewhy.report.html.figures import draw_figures


def test_each_drawing_is_there_as_png_and_as_svg(tmp_path):
    stored, _ = made(("ant", "bee", "<b>"))
    test = {**stored.val, "split": "test", "reading": 1}
    draw_figures(replace(stored, metrics={**stored.metrics, "test": test}), tmp_path)
    drawn = {
        path.suffix: {p.stem for p in tmp_path.glob(f"*{path.suffix}")}
        for path in tmp_path.iterdir()
    }
    assert drawn[".png"] == drawn[".svg"]
    assert drawn[".svg"] >= {
        *("curves", "confusion-val", "confusion-test", "per-class-val", "ranking-val"),
        *("confusion-rates-val", "class-heat-map-val", "reliability-val", "risk-coverage-val"),
        "confidence-val",
    }


def test_robustness_is_drawn_where_it_was_run(tmp_path):
    stored, _ = made(("ant", "bee"))
    draw_figures(replace(stored, analysis={"robustness": tried()}), tmp_path)
    drawn = {path.stem for path in tmp_path.glob("robustness-*.svg")}
    assert drawn == {f"robustness-{n}" for n in ("attacks", "corruptions", "transformations")}


def test_without_analysis_what_there_is_is_drawn(tmp_path):
    draw_figures(replace(made(("ant", "bee"))[0], analysis={}), tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == {
        "curves",
        "confusion-val",
        "per-class-val",
    }
