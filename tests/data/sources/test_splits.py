"""Folders named for splits, in the forms that data sets in use have, and classes that only look like it."""

import pytest

from seewhy.data.sources.splits import from_folders, lone, same_split, split_folders


@pytest.mark.parametrize(
    "folders, splits",
    [
        (("train", "val", "test"), ("train", "val", "test")),
        (("Train", "VALID", "Test"), ("train", "val", "test")),
        (("Training", "Testing"), ("train", "test")),
        (("training", "validate", "testing"), ("train", "val", "test")),
        (("seg_train", "seg_test", "seg_pred"), ("train", "test", "")),
        (("train", "test1"), ("train", "test")),
        (("training_set", "test_set"), ("train", "test")),
        (("trainset", "valset"), ("train", "val")),
        (("train-images", "TestImages"), ("train", "test")),
        (("Final_Training", "Final_Test"), ("train", "test")),
        (("train2017", "val2017"), ("train", "val")),
        (("train", "dev"), ("train", "val")),
        (("train", "eval"), ("train", "test")),  # in doubt what no training opens
        (("train", "eval", "test"), ("train", "val", "test")),
        (("training", "validation", "evaluation"), ("train", "val", "test")),
        (("trainA", "trainB", "testA", "testB"), ("train", "train", "test", "test")),
        (("train",), ("train",)),
        (("test", "cat", "dog"), ("test", "", "")),
        # classes
        (("bullet_train", "freight_train"), ("", "")),
        (("bullet_train", "blood_test"), ("", "")),
        (("train", "blood_test"), ("train", "")),
        (("seg_train",), ("",)),
        (("test1", "test2"), ("", "")),
        (("constrain", "latest", "eternal"), ("", "", "")),
        (("trainer", "device"), ("", "")),
        (("train_test",), ("",)),
        (("猫", "Straße"), ("", "")),
    ],
)
def test_which_folders_are_splits(folders, splits):
    found = split_folders(folders)
    assert tuple(found.get(folder, "") for folder in folders) == splits


@pytest.mark.parametrize(
    "folder, inner, same",
    [
        ("seg_train", "seg_train", True),
        ("training_set", "train", True),
        ("test", "Testing", True),
        ("train", "test", False),
        ("train", "cat", False),
        ("odd", "odd", True),
    ],
)
def test_a_folder_may_repeat_the_one_around_it(folder, inner, same):
    assert same_split(folder, inner) is same


def test_odd_names_are_said():
    assert from_folders({"train": "train", "test": "test"}) == ""
    assert from_folders({"Train": "train"}) == "splits by folder: train from Train"


def test_the_lone_folder():
    assert lone(["a/1", "a/b/2"]) == "a"
    assert lone(["a/1", "b/2"]) is None and lone(["a/1", "2"]) is None and lone([]) is None
