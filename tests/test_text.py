"""Names that others chose cannot act in a spreadsheet or a terminal (R22)."""

import csv
import io
from pathlib import Path

import pytest

from seewhy.text import (
    command_line,
    counted,
    csv_text,
    escape_cell,
    percent,
    visible,
    without_password,
)

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\0=1",
    "＝1",
    "＋1",
    "－1",
    "＠1",
    "=",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_starts_like_a_formula_gets_a_quote(text):
    assert escape_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "cat", "a=b", "1-2", "'=1", " =1", "é", "日本"])
def test_other_text_is_left_alone(text):
    assert escape_cell(text) == text


@pytest.mark.parametrize("text", [*FORMULAS, 'a"b', "a,b", "a\r\nb", "a;b"])
def test_a_row_comes_back_with_as_many_cells(text):
    table = csv_text([["a", "b"], [text, "x"]])
    cells = list(csv.reader(io.StringIO(table, newline="")))
    assert cells == [["a", "b"], [escape_cell(text), "x"]]


def test_numbers_stay_numbers_and_are_written_in_full_or_as_asked():
    row = [-0.1 - 0.2, -3, True, "-3", None]
    assert csv_text([row]) == "-0.30000000000000004,-3,True,'-3,\r\n"
    assert csv_text([row], ".2f") == "-0.30,-3,True,'-3,\r\n"


@pytest.mark.parametrize(
    "text, shown",
    [
        ("cat.png", "cat.png"),
        ("日本 é", "日本 é"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\0", "a\\nb\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udcff", "\\udcff"),
        ("a\\b", "a\\b"),
    ],
)
def test_control_characters_are_spelled_out(text, shown):
    assert visible(text) == shown
    visible(text).encode()


def test_a_command_survives_blanks_and_control_characters_in_its_words():
    assert command_line("report", Path("my runs/a b")) == "seewhy report 'my runs/a b'"
    assert "\n" not in command_line("train", "--data", "a\nb")


def test_a_number_has_its_noun_and_verb():
    assert [counted(n, "image") for n in (0, 1, 2_000)] == ["0 images", "1 image", "2,000 images"]
    assert counted(2, "training class") == "2 training classes" and counted(2, "copy") == "2 copies"
    assert counted(2, "epoch") == "2 epochs" and counted(2, "batch") == "2 batches"
    assert counted(1, "image", "were") == "1 image was" and counted(3, "day", "are") == "3 days are"


def test_a_probability_is_never_shown_as_nothing_or_as_certain():
    shown = [percent(p) for p in (0, 0.0004, 0.005, 0.5, 0.9949, 0.9996, 1)]
    assert shown == ["0%", "<1%", "<1%", "50%", "99%", ">99%", "100%"]


@pytest.mark.parametrize("password", ["secret", "p:q", "p@ss", "base64/+=", ""])
def test_no_password_of_a_database_is_shown(password):
    shown = without_password(f"postgresql://me:{password}@host:5432/name?application_name=a")
    assert shown == "postgresql://me:***@host:5432/name?application_name=a"
    assert without_password(f"postgresql://host/name?password={password}&user=me").endswith(
        "password=***&user=me"
    )


@pytest.mark.parametrize(
    "address", ["postgresql://me@host:5432/name", "http://host:5000/", "sqlite:////home/me/a@b.db"]
)
def test_an_address_without_a_password_is_shown_as_it_is(address):
    assert without_password(address) == address
