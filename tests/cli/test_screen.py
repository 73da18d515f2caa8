"""Lines and tables fit the terminal; in a pipe they are plain text of any width."""

import io

import pytest
from cli.terminals import plain

from seewhy.cli.screen import Rows, facts, written

NAMES = ("fast", "runs/" + "a-very-long-name-" * 6)
NUMBERS = ("1,234,567", "12.34", "0.0001", "87.5%", "1,000,000", "2.5")
TITLES = ("model", "number of parameters", "ms", "log loss", "accuracy", "images/s", "MB")
TABLE = Rows([TITLES, *((name, *NUMBERS) for name in NAMES)])


def test_a_pipe_gets_plain_text_without_a_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    lines = written(["a " * 200, "", TABLE], io.StringIO()).splitlines()
    assert lines[0] == ("a " * 200).rstrip() and lines[1] == ""
    assert [line.split() for line in lines[3:]] == [[name, *NUMBERS] for name in NAMES]
    assert not [line for line in lines if line != line.rstrip() or not line.isascii()]
    assert not [line for line in lines if "\x1b" in line]


@pytest.mark.parametrize("columns", [20, 40, 80, 120])
def test_a_terminal_cuts_no_number_and_no_name(terminal_stream, columns):
    stream = terminal_stream(columns)
    text = plain(written([TABLE], stream))
    assert max(map(len, text.splitlines())) <= columns
    for number in NUMBERS:
        assert text.split().count(number) == 2, text
    joined = "".join(text.split())
    assert "".join(NAMES[1].split()) in joined or all(
        part in joined for part in (NAMES[1][:12], NAMES[1][-4:])
    )


def test_words_are_wrapped_and_titles_stand_above_each_other(terminal_stream):
    text = written([Rows([("a", "number of images"), ("b", "5")])], terminal_stream(10))
    lines = [line.split() for line in plain(text).splitlines()]
    assert lines == [["number"], ["of"], ["a", "images"], ["b", "5"]]
    text = written([facts([("about", "one two three four")])], terminal_stream(20))
    assert text.splitlines() == ["about  one two three", "       four"]


@pytest.mark.parametrize("columns", [None, 40, 200])
def test_names_that_act_are_shown_and_do_nothing(terminal_stream, columns):
    names = ["[red]x[/red]", "[/]", "[link=http://x]y", ":smile:", "\x1b[31mz", "\u202ea", "b\nc"]
    stream = io.StringIO() if columns is None else terminal_stream(columns)
    table = Rows([("name", "n"), *((name, "1") for name in names)])
    for text in (written([table], stream), written([*names], stream)):
        assert all(name in text for name in names[:4])
        assert r"\x1b[31mz" in text and "\x1b[31m" not in text
        assert r"\u202ea" in text and r"b\nc" in text


def test_colours_go_with_no_color(terminal_stream, monkeypatch):
    from rich.text import Text

    table = Rows([("a", "b"), (Text("c", "red"), "d")], "l")
    assert "\x1b[31m" in written([table], terminal_stream())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[31m" not in written([table], terminal_stream())


def test_wide_letters_take_two_columns(terminal_stream):
    text = written([Rows([("name", "n"), ("日本の写真", "1"), ("é", "2")])], terminal_stream())
    assert text.splitlines()[1:] == ["日本の写真  1", "é           2"]


def test_what_a_stream_cannot_encode_is_escaped():
    stream = io.TextIOWrapper(io.BytesIO(), "latin-1")
    assert written([facts([("日", "é")]), "日"], stream) == "\\u65e5  é\n\\u65e5"
