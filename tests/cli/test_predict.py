"""Lists of images as people and programs write them; names in any bytes; one row per image."""

import csv
import os
import shutil

import pytest
from helpers import call


@pytest.fixture
def images(photos, tmp_path, monkeypatch):
    """Three images with odd names in the working directory, and their names."""
    names = ["a b.png", "[1] caf\u00e9.png", "c.PNG"]
    for name in names:
        shutil.copy(photos / "ant" / "000.png", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return names


def paths(done):
    rows = list(csv.DictReader(done.out.splitlines()))
    assert all(row["status"] == "ok" for row in rows)
    return [row["path"] for row in rows]


FORMS = {
    "plain": ("{}\n", "utf-8"),
    "Windows": ("{}\r\n", "utf-8"),
    "a mark": ("{}\r\n", "utf-8-sig"),
    "Notepad's Unicode": ("{}\r\n", "utf-16"),
    "without a mark": ("{}\n", "utf-16-le"),
    "Windows-1252": ("{}\r\n", "cp1252"),
    "old Macintosh": ("{}\r", "utf-8"),
    "find -print0": ("{}\0", "utf-8"),
    "quotes": ('"{}"\n', "utf-8"),
    "single quotes": ("'{}'\n", "utf-8"),
    "blanks and blank lines": (" \t\n  {}  \n\n", "utf-8"),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_list_is_read_in_every_form(trained, images, form):
    line, encoding = FORMS[form]
    data = "".join(line.format(name) for name in images).encode(encoding)
    assert paths(call("predict", trained, "-", stdin=data)) == images


def test_a_list_in_a_file_is_relative_to_here_or_to_itself(trained, images, tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "own.png").write_bytes((tmp_path / images[0]).read_bytes())
    (tmp_path / "lists" / "all.TXT").write_text(f"{images[0]}\r\nown.png\r\n")
    found = paths(call("predict", trained, "lists/all.TXT", images[2]))
    assert found == [images[0], "lists/own.png", images[2]]


@pytest.mark.parametrize("stdin", ["", "\n \r\n", b"\xff\xfe"])
def test_an_empty_list_is_said_to_be_empty(trained, images, tmp_path, stdin):
    done = call("predict", trained, "-", stdin=stdin, code=2)
    assert "the list on standard input is empty: expected a path per line" in done.err
    (tmp_path / "none.txt").write_bytes(stdin if isinstance(stdin, bytes) else stdin.encode())
    assert "the list none.txt is empty" in call("predict", trained, "none.txt", code=2).err


def test_a_list_names_no_list_such_as_itself(trained, images, tmp_path):
    (tmp_path / "all.txt").write_text(f"{images[0]}\nall.txt\n")
    told = call("predict", trained, "all.txt", code=2).err
    assert "the list all.txt names the list all.txt: expected images, folders and patterns" in told


def test_names_that_are_not_utf_8_are_escaped_and_read_back(trained, images, tmp_path):
    raw = os.fsdecode(b"caf\xe9.png")
    os.rename(images[0], raw)
    out = tmp_path / "rows.csv"
    call("predict", trained, raw, images[1], "--out", out)
    rows = list(csv.DictReader(out.read_text("utf-8").splitlines()))
    assert [row["path"] for row in rows] == ["caf\\udce9.png", images[1]]
    listed = "".join(f"{row['path']}\n" for row in rows)
    for stdin in (listed, f"{raw}\n{images[1]}\n"):
        assert paths(call("predict", trained, "-", stdin=stdin)) == ["caf\\udce9.png", images[1]]


@pytest.mark.parametrize("words", [("predict", "MODEL", ""), ("train", "--data", "")])
def test_an_empty_path_is_not_the_working_directory(words, trained, photos, monkeypatch):
    monkeypatch.chdir(photos)
    given = [str(trained) if word == "MODEL" else word for word in words]
    assert "a path is empty" in call(*given, code=2).err
