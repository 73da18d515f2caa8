"""Findings as JSON and as a table that no spreadsheet runs."""

import csv

import numpy as np
import pytest
from data.pictures import encoded, put, scenes

from seewhy.data import load_data
from seewhy.data.inspect.findings import Example, Finding, described, is_wrong, write_findings
from seewhy.data.inspect.gathered import gather


@pytest.fixture
def pictures(tmp_path):
    for n, picture in enumerate(scenes(8, 16)):
        split, name = ("train", "val")[n % 2], ("=a", "b")[n // 2 % 2]
        put(tmp_path / "d", f"{split}/{name}/={n}.png", data=encoded(picture))
    return gather(load_data(tmp_path / "d"))


def finding(severity="warning", *examples: Example) -> Finding:
    return Finding("kind", severity, "what", "advice", examples)


def test_a_note_alone_is_nothing_wrong():
    assert not is_wrong([]) and not is_wrong([finding("note")])
    assert is_wrong([finding("note"), finding("warning")]) and is_wrong([finding("error")])


def test_json_holds_the_first_examples_and_all_their_number(pictures):
    many = finding("error", *[Example(f"detail {n}", (n % 8,)) for n in range(30)])
    found = described(many, pictures)
    assert found["count"] == 30 and len(found["examples"]) == 10
    assert found["examples"][0] == {
        "path": str(pictures.ids[0]),
        "split": "train",
        "label": "=a",
        "detail": "detail 0",
    }


def test_a_pair_has_both_images_and_a_name_stands_alone(pictures):
    found = described(finding("note", Example("d", (0, 5)), Example("n", name="x")), pictures)
    pair, name = found["examples"]
    assert pair["path_2"] == str(pictures.ids[5]) and pair["split_2"] == "val"
    assert name == {"path": "x", "detail": "n"}


def test_the_table_has_a_row_an_example_and_runs_nothing(pictures, tmp_path):
    examples = [Example("=1+1", (0, 1)), Example("plain", name="@x")]
    write_findings([finding("error", *examples)], pictures, tmp_path / "findings.csv")
    with open(tmp_path / "findings.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:3] == ["kind", "severity", "path"] and len(rows) == 2
    assert rows[0]["label"] == "'=a" and rows[0]["detail"] == "'=1+1" and rows[1]["path"] == "'@x"
    assert rows[0]["path_2"] == str(pictures.ids[1]) and rows[1]["path_2"] == ""
    assert not any(cell.startswith(tuple("=+-@")) for row in rows for cell in row.values())
    assert isinstance(pictures.labels, np.ndarray)
