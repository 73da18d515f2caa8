"""Images beside a CSV: names to images, never to other files; faults named with their line."""

import csv
import os
import unicodedata
import zipfile
from pathlib import Path

import pytest
from data.pictures import encoded, noise, put
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.config.data import DataConfig
from seewhy.data import load_data, sources, write_splits
from seewhy.data.sources import spreadsheet
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.table import find_table, fits_table
from seewhy.data.sources.tree import tree_at
from seewhy.errors import DataError, ImageError, UsageError


def write(root: Path, text: str | bytes, name: str = "labels.csv") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    data = text if isinstance(text, bytes) else text.encode()
    (root / name).write_bytes(data)
    return root


def rows(root: Path, group_from: str | None = None) -> list[tuple[str, str, str, str | None]]:
    """What is read, a missing image marked with its code."""
    reading = find_table(tree_at(root), Columns(group=group_from)).read()
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
        "ignored 2 images that trainLabels.csv does not name",
        "1 other file ignored",
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
    assert "of no split: 1 row of labels.csv" in find_table(tree_at(tmp_path), Columns()).notes


def test_groups_may_come_from_another_column_or_a_pattern(tmp_path):
    put(tmp_path, *(f"{n}.png" for n in range(4)))
    write(tmp_path, "id,label,group,Patient\n0,x,g,1\n1,y,g,2\n2,x,h,1\n3,y,h,2\n")
    assert [row[3] for row in rows(tmp_path, "Patient")] == ["1", "2", "1", "2"]
    by_column, by_pattern = (
        find_table(tree_at(tmp_path), Columns(group=g)) for g in ("Patient", "(.)")
    )
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
    source = find_table(tree_at(root), Columns())
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
    with pytest.raises(DataError, match=r"2 of 22 images cannot be used: x10, y10 \(not_found: no"):
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
        ("id\na\n", r"line 1: no column label or class, only id: rename the right one, or choose"),
        (
            "id,kind,size\na,x,3\n",
            r"line 1: 2 columns may hold the labels \(kind, size\): choose one",
        ),
        ("id,class,target\na,x,y\n", r"line 1: 2 columns may hold the labels \(class, target\)"),
        (
            "name,label\na,x\n",
            r"line 1: no column path or .* or id, only name, label: .* first line path,label",
        ),
        ("", r"line 1: no column"),
        ("id,label\na,x\na.png,y\n", r"lines 2 and 3: both name a\.png, as x and as y: keep"),
        (
            "id,label,split\na,x,train\na,x,val\n",
            r"lines 2 and 3: both name a, as x, train and as x",
        ),
        ("id,label\na,x\ngone,x\ngone,y\n", r"lines 3 and 4: both name gone"),
        ("id,label\n\n,x\n", r"line 3: no name: add it"),
        ("id,label\na,x,y\n", r"line 2: 3 cells, but the header has 2"),
        ("id,label\na\n", r"line 2: 1 cell, but the header has 2: add what is missing"),
        ('id,label\n"a,x\n', r"line 2: unexpected end of data"),
        ("id,label,split\na,x,tset\n", r"line 2: the split is 'tset', not one of train, "),
        ("id,label,split\na,x,train\nb,x,\n", r"line 3: no split, but other lines have one"),
        (b"PK\3\4", r"is a zip or an Excel file, no text: save it as CSV"),
        (
            "id,label\nq,x\nr,x\n",
            r"names 2 images and none of them exists, such as q, r: looked among the 2 images below .*, "
            r"such as a\.png, b\.png; give the folder",
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
    write(tmp_path, "name,breed\na,x\n")
    with pytest.raises(DataError, match=r"labels\.csv, line 1: no column path"):
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
        sources.find(tmp_path, DataConfig(layout="table"))


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
    monkeypatch.setattr(spreadsheet, "MAX_BYTES", len(text))
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
@settings(max_examples=200)
def test_whatever_a_table_holds_is_read_or_refused(text, tmp_path_factory):
    root = put(tmp_path_factory.mktemp("t"), "a.png", "b/c.png", data=b"")
    for start in ("", "id,label\n", "id,label,split,group\n"):
        try:
            found = rows(write(root, start + text))
        except DataError:
            continue
        assert {key for key, *_ in found if " not_" not in key} <= {"a.png", "b/c.png"}


# ------------------------------------------------------------------ paths from elsewhere


@pytest.fixture
def photos_with_table(tmp_path, monkeypatch):
    """Ten images in two folders, a function that writes their names, and one that reads them back."""
    names = [f"images/{folder}/{number}.png" for folder in "ab" for number in range(5)]
    root = put(tmp_path / "home" / "set", *names)
    monkeypatch.chdir(tmp_path / "home")

    def read(*spelled: str) -> tuple[set[tuple[str, str]], tuple[str, ...]]:
        rows = "".join(f'"{name}",{n // 5}\n' for n, name in enumerate(spelled))
        write(root, "path,label\n" + rows)
        source = sources.find(root)
        return {(record.id, record.label) for record in source.read().records}, source.notes

    expected = {(name, str(n // 5)) for n, name in enumerate(names)}
    return root, names, read, expected


@pytest.mark.parametrize(
    ("spell", "note"),
    [
        (lambda root, name: f"{root}/{name}", "as paths that lead into"),
        (lambda root, name: f"set/{name}", "as paths that lead into"),
        (lambda root, name: f"./set/../set/{name}", "as paths that lead into"),
        (lambda root, name: f"SET/{name}".upper(), "and in other upper or lower case"),
        (lambda root, name: f"C:\\Users\\me\\set/{name}", "without their first part, C:/Users/me/"),
        (lambda root, name: f"/kaggle/input/{name}", "without their first part, /kaggle/input/"),
        (lambda root, name: name.replace(".png", ".PNG"), "in other upper or lower case"),
        (lambda root, name: f"D:\\x\\{name}".upper(), "D:/X/ and in other upper or lower case"),
        (lambda root, name: f" {name} ", "without blanks or quotes at their ends"),
        (lambda root, name: f"'{name}'", "without blanks or quotes at their ends"),
        (lambda root, name: name.replace("/", "\\"), None),
        (lambda root, name: name.removesuffix(".png"), None),
        (lambda root, name: name.removeprefix("images/"), None),
    ],
)
def test_a_path_from_elsewhere_is_found_and_said(photos_with_table, spell, note):
    root, names, read, expected = photos_with_table
    found, notes = read(*(spell(root, name) for name in names))
    assert found == expected
    assert [line for line in notes if line.startswith("found ") and note and note in line] == list(
        notes if note else ()
    )


def test_an_absolute_path_through_a_link_is_found(photos_with_table, tmp_path):
    root, names, read, expected = photos_with_table
    (tmp_path / "link").symlink_to(root)
    assert read(*(f"{tmp_path}/link/{name}" for name in names))[0] == expected


def test_names_that_differ_only_by_case_are_not_confused(tmp_path):
    put(tmp_path, "a.png", "A.png", "b.PNG")
    write(tmp_path, "id,label\na.png,x\nA.png,y\nb.png,z\n")
    assert labels(tmp_path) == {"a.png": "x", "A.png": "y", "b.PNG": "z"}
    put(tmp_path, "c/1.png", "C/1.png")
    write(tmp_path, "id,label\na.png,x\nc/1.PNG,y\n")
    with pytest.raises(DataError, match=r"line 3: c/1\.PNG may be C/1\.png or c/1\.png"):
        rows(tmp_path)


def test_a_path_is_never_cut_to_an_image_of_another_folder(tmp_path):
    put(tmp_path, "cat/1.png", "cat/2.png", "cow/3.png")
    write(tmp_path, "path,label\ndog/1.png,dog\ndog/2.png,dog\n")
    with pytest.raises(DataError, match=r"none of them exists, such as dog/1\.png, dog/2\.png"):
        rows(tmp_path)
    write(tmp_path, "path,label\n/other/dog/1.png,dog\ncow/3.png,cow\n")
    assert labels(tmp_path) == {"cow/3.png": "cow", "/other/dog/1.png not_a_file": "dog"}


def test_absolute_paths_outside_have_their_own_remedy(tmp_path):
    put(tmp_path, "a.png")
    write(tmp_path, "path,label\n/elsewhere/x.png,b\n")
    with pytest.raises(DataError, match=r"give the table in memory: seewhy\.train\(pandas"):
        rows(tmp_path)


def test_names_that_are_not_utf_8_are_read_back(tmp_path):
    raw = os.fsdecode(b"caf\xe9.png")
    put(tmp_path / "a", *(f"{n}.png" for n in range(4)))
    put(tmp_path / "a", raw, data=encoded(noise(8, 8, 99)))
    write(
        tmp_path / "a", "id,label\n" + "".join(f"{n},{n % 2}\n" for n in range(4)) + "caf\xe9,1\n"
    )
    assert (raw, "1") in labels(tmp_path / "a").items()
    splits = load_data(tmp_path / "a", DataConfig(size=8), trainable=False)
    (tmp_path / "a" / "labels.csv").unlink()
    write_splits(splits, tmp_path / "a" / "splits.csv")
    assert b"caf\\udce9.png" in (tmp_path / "a" / "splits.csv").read_bytes()
    again = load_data(tmp_path / "a" / "splits.csv", DataConfig(size=8), trainable=False)
    assert again.fingerprint == splits.fingerprint


# ------------------------------------------------------------------ other tables


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.tsv", "id\tlabel\n0\tx\n1\ty\n"),
        ("labels.csv", "sep=;\nid;label\n0;x\n1;y\n"),
        ("labels.csv", "id|label\r\n0|x\r\n1|y\r\n"),
        ("labels.csv", "Image ID,Target\n0,x\n1,y\n"),
        ("labels.csv", "image_id,target\n0,x\n1,y\n"),
        ("labels.csv", "id,breed\n0,x\n1,y\n"),
        ("labels.csv", ",id,breed\n0,0,x\n1,1,y\n"),
        ("labels.csv", "id,x,y\n0,1,0\n1,0,1\n"),
        ("labels.csv", "image,x,y,z\n0,1.0,0.0,\n1,0.0,1.0,0.0\n"),
        (
            "metadata.jsonl",
            '{"file_name": "0.png", "label": "x"}\n\n{"file_name": "1", "label": "y"}\n',
        ),
    ],
)
def test_a_table_as_others_write_it(tmp_path, name, text):
    put(tmp_path, "0.png", "1.png")
    write(tmp_path, text, name)
    for path in (tmp_path, tmp_path / name):
        source = sources.find(path)
        assert {r.id: r.label for r in source.read().records} == {"0.png": "x", "1.png": "y"}


def test_empty_cells_at_the_end_of_a_line_may_be_missing_or_too_many(tmp_path):
    put(tmp_path, "0.png", "1.png", "2.png")
    write(tmp_path, "id,label,group\n0,x\n1,y,g\n2,x,,\n")
    assert [row[1:] for row in rows(tmp_path)] == [("x", "", ""), ("y", "", "g"), ("x", "", "")]


def test_a_column_of_splits_by_another_name_is_said(tmp_path):
    put(tmp_path, "0.png", "1.png")
    write(tmp_path, "id,label,subset\n0,x,train\n1,y,Test\n")
    said = "the column subset of labels.csv is not read: name it split if it tells the splits"
    assert said in sources.find(tmp_path).notes
    write(tmp_path, "id,label,subset,split\n0,x,train,train\n1,y,Test,train\n")
    assert sources.find(tmp_path).notes == ()


def test_what_the_first_of_json_lines_lacks_is_read_from_the_others(tmp_path):
    put(tmp_path, "0.png", "1.png")
    first, second = '{"file_name": "0.png", "label": "x"', '{"file_name": "1.png", "label": "y"'
    write(tmp_path, f'{first}}}\n{second}, "group": "g"}}\n', "metadata.jsonl")
    assert [record.group for record in sources.find(tmp_path).read().records] == ["", "g"]
    write(tmp_path, f'{first}}}\n{second}, "split": "test"}}\n', "metadata.jsonl")
    with pytest.raises(DataError, match="line 1: no split, but other lines have one"):
        sources.find(tmp_path)


def test_a_text_file_is_a_table_if_it_is_given(tmp_path):
    put(tmp_path, "0.png", "1.png")
    write(tmp_path, "id\tlabel\n0\tx\n1\ty\n", "labels.txt")
    assert sources.find(tmp_path / "labels.txt").layout == "table"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings_without_a_mark_are_recognised(tmp_path, encoding):
    put(tmp_path, *(f"{n}.png" for n in range(3)))
    write(tmp_path, "id,label\n0,Käse\n1,crème\n2,Ei\n".encode(encoding))
    assert labels(tmp_path) == {"0.png": "Käse", "1.png": "crème", "2.png": "Ei"}
    said = "labels.csv is not UTF-8: read as Windows-1252" in sources.find(tmp_path).notes
    assert said == (encoding == "cp1252")


def test_what_was_decided_about_columns_is_said(tmp_path):
    put(tmp_path, "0.png", "1.png")
    write(tmp_path, "id,breed\n0,x\n1,y\n")
    assert "labels from the column breed of labels.csv" in sources.find(tmp_path).notes
    write(tmp_path, "id,Nevus,Melanoma\n0,1,0\n1,0,1\n")
    source = sources.find(tmp_path)
    assert "labels from 2 one-hot columns: Nevus, Melanoma" in source.notes
    assert {record.label for record in source.read().records} == {"Nevus", "Melanoma"}


def test_several_labels_in_one_row_are_refused(tmp_path):
    put(tmp_path, *(f"{n}.png" for n in range(150)))
    lines = [f"{n},{n % 2},{1 - n % 2}\n" for n in range(150)]
    lines[140] = "140,1,1\n"
    write(tmp_path, "id,x,y\n" + "".join(lines))
    with pytest.raises(DataError, match=r"line 142: several labels, x, y: expected one label"):
        rows(tmp_path)
    write(tmp_path, "id,x,y\n" + "".join(lines).replace("140,1,1", "140,0.5,1"))
    with pytest.raises(DataError, match=r"line 142: '0\.5' in a one-hot column: expected 0 or 1"):
        rows(tmp_path)


def test_the_label_column_may_be_chosen(tmp_path):
    put(tmp_path, "0.png", "1.png")
    write(tmp_path, "id,label,Breed\n0,a,x\n1,a,y\n")
    source = sources.find(tmp_path, DataConfig(label_column="breed"))
    assert [record.label for record in source.read().records] == ["x", "y"]
    assert source.key != sources.find(tmp_path).key
    with pytest.raises(
        DataError, match=r"line 1: no column bred: did you mean Breed\? \(--label-col"
    ):
        sources.find(tmp_path, DataConfig(label_column="bred"))
    put(tmp_path / "f", "a/1.png", "b/2.png")
    for data in (tmp_path / "f", "digits"):
        with pytest.raises(UsageError, match="--label-column has no effect on"):
            sources.find(data, DataConfig(label_column="breed"))


def test_a_label_column_is_found_beside_class_folders(tmp_path):
    put(tmp_path, "a/0.png", "b/1.png")
    write(tmp_path, "id,size,breed\n0,1,x\n1,2,y\n")
    assert sources.find(tmp_path).layout == "folders"
    assert sources.find(tmp_path, DataConfig(label_column="breed")).layout == "table"


def test_hugging_faces_folder_has_a_table_in_each_split(tmp_path):
    put(tmp_path, "train/1.png", "train/2.png", "test/1.png")
    write(tmp_path / "train", "file_name,label\n1.png,x\n2.png,y\n", "metadata.csv")
    write(tmp_path / "test", "file_name,label\n1.png,y\n", "metadata.csv")
    assert sources.find(tmp_path).layout == "table"
    assert rows(tmp_path) == [
        ("test/1.png", "y", "test", None),
        ("train/1.png", "x", "train", None),
        ("train/2.png", "y", "train", None),
    ]


def test_a_table_for_each_split(tmp_path):
    put(tmp_path, *(f"images/{n}.png" for n in range(3)))
    write(tmp_path, "id,label\n0,x\n1,y\n", "train.csv")
    write(tmp_path, "id,label\n2,x\n", "test.csv")
    assert [row[:3] for row in rows(tmp_path)] == [
        ("images/0.png", "x", "train"),
        ("images/1.png", "y", "train"),
        ("images/2.png", "x", "test"),
    ]
    write(tmp_path, "id,label\n1,x\n", "test.csv")
    with pytest.raises(DataError, match=r"images/1\.png is in two tables"):
        rows(tmp_path)


# ------------------------------------------------------------------ zips


def zip_up(file: Path, **members: bytes) -> None:
    file.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/") + ".png", data)


@pytest.mark.parametrize("inner", ["", "images__"])
@pytest.mark.parametrize("given", ["", "images.zip", "labels.csv"])
@pytest.mark.parametrize("extracted", [False, True])
def test_images_in_a_zip_with_their_table_beside_it(tmp_path, inner, given, extracted):
    root = tmp_path / "set"
    zip_up(root / "images.zip", **{f"{inner}{n}": encoded(noise(8, 8, n)) for n in range(4)})
    write(root, "id,label\n" + "".join(f"{n},{n % 2}\n" for n in range(4)))
    (root / "train.py").write_text("import seewhy")
    zip_up(root / "model.keras", config=b"{}")
    if extracted:
        with zipfile.ZipFile(root / "images.zip") as archive:
            archive.extractall(root / "images" if not inner else root)
    source = sources.find(root / given)
    assert source.layout == "table"
    records = list(source.read().records)
    assert [(r.id, r.label) for r in records] == [(f"images/{n}.png", str(n % 2)) for n in range(4)]
    if not extracted:
        ignored = "" if given else "2 other files ignored"  # train.py and model.keras
        assert [note for note in source.notes if "ignored" in note] == [ignored] * bool(ignored)
    splits = load_data(root / given, DataConfig(size=8), trainable=False)
    assert len(splits.bad) == 0 and sum(len(s) for s in (splits.train, splits.val)) >= 3
    if not extracted or given == "images.zip":
        assert set(source.files) == {"images.zip", "labels.csv"}


def test_a_zip_for_each_split_and_labels_for_one(tmp_path):
    for split in ("train", "test"):
        zip_up(tmp_path / f"{split}.zip", **{str(n): encoded(noise(8, 8, n)) for n in range(2)})
    write(tmp_path, "id,label\n0,x\n1,y\n", "trainLabels.csv")
    assert [row[:3] for row in rows_of(sources.find(tmp_path))] == [
        ("train/0.png", "x", "train"),
        ("train/1.png", "y", "train"),
    ]


def rows_of(source):
    return [(r.id, r.label, r.split) for r in source.read().records]


def test_a_zip_that_is_not_looked_into_is_named(tmp_path):
    put(tmp_path, "logo.png")
    zip_up(tmp_path / "photos.zip", a=encoded(noise(8, 8)))
    write(tmp_path, "id,label\na,x\n")
    with pytest.raises(DataError, match=r"Nothing was looked for in photos\.zip: extract it, or"):
        sources.find(tmp_path)
    assert rows_of(sources.find(tmp_path / "photos.zip")) == [("photos/a.png", "x", "")]


def test_files_in_a_zip_that_are_not_read_are_counted(tmp_path):
    zip_up(tmp_path / "images.zip", a=encoded(noise(8, 8)))
    with zipfile.ZipFile(tmp_path / "images.zip", "a") as archive:
        archive.writestr("notes.txt", "")
    write(tmp_path, "id,label\na,x\n")
    assert sources.find(tmp_path).notes == ("1 other file ignored",)


def test_an_archive_beside_a_table_is_named_whatever_its_kind(tmp_path):
    write(tmp_path, "id,label\na,x\n")
    (tmp_path / "photos.tar.xz").touch()
    with pytest.raises(DataError, match=r"Nothing was looked for in photos\.tar\.xz: extract it\n"):
        sources.find(tmp_path)
