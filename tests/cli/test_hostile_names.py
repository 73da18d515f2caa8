"""Names that act in a spreadsheet or a page are harmless in every table that `predict` writes (R22)."""

import csv
import itertools
import json
import os
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

import seewhy
from seewhy.text import plain_cell

ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")
COMMANDS = [
    *("1+1", "SUM(A1:A9)", "cmd|' !A0", 'HYPERLINK("http:x","y")', "DDE(1;2)", "1,2", '1"2', "a;b"),
    *("'", "1\n=2", "1\r\n=2", "\x1b[31m", "\u202ex", "\udce9", "", "日本"),
]
TAGS = [
    *(
        "<script>alert(1)<script>",
        "<img src=x onerror=alert(1)>",
        "<svg onload=alert(1)>",
        "&lt;b&gt;",
    ),
    *(
        "{{7*7}}",
        "${7*7}",
        "<%= 7 %>",
        "javascript:alert(1)",
        "'\"><b>",
        "]]>",
        "<!--",
        "%3Cscript%3E",
    ),
]
MARKUP = [f"{start}{tag}" for start in ("", "a ", '"', "'>", "\u00a0") for tag in TAGS]
FORMULAS = [
    f"{start}{command}" for start, command in itertools.product(ACTIVE, COMMANDS) if start != "\0"
]
NAMES = [*FORMULAS, *MARKUP]


def payloads(count):
    return NAMES[:: max(1, len(NAMES) // count)]


@pytest.mark.parametrize("count", [25, pytest.param(1000, marks=pytest.mark.long)])
def test_no_name_acts_in_a_table(trained, photos, tmp_path, monkeypatch, count):
    assert len(FORMULAS) > 150 and len(MARKUP) == 60
    image = (photos / "bee" / "001.png").read_bytes()
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path / "images")
    names = [f"{name}.png" for name in payloads(count)]
    for number, name in enumerate(names):
        with open(name, "wb") as file:
            file.write(image if number % 5 else b"no image")
    classifier = seewhy.load(trained)
    hostile = replace(classifier.predictor, classes=("=1+1", "@SUM(A1)", "<script>x</script>"))
    monkeypatch.setattr(
        "seewhy.workflows.label_blocks.load", lambda *_, **__: seewhy.Classifier(hostile)
    )
    for suffix in ("csv", "jsonl", "parquet"):
        seewhy.label_images("m", names, tmp_path / f"rows.{suffix}", copy_to=tmp_path / "sorted")

    with open(tmp_path / "rows.csv", newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert len(rows) == len(names) and {len(row) for row in rows} == {len(header)}
    assert not [cell for row in rows for cell in row if cell.startswith(ACTIVE)]
    escaped = [name.encode("utf-8", "backslashreplace").decode() for name in names]
    assert [plain_cell(row[0]) for row in rows] == escaped
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [line["path"] for line in lines] == names  # lossless
    assert pq.read_table(tmp_path / "rows.parquet")["path"].to_pylist() == escaped

    copies = [path for path in (tmp_path / "sorted").rglob("*") if path.is_file()]
    readable = sum(line["status"] == "ok" for line in lines)
    assert len(copies) == readable and 0 < readable < len(names)
    folders = {path.name for path in (tmp_path / "sorted").iterdir()}
    assert folders <= {"=1+1", "@SUM(A1)", "_script_x__script_"}


def test_the_names_of_folders_are_safe_on_every_system():
    from seewhy.text import folder_names

    hostile = ["..", "../../etc", "a/b", "a\\b", "con", "NUL.txt", "", ".hidden", "x. ", "é" * 300]
    hostile += [
        "\0",
        "\x1b[0m",
        "a:b*?",
        "Cat",
        "cat",
        "CAT",
        "cat-2",
        "not sure",
        "e\u0301",
        "\u00e9",
    ]
    names = folder_names(hostile)
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert name == os.path.basename(name) and name not in ("", ".", "..")
        assert not name.startswith(".") and len(name.encode()) <= 210 and name.isprintable()
        assert not set(name) & set('<>:"/\\|?*') and name == name.rstrip(" .")
    assert names[13:17] == ["Cat", "cat-2", "CAT-3", "cat-2-2"]
