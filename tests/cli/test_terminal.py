"""What a person sees in a terminal: real ones, of 80 and of 40 columns."""

import shutil

import pytest
from cli.terminals import in_terminal
from helpers import QUICK, call


@pytest.fixture
def images(photos, tmp_path):
    """A folder of two images and a file that is none, with odd names."""
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(photos / "ant" / "000.png", folder / "[red]a[red].png")
    shutil.copy(photos / "bee" / "000.png", folder / "日本.png")
    (folder / "z\x1b[31m.png").write_text("no image")
    return folder


@pytest.mark.parametrize("columns", [80, 40])
def test_predict_shows_a_table_with_the_errors_in_it(exported, images, monkeypatch, columns):
    monkeypatch.chdir(images)
    code, text = in_terminal("predict", exported, ".", columns=columns)
    assert code == 1 and "path,status" not in text and "\x1b" not in text
    assert "[red]a[red].png" in text and "日本.png" in text and r"z\x1b[31m.png" in text
    assert "█" in text and "error" in text and "unsupported_format" in text
    assert "3 images: " in text and "1 of 3 images could not be read" in text
    assert ("image " in text.splitlines()[1]) == (columns == 80)


def test_predict_writes_csv_where_a_file_is_named(exported, images, tmp_path):
    code, text = in_terminal("predict", exported, images, "--out", tmp_path / "rows.csv")
    assert code == 1 and "█" not in text and "日本" not in text
    assert (tmp_path / "rows.csv").read_text().startswith("path,status,label,")


def test_train_shows_its_curve_and_ends_with_what_to_do_next(photos, tmp_path):
    settings = [f"--{name}={value}" for name, value in {**QUICK, "train.epochs": 12}.items()]
    out = tmp_path / "run"
    code, text = in_terminal(
        "train", "--recipe", "regularized-cnn", "--data", photos, "--out", out, *settings
    )
    assert code == 0 and "next: validation in " in text and "then the report" in text
    assert "writing the report" in text
    assert "validation accuracy " in text and "▁" in text and "epoch  12/12" in text
    assert f"next: open {out}" in text and f"seewhy predict {out} IMAGE" in text
    again = call("evaluate", out, "--data", photos, "--full").out
    assert "does not show this yet" not in again  # the report has it
    assert (
        "does not show this yet" in call("evaluate", out, "--data", photos, "--split", "test").out
    )


def test_a_table_is_wrapped_on_a_narrow_terminal():
    code, text = in_terminal("recipes", columns=40)
    assert code == 0 and max(map(len, text.splitlines())) <= 40
    assert text.split() == call("recipes").out.split()
