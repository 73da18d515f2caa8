"""What labels say: blanks, numbers, cases, missing ones; by every source the same."""

import numpy as np
import pytest
from data.pictures import encoded, noise, put

from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.class_names import class_names, differ_by_case, label_text
from seewhy.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    "value, text",
    [
        (" cat ", "cat"),
        ("\u00a0cat", "cat"),
        (1, "1"),
        (1.0, "1"),
        (np.float32(3), "3"),
        (np.int64(-2), "-2"),
        (0.5, "0.5"),
        (True, "True"),
        (None, ""),
        (float("nan"), ""),
        ("nan", ""),
        ("NaN", ""),
        ("<NA>", ""),
        ("  ", ""),
        ("None", "None"),  # a class of its own in some data
        ("nana", "nana"),
    ],
)
def test_the_text_of_a_label(value, text):
    assert label_text(value) == text


@pytest.mark.parametrize(
    "labels, classes",
    [
        (["1", "1.0", "01", "+1"], {"1"}),
        (["01", "02", "10"], {"01", "02", "10"}),  # nothing to merge: they stay
        (["0", "0.0", "-0"], {"0"}),
        (["-1", "1"], {"-1", "1"}),
        (["0.50", "0.5", "00.500"], {"0.5"}),
        (["1e3", "1000"], {"1e3", "1000"}),
        (["9" * 40, "0" + "9" * 40], {"9" * 40}),
        (["cat", " cat", "cat\t"], {"cat"}),
        (["Cat", "cat"], {"Cat", "cat"}),
        (["e\u0301", "\u00e9"], {"\u00e9"}),
    ],
)
def test_which_labels_are_one_class(labels, classes):
    assert set(class_names(labels).values()) == classes


def test_names_that_differ_by_case_are_said():
    assert differ_by_case(["Cat", "cat", "dog", "STRASSE", "straße"]) == [
        ["Cat", "cat"],
        ["STRASSE", "straße"],
    ]


def test_numbers_of_one_value_are_one_class_in_a_table(tmp_path):
    for number in range(40):
        put(tmp_path, f"{number}.png", data=encoded(noise(8, 8, number)))
    spelled = ["1", "01", "1.0", "2", " 2 ", "Two", "two", "nan", "", "1"]
    rows = (f"{number},{spelled[number % 10]}" for number in range(40))
    (tmp_path / "labels.csv").write_text("id,label\n" + "\n".join(rows))
    splits = load_data(tmp_path, DataConfig(size=8))
    assert splits.classes == ("1", "2", "Two", "two") and splits.merged == ("1",)
    assert "1 is spelled in several ways: read as one class" in splits.notes
    assert "the classes Two, two differ only by case: rename one if they are one" in splits.notes
    assert any("without a label" in note and "8 images" in note for note in splits.notes)


def test_a_model_knows_a_number_in_another_spelling(tmp_path):
    labels = np.arange(60) % 3
    splits = load_data((IMAGES, [f"0{label}" for label in labels]), classes=("2", "1", "0"))
    assert splits.classes == ("2", "1", "0") and splits.train.counts.all()
    # An older model may tell them apart.
    splits = load_data((IMAGES, [f"0{label}" for label in labels]), classes=("0", "00", "01", "02"))
    assert splits.train.counts[0] == 0 and splits.train.counts[1:].all()


def test_missing_labels_that_leave_one_class_are_counted_in_the_error():
    for missing in (float("nan"), None, -1):
        labels = [1, missing, missing] * 20
        with pytest.raises(
            DataError, match=r"one class, 1, and 40 images without a label \(empty,"
        ):
            load_data((IMAGES, labels))


def test_without_any_label_there_is_nothing_to_learn():
    with pytest.raises(DataError, match=r"no label on any of 60 images .* NaN.*label them"):
        load_data((IMAGES, [None, float("nan")] * 30))
