import io
import json

import numpy as np
from helpers import call

from seewhy.analysis.overview import analyse_predictions
from seewhy.cli.screen import written
from seewhy.cli.tables import analysis_table
from seewhy.evaluation.predictions import Predictions


def test_full_prints_the_references_figures_and_keeps_them_in_the_run(run, photos):
    said = call("evaluate", run, "--data", photos, "--full").out
    for line in (
        "accuracy", "misclassified (95% interval):", "confidence (95% interval)",
        "mean, correct", "mean, wrong", "least sure correct",
        "most sure wrong", "wrong above 90%", "macro mean", "95% interval of F1  images", "weighted mean",
        "weak slices: none tested",
    ):  # fmt: skip
        assert line in said
    mistakes = json.loads((run / "analysis" / "mistakes-val.json").read_text())["count"]
    assert ("most confused" in said) == bool(mistakes)
    assert ("labels are checked by `seewhy data labels`" in said) == bool(mistakes)
    stored = {path.name for path in (run / "analysis").iterdir()}
    assert stored >= {"review.csv", "review.html"}  # of mistakes, or saying that there are none
    parts = ("confidence", "curves", "mistakes", "slices", "causes")
    assert stored >= {f"{part}-val.json" for part in parts}
    slices = json.loads((run / "analysis" / "slices-val.json").read_text())
    assert slices["tested"] == 0  # parts of so few images are not tested
    drawn = {path.name for path in (run / "figures").iterdir()}
    assert drawn >= {
        *("class-heat-map-val.png", "ranking-val.png", "confidence-val.png"),
        *("confusion-rates-val.png", "confusion-val.png", "risk-coverage-val.png"),
    }


def test_many_classes_are_cut_in_the_table_of_mistakes():
    classes = tuple(f"c{number}" for number in range(60))
    logits, labels = np.eye(60, dtype=np.float32), np.arange(60)
    predictions = Predictions(logits, labels, classes, labels.astype(str))
    text = written(analysis_table(analyse_predictions(predictions)), io.StringIO())
    assert "c49" in text and "c50" not in text and "... and 10 more classes" in text


def test_full_json_adds_the_analysis_and_nothing_else(run, photos, tmp_path):
    plain = json.loads(call("evaluate", run, "--data", photos, "--json").out)
    arguments = ["--full", "--json", "--analysis", tmp_path / "here"]
    full = json.loads(call("evaluate", run, "--data", photos, *arguments).out)
    analysis = full.pop("analysis")
    assert full == plain and set(analysis) >= {"confidence", "curves", "mistakes"}
    assert (tmp_path / "here" / "analysis" / "mistakes-val.json").is_file()


def test_of_the_test_split_no_image_is_shown(run, photos, tmp_path):
    here = tmp_path / "here"
    arguments = ["--split", "test", "--full", "--analysis", here]
    call("evaluate", run, "--data", photos, *arguments)
    names = {path.name for path in (here / "figures").iterdir()}
    assert "confidence-test.png" in names
    assert not any(name.startswith(("worst-mistakes", "confused-pairs")) for name in names)


def test_a_report_of_before_is_named(run, photos):
    said = call("evaluate", run, "--data", photos).out
    assert "seewhy report" not in said
    (run / "report.html").write_text("of before")
    said = call("evaluate", run, "--data", photos, "--split", "test").out
    assert said.rstrip().endswith(f"seewhy report {run}")
