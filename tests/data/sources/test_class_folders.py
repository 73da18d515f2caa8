"""Classes by folder: what belongs to a class, to a split, to none."""

import os

import numpy as np
import pytest
from data.pictures import class_folders, encoded, noise, put

from seewhy.data.sources.class_folders import (
    find_folders,
    find_split_folders,
    fits_folders,
    fits_split_folders,
    folder_names,
)
from seewhy.data.sources.tree import tree_at

PNG = encoded(noise())


def rows(source) -> list[tuple[str, str, str]]:
    reading = source.read()
    found = [(record.id, record.label, record.split) for record in reading.records]
    assert len(found) == reading.total == len(source.files)
    assert [row[0] for row in found] == list(source.files)
    return found


# ------------------------------------------------------------------ root/<class>/*


def test_a_class_is_the_first_folder(tmp_path):
    put(tmp_path, "cat/1.png", "cat/more/2.png", "10/x.png", "2/x.png", "Zebra/x.png")
    tree = tree_at(tmp_path)
    assert fits_folders(tree) and not fits_split_folders(tree)
    source = find_folders(tree_at(tmp_path), None)
    assert rows(source) == [
        ("10/x.png", "10", ""),
        ("2/x.png", "2", ""),
        ("Zebra/x.png", "Zebra", ""),
        ("cat/1.png", "cat", ""),
        ("cat/more/2.png", "cat", ""),
    ]
    assert source.read().classes is None  # sorted plainly by the cache


def test_images_outside_class_folders_are_passed_over(tmp_path):
    put(tmp_path, "cat/1.png", "cover.png", "dog/1.png")
    source = find_folders(tree_at(tmp_path), None)
    assert source.files == ("cat/1.png", "dog/1.png")
    assert source.notes == ("1 other files ignored",)


def test_what_is_skipped_is_told(tmp_path):
    put(tmp_path, "cat/1.png")
    os.mkfifo(tmp_path / "cat/pipe")
    source = find_folders(tree_at(tmp_path), None)
    assert source.notes == ("1 links, pipes or unreadable folders skipped",)
    assert [file.path for file in source.skipped] == ["cat/pipe"]


# ------------------------------------------------------------------ root/<split>/<class>/*


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_splits_have_the_names_in_use(tmp_path, val):
    put(tmp_path, "train/a/1.png", f"{val}/a/2.png", "test/b/deep/3.png")
    tree = tree_at(tmp_path)
    assert fits_split_folders(tree) and not fits_folders(tree)
    assert sorted(rows(find_split_folders(tree_at(tmp_path), None))) == [
        ("test/b/deep/3.png", "b", "test"),
        ("train/a/1.png", "a", "train"),
        (f"{val}/a/2.png", "a", "val"),
    ]


def test_other_folders_beside_splits_are_passed_over(tmp_path):
    put(tmp_path, "train/a/1.png", "train/cover.png", "extra/a/2.png")
    source = find_split_folders(tree_at(tmp_path), None)
    assert source.files == ("train/a/1.png",)
    assert source.notes == ("2 other files ignored",)


@pytest.mark.parametrize(
    "names, fits",
    [
        (["a/1.png"], (True, False)),
        (["train/1.png", "bus/1.png"], (True, False)),  # a class of trains
        (["train/a/1.png"], (False, True)),
        (["train/a/b/c/1.png", "test/a/1.png"], (False, True)),
        (["train/a/1.png", "bus/1.png"], (True, True)),
        (["train/a/1.png", "train/1.png"], (True, True)),
        (["train/a/1.png", "labels/1.txt"], (False, True)),
        (["train/1.png", "test/2.png"], (False, False)),  # splits without classes
        (["1.png"], (False, False)),
        (["a/1.txt"], (False, False)),
        (["train/.hidden/1.png"], (False, False)),
        ([], (False, False)),
    ],
)
def test_which_layout_fits(tmp_path, names, fits):
    for name in names:
        put(tmp_path, name, data=b"text" if name.endswith("txt") else PNG)
    tree = tree_at(tmp_path)
    assert (fits_folders(tree), fits_split_folders(tree)) == fits


def test_names_of_folders_are_those_of_either_layout(tmp_path):
    put(tmp_path, "train/a/1.png", "b/deep/er/2.png", "3.png")
    assert folder_names(tree_at(tmp_path)) == {"train", "a", "b", "deep"}


def test_a_file_is_no_folder(tmp_path):
    put(tmp_path, "x.png")
    tree = tree_at(tmp_path / "x.png")
    assert not fits_folders(tree) and not fits_split_folders(tree)


# ------------------------------------------------------------------ the sample


def test_the_sample_is_spread_evenly_and_leaves_test_out(tmp_path, monkeypatch):
    class_folders(tmp_path / "train", {"a": 30, "b": 30})
    class_folders(tmp_path / "test", {"a": 9}, start=90)
    monkeypatch.setattr("seewhy.data.sources.source.SAMPLE", 10)
    paths = [
        path.relative_to(tmp_path).as_posix()
        for path in find_split_folders(tree_at(tmp_path), None).sample()
    ]
    assert len(paths) == 10 and all(path.startswith("train/") for path in paths)
    assert sum(path.startswith("train/a/") for path in paths) == 5


def test_records_open_nothing(tmp_path):
    put(tmp_path, "a/1.png", data=b"no picture")
    (record,) = find_folders(tree_at(tmp_path), None).read().records
    assert record.image == tmp_path / "a/1.png" and record.group is None
    assert not isinstance(record.image, np.ndarray)
