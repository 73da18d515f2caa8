import csv
import io
import json
import shutil

from helpers import call

import seewhy


def test_a_calibrated_model_answers_and_has_figures(trained, photos, tmp_path):
    out, figures = tmp_path / "new.safetensors", tmp_path / "figures"
    said = call("calibrate", trained, "--data", photos, "--coverage", "0.5", "--out-of-scope", "digits",
        "--out", out, "--figures", figures,
    )  # fmt: skip
    assert "temperature" in said.out and "not sure            below" in said.out
    assert "ROC area of probability" in said.out
    assert {path.name for path in figures.iterdir()} == {"risk-coverage.png", "scope.png"}
    said = call("predict", out, photos / "ant")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert list(rows[0])[-1] == "answer" and len(rows) == 12
    assert {row["answer"] for row in rows} <= {
        "ant",
        "bee",
        "cow",
        "not sure",
        "out of distribution",
    }
    assert "answer" not in call("predict", trained, photos / "ant").out.splitlines()[0]
    # Neither has an ensemble, whose members' thresholds are of other confidences; and it says so.
    said = call("predict", f"{out}+{trained}", photos / "ant")
    assert "answer" not in said.out.splitlines()[0] and "has no answer column" in said.err
    assert "answer" not in call("predict", f"{trained}+{trained}", photos / "ant").err


def test_json_is_one_object_with_the_digest(trained, photos, tmp_path):
    out = tmp_path / "new.safetensors"
    said = call("calibrate", trained, "--data", photos, "--out", out, "--json")
    found = json.loads(said.out)
    assert found["digest"] == seewhy.load(out).digest and found["threshold"] is None
    assert found["ece_before"]["reason"] == "too few images" and found["ece_before"]["low"] is None


def test_wrong_use_is_refused_before_anything_is_read(trained, photos, tmp_path):
    out = tmp_path / "new.safetensors"
    both = ["--precision", "0.9", "--coverage", "0.9"]
    said = call("calibrate", trained, "--data", photos, "--out", out, *both, code=2)
    assert "give one of them" in said.err and not out.exists()
    shutil.copy(trained / "model.safetensors", out)
    said = call("calibrate", trained, "--data", photos, "--out", out, code=2)
    assert "already exists" in said.err
