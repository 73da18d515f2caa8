"""Bad files are named, counted, and skipped only as far as was said."""

import csv

import pytest

from seewhy.data.bad_files import BadFile, check_bad, write_bad_files
from seewhy.errors import DataError

BAD = [BadFile(f"a/{number}.png", "undecodable", "damaged") for number in range(7)]


def test_the_first_bad_files_are_named_with_the_remedy():
    with pytest.raises(DataError) as caught:
        check_bad(BAD, 50, "error", 1.0)
    assert str(caught.value) == (
        "7 of 50 images cannot be used: a/0.png, a/1.png, a/2.png, a/3.png, a/4.png and 2 more "
        "(undecodable: damaged). Replace or remove them, or continue without them: --on-bad skip"
    )


def test_a_fault_is_said_once_whatever_lies_between_its_files():
    faults = ["heic", "empty", "heic", *"abcde"]
    with pytest.raises(DataError) as caught:
        check_bad([BadFile(f"{n}.jpg", "code", f) for n, f in enumerate(faults)], 50, "error", 1.0)
    text = "8 of 50 images cannot be used: 0.jpg, 2.jpg (code: heic); 1.jpg (code: empty); "
    assert str(caught.value).startswith(
        text + "3.jpg (code: a); 4.jpg (code: b); 5.jpg (code: c); and"
    )
    assert "; and 2 more. Replace" in str(caught.value)


def test_as_many_may_be_skipped_as_was_said():
    check_bad(BAD, 700, "skip", 0.01)
    check_bad([], 0, "error", 0)
    with pytest.raises(
        DataError, match=r"At most 1\.0% may be skipped: replace them, or raise --max-bad"
    ):
        check_bad(BAD, 699, "skip", 0.01)
    with pytest.raises(DataError):
        check_bad(BAD[:1], 10**6, "skip", 0)


def test_names_are_shown_without_their_control_characters():
    with pytest.raises(DataError, match=r"1 of 1 image cannot be used: \\x1b\[2J \(undecodable"):
        check_bad([BadFile("\x1b[2J", "undecodable", "damaged")], 1, "error", 0)


def test_the_table_has_a_row_a_file(tmp_path):
    bad = [
        BadFile("=x.png", "undecodable", "damaged, cut"),
        BadFile("\udcff", "not_a_file", "a pipe"),
    ]
    write_bad_files(bad, tmp_path / "bad_files.csv")
    rows = (tmp_path / "bad_files.csv").read_bytes().decode().split("\r\n")
    assert list(csv.reader(rows[:-1])) == [
        ["path", "code", "error"],
        ["'=x.png", "undecodable", "damaged, cut"],
        ["\\udcff", "not_a_file", "a pipe"],
    ]
    write_bad_files([], tmp_path / "bad_files.csv")
    assert (tmp_path / "bad_files.csv").read_text() == "path,code,error\n"
