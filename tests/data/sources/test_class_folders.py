"""Classes by folder: what belongs to a class, to a split, to none."""

import os

import numpy as np
import pytest
from data.pictures import class_folders, encoded, noise, put

from seewhy.config.data import DataConfig
from seewhy.data import sources
from seewhy.data.sources.class_folders import (
    find_folders,
    find_split_folders,
    fits_folders,
    fits_split_folders,
    folder_names,
)
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.tree import tree_at
from seewhy.errors import DataError

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
    source = find_folders(tree_at(tmp_path), Columns())
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
    source = find_folders(tree_at(tmp_path), Columns())
    assert source.files == ("cat/1.png", "dog/1.png")
    assert source.notes == ("1 other file ignored",)


def test_what_is_skipped_is_told(tmp_path):
    put(tmp_path, "cat/1.png")
    os.mkfifo(tmp_path / "cat/pipe")
    source = find_folders(tree_at(tmp_path), Columns())
    assert source.notes == ("skipped links, pipes and unreadable folders: 1",)
    assert [file.path for file in source.skipped] == ["cat/pipe"]


# ------------------------------------------------------------------ root/<split>/<class>/*


@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_splits_have_the_names_in_use(tmp_path, val):
    put(tmp_path, "train/a/1.png", f"{val}/a/2.png", "test/b/deep/3.png")
    tree = tree_at(tmp_path)
    assert fits_split_folders(tree) and not fits_folders(tree)
    assert sorted(rows(find_split_folders(tree_at(tmp_path), Columns()))) == [
        ("test/b/deep/3.png", "b", "test"),
        ("train/a/1.png", "a", "train"),
        (f"{val}/a/2.png", "a", "val"),
    ]


def test_other_folders_beside_splits_are_passed_over(tmp_path):
    put(tmp_path, "train/a/1.png", "train/cover.png", "extra/a/2.png")
    source = find_split_folders(tree_at(tmp_path), Columns())
    assert source.files == ("train/a/1.png",)
    assert source.notes == (
        "folders beside the splits were ignored: extra",
        "2 other files ignored",
    )


@pytest.mark.parametrize(
    "above",
    [
        ("train", "test"),
        ("Training", "Testing"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("training_set/training_set", "test_set/test_set"),
        ("train/images", "test/images"),
        ("Final_Training/Images", "Final_Test/Images"),
        ("train/train/images", "test1/test1/images"),
    ],
)
def test_classes_may_lie_deeper_in_a_split(tmp_path, above):
    train, test = above
    put(tmp_path, f"{train}/a/1.png", f"{train}/b/x/2.png", f"{test}/a/3.png", f"{test}/b/4.png")
    source = sources.find(tmp_path)
    assert source.layout == "split-folders"
    assert sorted(row[1:] for row in rows(source)) == [
        *(("a", "test"), ("a", "train"), ("b", "test"), ("b", "train"))
    ]


def test_a_class_named_like_a_split_is_asked_about(tmp_path):
    put(tmp_path, "test/a/1.png", "bus/a/2.png")
    with pytest.raises(DataError, match=r"layouts \(test may be a split or a class, beside bus\)"):
        sources.find(tmp_path)
    assert {row[1] for row in rows(sources.find(tmp_path, DataConfig(layout="folders")))} == {
        "bus",
        "test",
    }


def test_the_only_class_of_a_split_is_no_folder_between(tmp_path):
    put(tmp_path, "train/cat/1.png", "train/dog/1.png", "val/cat/2021/1.png", "val/cat/2022/2.png")
    assert {row[1] for row in rows(sources.find(tmp_path))} == {"cat", "dog"}


def test_test_images_without_class_folders_are_said(tmp_path):
    put(tmp_path, "train/images/a/1.png", "train/images/b/1.png", "test/images/1.png")
    source = sources.find(tmp_path)
    assert {row[1:] for row in rows(source)} == {("a", "train"), ("b", "train")}
    assert "test: ignored 1 image in no class folder" in source.notes


def test_images_in_the_folders_of_splits_alone_are_refused_with_a_hint(tmp_path):
    for number in range(5):
        put(tmp_path, f"train/cat.{number}.jpg", f"train/dog.{number}.jpg", f"test1/{number}.jpg")
    with pytest.raises(DataError) as caught:
        sources.find(tmp_path)
    assert "test1, train are named for splits, and hold images but no class" in str(caught.value)
    assert "say their class (cat, dog): --layout file-names" in str(caught.value)
    source = sources.find(tmp_path, DataConfig(layout="file-names"))
    assert {row[1:] for row in rows(source)} == {("cat", "train"), ("dog", "train")}
    assert "5 other files ignored" in source.notes


@pytest.mark.parametrize(
    "name, label",
    [
        ("cat.0.jpg", "cat"),
        ("great_pyrenees_12.jpg", "great_pyrenees"),
        ("n01440764_10026.JPEG", "n01440764"),
        ("truck (3).png", "truck"),
        ("deep/er/cat-1.png", "cat"),
    ],
)
def test_a_file_name_without_its_number_is_a_class(tmp_path, name, label):
    (row,) = rows(sources.find(put(tmp_path, name), DataConfig(layout="file-names")))
    assert row == (name, label, "")


def test_file_names_without_a_class_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"no image in .* is named for its class"):
        sources.find(put(tmp_path, "1.png", "cat.png"), DataConfig(layout="file-names"))


# ------------------------------------------------------------------ folders without images


def test_a_class_folder_without_images_is_said(tmp_path):
    put(tmp_path, "cat/1.png", "dog/1.png", "runs/photos/x.png", "runs/photos/run.lock")
    put(tmp_path, "runs/photos/config.yaml", "docs/notes/x.xml", data=b"text")
    (tmp_path / "fox/deep").mkdir(parents=True)
    source = sources.find(tmp_path)
    assert {row[1] for row in rows(source)} == {"cat", "dog"}
    assert "not read as classes, since no image is in them: docs" in source.notes
    assert "not read as classes, since they are empty: fox" in source.notes
    assert "output of SeeWhy, ignored: runs/photos" in source.notes
    assert [(file.path, file.code) for file in source.skipped] == [("fox", "empty_folder")]


def test_a_class_folder_without_images_in_a_split_is_said(tmp_path):
    put(tmp_path, "train/cat/1.png", "train/dog/1.png", "val/cat/2.png")
    (tmp_path / "val/dog").mkdir()
    assert [file.path for file in sources.find(tmp_path).skipped] == ["val/dog"]


@pytest.mark.parametrize(
    "names, fits",
    [
        (["a/1.png"], (True, False)),
        (["train/1.png", "bus/1.png"], (True, False)),  # a class of trains
        (["train/a/1.png"], (False, True)),
        (["train/a/b/c/1.png", "test/a/1.png"], (False, True)),
        (["train/a/1.png", "bus/1.png"], (True, True)),
        (["train/a/1.png", "train/1.png"], (False, True)),
        (["train/a/1.png", "test1/1.png"], (False, True)),  # its test images have no labels
        (["train/a/1.png", "test/a/1.png", "pred/1/1.png"], (False, True)),
        (["train/a/1.png", "test/a/1.png", "extra/a/1.png"], (True, True)),
        (["train/a/1.png", "test/b/1.png", "extra/c/1.png"], (True, True)),
        (["test/1.png", "bus/1.png", "car/1.png"], (True, False)),  # a class of tests
        (["Train/1.png", "test1/2.png"], (False, False)),
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
        for path in find_split_folders(tree_at(tmp_path), Columns()).sample()
    ]
    assert len(paths) == 10 and all(path.startswith("train/") for path in paths)
    assert sum(path.startswith("train/a/") for path in paths) == 5


def test_records_open_nothing(tmp_path):
    put(tmp_path, "a/1.png", data=b"no picture")
    (record,) = find_folders(tree_at(tmp_path), Columns()).read().records
    assert record.image == tmp_path / "a/1.png" and record.group is None
    assert not isinstance(record.image, np.ndarray)
