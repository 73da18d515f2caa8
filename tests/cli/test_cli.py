import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers import call

import seewhy
from seewhy.config.recipe import options

SETTINGS = ["--data.size", "16", "--epochs", "2", "--train.batch_size", "16", "--amp", "fp32"]


def test_help_names_every_verb_and_train_every_field():
    shown = call("--help").out
    assert all(
        verb in shown for verb in ("train", "evaluate", "predict", "models", "recipes", "info")
    )
    shown = call("train", "--help").out
    assert all(f"--{option.name}" in shown for option in options())


def test_help_shows_values_as_they_are_typed_and_the_defaults_of_the_verb():
    shown = " ".join(call("train", "--help").out.split())
    assert "annotation" not in shown and "--model.channels list of int|none" in shown
    assert "auto|onnx|openvino|torch" in " ".join(call("serve", "--help").out.split())
    for verb, size in (("stats", 128), ("check", 128), ("pack", 224)):
        shown = " ".join(call("data", verb, "--help").out.split())
        assert f"theirs [{size}]" in shown and "or 32" not in shown
    assert "--weights" not in call("models", "show", "--help").out  # no option of any network


def test_train_ends_with_figures_images_and_the_next_command(run, photos, tmp_path):
    out = tmp_path / "run"
    settings = [*SETTINGS, "--train.gradient_norms", "2"]
    done = call("train", "--recipe", "regularized-cnn", "--data", photos, "--out", out, *settings)
    assert "accuracy" in done.out and f"seewhy evaluate {out}" in done.out
    assert "images, 3 classes" in done.err and "epoch   2/2" in done.err
    drawn = {p.name for p in (out / "figures").iterdir()}
    assert {"curves.png", "confusion-val.png", "gradient-norms.png"} <= drawn


def test_evaluate_writes_one_json_object_with_the_promised_keys(run, photos):
    figures = json.loads(call("evaluate", run, "--data", photos, "--split", "val", "--json").out)
    assert set(figures) >= {
        *("split", "n", "accuracy", "balanced_accuracy", "top5", "macro", "weighted", "per_class"),
        *("confusion", "classes", "nll", "ece", "auroc"),
    }
    assert set(figures["accuracy"]) == {"value", "low", "high"} and figures["top5"] is None
    assert set(figures["per_class"]["ant"]) >= {"precision", "recall", "f1", "support", "accuracy"}
    assert figures["classes"] == ["ant", "bee", "cow"]


def test_evaluate_writes_csv_and_never_over_a_file(run, photos, tmp_path):
    out = tmp_path / "out.csv"
    table = call("evaluate", run, "--data", photos, "--split", "train", "--out", out).out
    assert "95% interval" in table
    with open(out, newline="") as file:
        rows = list(csv.DictReader(file))
    assert set(rows[0]) >= {"id", "label", "predicted", "confidence"} and len(rows) > 20
    before = out.read_bytes()
    call("evaluate", run, "--data", photos, "--split", "train", "--out", out, code=2)
    assert out.read_bytes() == before


def test_predict_gives_a_row_an_input_in_order_also_for_bad_ones(run, photos, tmp_path):
    bad = tmp_path / "=bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff nothing")
    os.mkfifo(tmp_path / "pipe.png")
    inputs = [
        photos / "bee/001.png",
        bad,
        tmp_path / "pipe.png",
        photos / "none.png",
        photos / "ant/002.png",
    ]
    done = call("predict", run, *inputs, "--top-k", "2", code=1)
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [r["status"] for r in rows] == ["ok", "error", "skipped", "error", "ok"]
    assert [r["code"] for r in rows] == ["", "undecodable", "not_a_file", "not_found", ""]
    assert list(rows[0]) == [
        *("path", "status", "label", "confidence", "label_2", "confidence_2"),
        *("model_digest", "code", "error"),
    ]
    assert [r["path"] for r in rows] == [str(p) for p in inputs]
    assert rows[0]["model_digest"] == seewhy.load(run).digest
    assert float(rows[0]["confidence"]) >= float(rows[0]["confidence_2"])


def test_predict_takes_folders_globs_and_a_list_and_writes_jsonl(run, photos, tmp_path):
    out = tmp_path / "rows.jsonl"
    folder = call("predict", run, photos / "bee", "--out", out)
    assert folder.out == ""
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 12 and rows[0]["code"] is None and rows[0]["label"] in ("ant", "bee", "cow")
    globbed = call("predict", run, f"{photos}/*/000.png").out.splitlines()
    assert len(globbed) == 1 + 3
    listed = call("predict", run, "-", stdin=f"{photos}/ant/000.png\n\n{photos}/bee/000.png\n")
    assert len(listed.out.splitlines()) == 1 + 2
    call("predict", run, photos / "bee", "--out", out, code=2)
    assert len(out.read_text().splitlines()) == 12


def test_a_formula_in_a_file_name_is_not_one_in_the_csv(run, photos, tmp_path, monkeypatch):
    (tmp_path / "=1+1.png").write_bytes((photos / "bee/001.png").read_bytes())
    monkeypatch.chdir(tmp_path)
    row = call("predict", run, "=1+1.png").out.splitlines()[1]
    assert row.startswith("'=1+1.png,ok")


def test_a_reader_that_has_seen_enough_is_no_failure(exported, photos):
    command = f'{sys.executable} -m seewhy predict "$@" | head -1; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", command, "bash", exported, *[photos] * 30], capture_output=True, text=True
    )
    assert done.stdout.startswith("path,status") and done.stderr.count("\n") <= 1
    assert "Error" not in done.stderr and done.returncode in (0, 141)


def test_a_line_break_in_a_file_name_breaks_no_row(run, photos, tmp_path):
    image = tmp_path / "images" / "a\rb\n.png"
    image.parent.mkdir()
    image.write_bytes((photos / "bee/001.png").read_bytes())
    call("predict", run, image.parent, "--out", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        assert [row["path"] for row in csv.DictReader(file)] == [str(image)]


def test_other_files_of_a_folder_are_counted(run, photos, tmp_path):
    images = shutil.copytree(photos / "bee", tmp_path / "images")
    (images / "notes.txt").write_text("taken in May")
    done = call("predict", run, images)
    assert len(done.out.splitlines()) == 1 + 12 and "1 other file ignored" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--recipe", "none-such"], "no recipe"),
        (["train", "--train.lrr", "3"], "--train.lr"),
        (["train", "--set", "train.lr"], "expected section.key=value"),
        (["train", "--set", "train.lrr=3"], "did you mean train.lr"),
        (["train", "--train.epochs", "0", "--data", "digits"], "train.epochs"),
        (["train", "--data", "/no/such/place", "--recipe", "digits"], "/no/such/place"),
        (["evaluate", "none-such", "--data", "digits"], "shipped model "),
        (["predict", "none-such", "x.jpg"], "shipped model "),
        (["models", "show", "resnet19"], "did you mean resnet18"),
        (["recipes", "show", "none-such"], "no recipe"),
        (["dance"], "no verb 'dance'"),
        (["evaluat"], "did you mean evaluate?"),
        (["check", "photos"], "do you mean data check?"),
        (["train", "photos"], "name the data by --data"),
        (["data", "check", "my", "photos"], "put a name with spaces in quotes"),
        (["retrain", "photos", "--data", "x", "--class-limit", "nan"], "nan is not a number"),
        (["predict", "fast", "x.png", "--explain-most", "3"], "--explain-most is for --explain"),
        (
            ["compress", "fast", "--data", "digits", "--out", "x", "--methods=int8", "--epochs=3"],
            "--epochs is for other --methods than int8",
        ),
        (["ensemble", "fast", "best", "--out", "x", "--max-bad", "1"], "give --data, too"),
        (
            ["calibrate", "fast", "--data", "digits", "--out", "x", "--force"],
            "--force is for an OOD score",
        ),
        (["models", "--size", "64", "show", "speednet"], "--size has no effect before show"),
        (["cache", "--json", "list"], "--json has no effect here"),
        (["recipes", "--json", "show", "fast"], "--json lists the recipes"),
    ],
)
def test_wrong_use_is_one_line_that_helps_and_exit_2(arguments, message):
    done = call(*arguments, code=2)
    assert message in done.err and done.out == ""


def test_an_error_of_several_lines_has_them(tmp_path):
    (tmp_path / "data").mkdir()
    done = call("train", "--recipe", "digits", "--data", tmp_path / "data", code=2)
    assert "\\n" not in done.err and len(done.err.splitlines()) > 3


def test_one_of_several_processes_shows_no_stacks_of_libraries(monkeypatch):
    group = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"}
    for name, value in (group | {"TORCH_CPP_LOG_LEVEL": ""}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TORCH_CPP_LOG_LEVEL")
    call("recipes")
    assert os.environ["TORCH_CPP_LOG_LEVEL"] == "ERROR"


def test_models_recipes_and_info(run):
    assert "545,098" in call("models").out
    assert set(json.loads(call("models", "--json").out)["networks"]) >= {
        "simple_cnn",
        "resnet18",
    }
    assert "32x32x32" in call("models", "show", "simple_cnn").out
    assert "simple-cnn" in call("recipes").out
    assert "batch_size: 64" in call("recipes", "show", "simple-cnn").out
    facts = json.loads(call("info", run, "--json").out)
    assert facts["classes"] == ["ant", "bee", "cow"] and facts["digest"] == seewhy.load(run).digest
    assert "regularized_cnn" in call("info", run).out


@pytest.mark.parametrize(
    ("number", "code"),
    [pytest.param(signal.SIGINT, 130, marks=pytest.mark.long), (signal.SIGTERM, 143)],
)
def test_a_stopped_training_is_saved_and_resumed(photos, tmp_path, monkeypatch, number, code):
    out = tmp_path / "run"
    arguments = ["train", "--recipe", "regularized-cnn", "--data", str(photos), "--out", str(out)]
    arguments += [*SETTINGS, "--epochs", "3000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "seewhy", *arguments], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (out / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code and "--resume" in said and "Traceback" not in said
    state = json.loads(max(out.glob("checkpoints/*/state.json"), key=os.path.getmtime).read_text())
    before = state["progress"]["step"]

    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("seewhy.workflows.train.training_loop", stop)
    assert f"resumed at step {before:,}" in call(*arguments, "--resume", code=130).err


def test_work_that_is_stopped_says_so_once(run, photos, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("seewhy.workflows.robustness.measure_robustness", stop)
    assert call("robustness", run, "--data", photos, code=130).err.endswith("\ninterrupted\n")
    monkeypatch.setattr("seewhy.workflows.train.training_loop", stop)
    arguments = ["--recipe", "simple-cnn", "--data", photos, "--out", run.parent / "other"]
    said = call("train", *arguments, *SETTINGS, code=130).err
    assert said.count("interrupted") == 1 and "interrupted before" in said


def test_a_training_that_diverges_says_what_to_do(photos, tmp_path):
    out = tmp_path / "run"
    arguments = ["--data", photos, "--out", out, *SETTINGS, "--train.lr", "1e30", "--epochs", "9"]
    done = call("train", "--recipe", "simple-cnn", *arguments, code=7)
    assert "--train.lr 1e+29" in done.err and not (out / "model.safetensors").exists()
