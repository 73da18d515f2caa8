import csv
import io
import json
import shutil

import pytest
from helpers import QUICK, write_folder

import seewhy
from seewhy.cli import main


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    return seewhy.train(photos, "regularized-cnn", out=out, overrides=QUICK).path


def call(capsys, *arguments, code=0):
    """Runs the command line in this process; gives what it wrote to standard output and error."""
    with pytest.raises(SystemExit) as exit:
        main([*map(str, arguments)])
    said = capsys.readouterr()
    assert (exit.value.code or 0) == code, said.err
    return said


def test_a_calibrated_model_answers_and_has_figures(run, photos, tmp_path, capsys):
    out, figures = tmp_path / "new.safetensors", tmp_path / "figures"
    said = call(
        capsys, "calibrate", run, "--data", photos, "--coverage", "0.5", "--out-of-scope", "digits",
        "--out", out, "--figures", figures,
    )  # fmt: skip
    assert "temperature" in said.out and "not sure           below" in said.out
    assert "ROC area of probability" in said.out
    assert {path.name for path in figures.iterdir()} == {"risk-coverage.png", "scope.png"}
    said = call(capsys, "predict", out, photos / "ant")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert list(rows[0])[-1] == "answer" and len(rows) == 20
    assert {row["answer"] for row in rows} <= {"ant", "bee", "cow", "not sure", "out of scope"}
    assert "answer" not in call(capsys, "predict", run, photos / "ant").out.splitlines()[0]


def test_json_is_one_object_with_the_digest(run, photos, tmp_path, capsys):
    out = tmp_path / "new.safetensors"
    said = call(capsys, "calibrate", run, "--data", photos, "--out", out, "--json")
    found = json.loads(said.out)
    assert found["digest"] == seewhy.load(out).digest and found["threshold"] is None
    assert found["ece_before"]["low"] <= found["ece_before"]["value"]


def test_wrong_use_is_refused_before_anything_is_read(run, photos, tmp_path, capsys):
    out = tmp_path / "new.safetensors"
    both = ["--precision", "0.9", "--coverage", "0.9"]
    said = call(capsys, "calibrate", run, "--data", photos, "--out", out, *both, code=2)
    assert "give one of them" in said.err and not out.exists()
    shutil.copy(run / "model.safetensors", out)
    said = call(capsys, "calibrate", run, "--data", photos, "--out", out, code=2)
    assert "already exists" in said.err
