"""Images beside a CSV: names to images, never to other files; faults named with their line."""

import csv
import os
import unicodedata
from pathlib import Path

import pytest
from data.pictures import encoded, noise, put
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.config.data import DataConfig
from seewhy.data import load_data, sources, write_splits
from seewhy.data.sources import table
from seewhy.data.sources.table import find_table, fits_table
from seewhy.data.sources.tree import tree_at
from seewhy.errors import DataError, ImageError


def write(root: Path, text: str | bytes, name: str = "labels.csv") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    (root / name).write_bytes(data)
    return root


def rows(root: Path, group_from: str | None = None) -> list[tuple[str, str, str, str | None]]:
    """What is read, a missing image marked with its code."""
    reading = find_table(tree_at(root), group_from).read()
    found = []
    for record in reading.records:
        failed = isinstance(record.image, ImageError)
        key = f"{record.id} {record.image.code}" if failed else record.id
        found.append((key, record.label, record.split, record.group))
    assert len(found) == reading.total
    return found


def labels(root: Path) -> dict[str, str]:
    return {key: label for key, label, _, _ in rows(root)}


# ------------------------------------------------------------------ the layouts in use


def test_kaggles_layout(tmp_path):
    put(tmp_path, "train/1.png", "train/2.png", "train/10.png", "test/1.png", "test/2.png")
    write(tmp_path, "id,label\n1,frog\n2,truck\n10,frog\n", "trainLabels.csv")
    write(tmp_path, "id,label\n1,cat\n2,cat\n", "sampleSubmission.csv")
    source = sources.find(tmp_path)
    assert source.layout == "table"
    assert sorted(rows(tmp_path)) == [
        ("train/1.png", "frog", "train", None),
        ("train/10.png", "frog", "train", None),
        ("train/2.png", "truck", "train", None),
    ]
    assert source.notes == (
        "2 images that trainLabels.csv does not name were ignored",
        "1 other files ignored",
    )


def test_numbered_images_two_folders_down(tmp_path):
    put(tmp_path, *(f"cifar10/cifar10/{n}.png" for n in range(3)), "notes.txt")
    write(tmp_path, "id,label\n0,cat\n1,dog\n2,cat\n", "cifar10Labels.csv")
    assert sources.find(tmp_path).layout == "table"
    assert rows(tmp_path)[1] == ("cifar10/cifar10/1.png", "dog", "", None)


@pytest.mark.parametrize("column", ["id", "filename", "file_name", "image", "path", "ID", " Path "])
def test_the_columns_may_have_the_names_in_use(tmp_path, column):
    put(tmp_path, "a.png", "b.png")
    write(tmp_path, f"{column},Label\na.png,x\nb.png,y\n")
    assert fits_table(tree_at(tmp_path)) and labels(tmp_path) == {"a.png": "x", "b.png": "y"}


def test_the_more_telling_column_is_taken(tmp_path):
    put(tmp_path, "a.png")
    write(tmp_path, "id,filename,note,class\n7,a.png,,x\n")
    assert labels(tmp_path) == {"a.png": "x"}


@pytest.mark.parametrize(
    "name", ["d/a.png", "./d/a.png", "d\\a.png", "a.png", "a", "d/a", "c/d/a.png"]
)
def test_an_image_is_found_by_its_path_or_the_end_of_it(tmp_path, name):
    put(tmp_path, "c/d/a.png", "c/d/ba.png", "c/xd/a2.png")
    write(tmp_path, f"path,label\n{name},x\n")
    assert labels(tmp_path) == {"c/d/a.png": "x"}


def test_the_whole_path_wins_over_the_end_of_another(tmp_path):
    put(tmp_path, "a.png", "d/a.png")
    write(tmp_path, "path,label\na.png,x\nd/a.png,y\n")
    assert labels(tmp_path) == {"a.png": "x", "d/a.png": "y"}


def test_a_name_may_mean_one_image_only(tmp_path):
    put(tmp_path, "c/a.png", "d/a.png")
    write(tmp_path, "id,label\na,x\n")
    with pytest.raises(DataError, match=r"labels\.csv, line 2: a may be c/a\.png or d/a\.png"):
        rows(tmp_path)


# ------------------------------------------------------------------ splits and groups


def test_a_column_of_splits_and_one_of_groups(tmp_path):
    put(tmp_path, *(f"{n}.png" for n in range(5)))
    write(
        tmp_path,
        "id,label,split,group\n0,x,train,p\n1,x,Valid,q\n2,y,test,\n3,y,train,p\n4,y,left_out,p\n",
    )
    assert rows(tmp_path) == [
        ("0.png", "x", "train", "p"),
        ("1.png", "x", "val", "q"),
        ("2.png", "y", "test", ""),
        ("3.png", "y", "train", "p"),
    ]
    assert "1 rows of labels.csv belong to no split" in find_table(tree_at(tmp_path), None).notes


def test_groups_may_come_from_another_column_or_a_pattern(tmp_path):
    put(tmp_path, *(f"{n}.png" for n in range(4)))
    write(tmp_path, "id,label,group,Patient\n0,x,g,1\n1,y,g,2\n2,x,h,1\n3,y,h,2\n")
    assert [row[3] for row in rows(tmp_path, "Patient")] == ["1", "2", "1", "2"]
    by_column, by_pattern = (find_table(tree_at(tmp_path), g) for g in ("Patient", "(.)"))
    assert by_column.grouped and not by_pattern.grouped and by_column.key != by_pattern.key
    config = DataConfig(group_from=r"([01])\.", size=8)
    assert set(load_data(tmp_path, config, trainable=False).train.groups) <= {"0", "1", ""}


def test_folders_named_for_splits_count_only_without_a_column(tmp_path):
    put(tmp_path, "train/1.png", "test/2.png")
    write(tmp_path, "id,label\n1,x\n2,y\n")
    assert [row[2] for row in rows(tmp_path)] == ["test", "train"]
    write(tmp_path, "id,label,split\n1,x,val\n2,y,train\n")
    assert [row[2] for row in rows(tmp_path)] == ["train", "val"]
    put(tmp_path, "more/3.png")
    write(tmp_path, "id,label\n1,x\n2,y\n3,y\n")
    assert [row[2] for row in rows(tmp_path)] == ["", "", ""]


def test_our_own_manifest_is_such_a_table(tmp_path):
    for number in range(30):
        put(tmp_path, f"=1/{number}.png", f"-1/{number}.png", data=encoded(noise(8, 8, number)))
        put(tmp_path, f"-1/{number}.png", data=encoded(noise(8, 8, 100 + number)))
    drawn = load_data(tmp_path)
    write_splits(drawn, tmp_path / "splits.csv")
    again = load_data(tmp_path / "splits.csv")
    assert again.layout == "table" and again.classes == drawn.classes == ("-1", "=1")
    for name in ("train", "val"):
        one, other = (
            {key: s.classes[k] for key, k in zip(s.ids, s.labels, strict=True)}
            for s in (getattr(drawn, name), getattr(again, name))
        )
        assert one == other
    assert set(again.test.hashes) == set(drawn.test.hashes)


# ------------------------------------------------------------------ names are never trusted


@pytest.mark.parametrize(
    "name, code",
    [
        ("../outside.png", "not_a_file"),
        ("c/../../outside.png", "not_a_file"),
        ("..\\outside.png", "not_a_file"),
        ("{root}/../outside.png", "not_a_file"),
        ("{root}/a.png", "not_a_file"),
        ("/dev/zero", "not_a_file"),
        ("out.png", "not_a_file"),
        ("pipe.png", "not_a_file"),
        ("gone.png", "not_found"),
        ("a.png\0", "not_found"),
        ("%2e%2e/outside.png", "not_found"),
        (".hidden.png", "not_found"),
        ("c", "not_found"),
        ("a.png/", "not_found"),
        ("labels.csv", "not_found"),
        ("x" * 5000, "not_found"),
    ],
)
def test_a_name_that_leads_elsewhere_is_a_bad_file(tmp_path, monkeypatch, name, code):
    root = put(tmp_path / "root", "a.png", "c/b.png", ".hidden.png")
    put(tmp_path, "outside.png")
    (root / "out.png").symlink_to(tmp_path / "outside.png")
    os.mkfifo(root / "pipe.png")
    name = name.replace("{root}", str(root))
    write(root, f"path,label\na.png,x\n{name},y\n")
    source = find_table(tree_at(root), None)
    opened = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *a, **k: opened.append(path) or real(path, *a, **k)
    )
    records = list(source.read().records)
    assert opened == []
    assert [record.id for record in records] == ["a.png", name]
    assert records[1].image.code == code and source.files == ("labels.csv", "a.png")


def test_missing_images_are_bad_files_of_the_data(tmp_path):
    for label in "xy":
        for number in range(10):
            put(tmp_path, f"{label}{number}.png", data=encoded(noise(8, 8, number + ord(label))))
    names = [f"{label}{number}" for label in "xy" for number in range(11)]
    write(tmp_path, "id,label\n" + "".join(f"{name},{name[0]}\n" for name in names))
    with pytest.raises(DataError, match=r"2 of 22 images cannot be used: x10 \(not_found: no such"):
        load_data(tmp_path)
    splits = load_data(tmp_path, DataConfig(on_bad="skip", max_bad=0.1))
    assert [(file.path, file.code) for file in splits.bad] == [
        ("x10", "not_found"),
        ("y10", "not_found"),
    ]


# ------------------------------------------------------------------ faults of the table


@pytest.mark.parametrize(
    "text, message",
    [
        ("id,kind\na,x\n", r"line 1: no column label or class, only id, kind: rename"),
        ("name,label\na,x\n", r"line 1: no column path or .* or id, only name, label"),
        ("", r"line 1: no column"),
        ("id,label\na,x\na.png,y\n", r"lines 2 and 3: both name a\.png, as x and as y: keep"),
        (
            "id,label,split\na,x,train\na,x,val\n",
            r"lines 2 and 3: both name a, as x, train and as x",
        ),
        ("id,label\na,x\ngone,x\ngone,y\n", r"lines 3 and 4: both name gone"),
        ("id,label\na,\n", r"line 2: no label: add it"),
        ("id,label\n\n,x\n", r"line 3: no name: add it"),
        ("id,label\na,x,y\n", r"line 2: 3 cells, but the header has 2"),
        ("id,label\na\n", r"line 2: 1 cells"),
        ('id,label\n"a,x\n', r"line 2: unexpected end of data"),
        ("id,label,split\na,x,tset\n", r"line 2: the split is 'tset', not one of train, "),
        ("id,label,split\na,x,train\nb,x,\n", r"line 3: no split, but other lines have one"),
        (b"id,label\na,x\nb,\xff\n", r"line 3: not UTF-8: save"),
        (
            "id,label\nq,x\nr,x\n",
            r"names 2 images and none of them exists, such as q \(line 2\)",
        ),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path, text, message):
    put(tmp_path, "a.png", "b.png")
    write(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        rows(tmp_path)
    assert str(caught.value).startswith("labels.csv")


def test_a_table_that_lacks_a_column_says_so_without_being_asked_for(tmp_path):
    put(tmp_path, "train/a.png", "test/b.png")
    write(tmp_path, "id,breed\na,x\n")
    with pytest.raises(DataError, match=r"labels\.csv, line 1: no column label or class"):
        sources.find(tmp_path)


def test_the_same_row_twice_is_one(tmp_path):
    put(tmp_path, "a.png", "b.png")
    write(tmp_path, "id,label\na,x\nb,y\na.png,x\n")
    assert labels(tmp_path) == {"a.png": "x", "b.png": "y"}


def test_two_tables_are_asked_about(tmp_path):
    put(tmp_path, "a.png", "b.png")
    write(tmp_path, "id,label\na,x\nb,y\n", "one.csv")
    write(tmp_path, "id,label\na,p\nb,q\n", "two.csv")
    with pytest.raises(DataError, match=r"one\.csv or two\.csv may have .* path of one as --data"):
        sources.find(tmp_path)
    assert labels(tmp_path / "two.csv") == {"a.png": "p", "b.png": "q"}
    assert sources.find(tmp_path / "two.csv").files == ("two.csv", "a.png", "b.png")


def test_without_any_table_the_layout_says_what_to_add(tmp_path):
    put(tmp_path, "a.png")
    with pytest.raises(DataError, match=r"no CSV beside the images .* columns id,label"):
        sources.find(tmp_path, "table")


def test_folders_named_like_labels_leave_a_doubt(tmp_path):
    put(tmp_path, "cat/1.png", "dog/2.png")
    write(tmp_path, "id,label\n1,cat\n2,dog\n")
    with pytest.raises(DataError, match="--layout folders or --layout table"):
        sources.find(tmp_path)
    write(tmp_path, "id,label\n1,day\n2,night\n")
    assert sources.find(tmp_path).layout == "table"
    write(tmp_path, "id,width\n1,10\n2,10\n")  # no labels: some other table
    assert sources.find(tmp_path).layout == "folders"


def test_a_table_that_is_too_large_is_refused(tmp_path, monkeypatch):
    put(tmp_path, "a.png")
    text = "id,label\na,x\n"
    monkeypatch.setattr(table, "MAX_BYTES", len(text))
    assert labels(write(tmp_path, text)) == {"a.png": "x"}
    with pytest.raises(DataError, match=r"labels\.csv has more than 13 bytes"):
        rows(write(tmp_path, text + "\n"))


# ------------------------------------------------------------------ languages, quotes, spreadsheets


NAMES = [
    "猫",
    "кошка",
    "قطة",
    "chat noir",
    "Straße",
    "strasse",
    "😺",
    "a,b",
    'say "x"',
    "1",
    "10",
    "a\tb",
]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_labels_in_any_language_come_through_any_spreadsheet(tmp_path, delimiter, encoding):
    with open(tmp_path / "labels.csv", "w", newline="", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(["id", "label"])
        writer.writerows(enumerate(NAMES))
    put(tmp_path, *(f"{n}.png" for n in range(len(NAMES))))
    assert sources.find(tmp_path).layout == "table"
    found = labels(tmp_path)
    assert [found[f"{n}.png"] for n in range(len(NAMES))] == NAMES


def test_names_of_files_are_matched_whatever_their_form_of_unicode(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD"))
    put(tmp_path, decomposed)
    write(tmp_path, f"id,label\n{composed},x\n")
    assert labels(tmp_path) == {decomposed: "x"}


@given(text=st.text(st.characters(codec="utf-8"), max_size=200))
@settings(max_examples=200, deadline=None)
def test_whatever_a_table_holds_is_read_or_refused(text, tmp_path_factory):
    root = put(tmp_path_factory.mktemp("t"), "a.png", "b/c.png", data=b"")
    for start in ("", "id,label\n", "id,label,split,group\n"):
        try:
            found = rows(write(root, start + text))
        except DataError:
            continue
        assert {key for key, *_ in found if " not_" not in key} <= {"a.png", "b/c.png"}
