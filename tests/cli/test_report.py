import json
import re
import shutil

import pytest
from helpers import QUICK, call, write_folder
from PIL import Image

import seewhy
from seewhy.errors import DataError, UsageError
from seewhy.run import Run


def test_the_page_has_images_and_each_drawing_lies_in_figures_twice(run):
    said = call("report", run).out
    assert said.strip() == str(run / "report.html")
    html = (run / "report.html").read_text("utf-8")
    assert 'id="images"' in html and "Content-Security-Policy" in html
    for name in ("curves", "confusion-val", "per-class-val"):
        assert (run / "figures" / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
        assert b"<svg" in (run / "figures" / f"{name}.svg").read_bytes()


@pytest.mark.parametrize("full", [False, True])
def test_each_drawing_that_the_page_names_is_there(run, photos, full):
    if full:
        call("evaluate", run, "--data", photos, "--full")
    call("report", run)
    named = re.findall(r'href="(figures/[^"]+)"', (run / "report.html").read_text("utf-8"))
    assert named and all((run / name).is_file() for name in named)


def test_without_its_data_a_report_has_no_images_and_replaces_none(run, tmp_path):
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("photos", "elsewhere"))
    page = run / "report.html"
    call("report", run)
    assert 'id="images"' not in page.read_text("utf-8")
    page.write_text("with images")
    refused = call("report", run, code=2).err
    assert "is kept" in refused and "--data" in refused and page.read_text() == "with images"
    assert "without images" in call("report", run, "--out", tmp_path / "other.html").err


def test_a_report_finds_the_data_of_its_run_from_elsewhere(run, photos, tmp_path, monkeypatch):
    """A path that was given relative to where the training ran."""
    config, environment = run / "config.yaml", run / "environment.json"
    config.write_text(config.read_text().replace(str(photos), photos.name))
    environment.write_text(json.dumps({**Run(run).environment, "directory": str(photos.parent)}))
    monkeypatch.chdir(tmp_path)
    call("report", run)
    assert 'id="images"' in (run / "report.html").read_text("utf-8")


def test_other_data_are_refused(run, tmp_path):
    other = write_folder(tmp_path / "other", count=12, seed=5)
    shutil.move(other / "ant" / "000.png", other / "ant" / "renamed.png")
    with pytest.raises(DataError, match="does not have the validation images"):
        seewhy.report(run, other)


def test_no_finished_run_is_named(tmp_path):
    with pytest.raises(UsageError, match="is not a finished run") as caught:
        seewhy.report(tmp_path)
    assert "--resume" not in str(caught.value), "there is nothing to resume"


@pytest.fixture
def train(photos, tmp_path):
    """Trains by the command line, which must end with a code, and gives its directory and what it said."""
    flags = [f"--{name}={value}" for name, value in QUICK.items()]
    out = tmp_path / "run"

    def train(code):
        arguments = ["train", "--recipe", "regularized-cnn", "--data", photos, "--json", *flags]
        printed = call(*arguments, "--out", out, code=code)
        json.loads(printed.out)
        return out, printed.err

    return train


def failing(monkeypatch, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr("seewhy.report", fail)


def test_a_training_ends_with_its_report(rendered, train):
    out, _ = train(code=0)
    assert (out / "report.html").is_file()
    assert (out / "analysis" / "mistakes-val.json").is_file()
    for path in (out / "figures").glob("*.png"):
        with Image.open(path, formats=["PNG"]) as image:
            assert image.size[0] > 500, path


def test_a_report_that_fails_by_our_mistake_says_where_its_traceback_is(train, monkeypatch):
    failing(monkeypatch, RuntimeError("cannot allocate a view"))
    out, shown = train(code=1)
    assert "its report failed: RuntimeError: cannot allocate a view" in shown
    assert f"its traceback is in {out / 'log.txt'}" in shown
    log = (out / "log.txt").read_text().splitlines()
    assert any(line.endswith("Traceback (most recent call last):") for line in log)
    assert log[-1].endswith("RuntimeError: cannot allocate a view")
    assert (out / "model.safetensors").is_file()


def test_a_report_that_the_user_can_put_right_is_one_line(train, monkeypatch):
    failing(monkeypatch, DataError("no space for it"))
    out, shown = train(code=0)
    assert "its report failed: no space for it (`seewhy report" in shown
    assert "Traceback" not in (out / "log.txt").read_text()
    assert (out / "model.safetensors").is_file()


def test_a_net_that_grad_cam_cannot_explain_has_its_images_without_maps(run, photos, monkeypatch):
    def refuse(*arguments):
        raise UsageError("no features")

    monkeypatch.setattr("seewhy.workflows.report.grad_cam", refuse)
    assert "without maps: no features" in call("report", run, "--data", photos).err
    assert 'id="images"' in (run / "report.html").read_text("utf-8")
