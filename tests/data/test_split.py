"""Splits: what is drawn, what is never parted, and that names and order play no part."""

import csv
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seewhy.config.data import DataConfig
from seewhy.config.input_rule import InputRule
from seewhy.data.bad_files import BadFile
from seewhy.data.imageset import ImageSet, Rows
from seewhy.data.split import (
    MAX_NAME_BYTES,
    SealedSet,
    Splits,
    assign,
    check_classes_trained,
    check_names,
    draw,
    folds,
    notes_on_classes,
    part,
    ranks,
    units,
    write_splits,
)
from seewhy.errors import DataError, UntrainableError, UsageError


def strings(values: list[str]) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def a_set(labels, contents=None, groups=None, classes=None) -> ImageSet:
    """Images of one pixel; `contents` are numbers that stand for what is to be seen."""
    contents = range(len(labels)) if contents is None else contents
    return ImageSet(
        np.zeros((len(labels), 1, 1, 3), np.uint8),
        np.array(labels, np.int64),
        tuple(classes or (chr(97 + n) for n in range(max(labels) + 1))),
        strings([f"{number}.png" for number in range(len(labels))]),
        np.array([b"%032x" % (content * 7919) for content in contents]),
        None if groups is None else strings([str(group) for group in groups]),
    )


def split_of(images, given="train", val=0.1, seed=0, limit=None):
    given = np.array([given] * len(images) if isinstance(given, str) else given)
    return assign(images, given, DataConfig(val=val, test=None, split_seed=seed, limit=limit))


def brute_units(contents, groups) -> list[set[int]]:
    """Joins images one pair at a time."""
    parts = [{number} for number in range(len(contents))]
    for a in range(len(contents)):
        for b in range(a):
            if contents[a] == contents[b] or (groups and groups[a] == groups[b] != ""):
                one = next(p for p in parts if a in p)
                other = next(p for p in parts if b in p)
                if one is not other:
                    parts.remove(other)
                    one |= other
    return parts


rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=20)


@given(rows, st.booleans())
def test_units_are_what_hangs_together(rows, grouped):
    contents, groups = [row[0] for row in rows], [row[1] or "" for row in rows] if grouped else None
    images = a_set([0] * len(rows), contents, groups)
    unit = units(images.hashes, images.groups)
    found = {frozenset(np.flatnonzero(unit == number).tolist()) for number in set(unit.tolist())}
    assert found == {frozenset(p) for p in brute_units(contents, groups)}


# ------------------------------------------------------------------ invariants

source = st.lists(
    st.tuples(
        st.integers(0, 2),  # class
        st.integers(0, 15),  # content
        st.integers(0, 12),  # group
        st.sampled_from(["train", "val", "test"]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=200)
@given(source, st.booleans(), st.sampled_from(["none", "train", "all"]), st.integers(0, 3))
def test_a_unit_is_never_on_two_sides(rows, grouped, kind, seed):
    images = a_set(
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows] if grouped else None,
        classes="abc",
    )
    says = {"none": [""] * len(rows), "train": ["train"] * len(rows), "all": [r[3] for r in rows]}
    before = np.array(says[kind])
    split, _ = assign(images, before, DataConfig(val=0.3, test=None, split_seed=seed))
    assert set(split) <= {"train", "val", "test", "left_out"}
    unit = units(images.hashes, images.groups)
    for number in set(unit.tolist()):
        assert len(set(split[unit == number]) - {"left_out"}) == 1
    if kind == "all":  # what is given stays, or is left out
        kept = split != "left_out"
        if "val" in before or "train" not in before:
            assert np.array_equal(split[kept], before[kept])
        assert np.array_equal(split == "test", before == "test")
    else:
        assert "left_out" not in split


@settings(max_examples=50)
@given(source, st.randoms(use_true_random=False), st.integers(0, 3))
def test_order_and_names_play_no_part(rows, random, seed):
    images = a_set([row[0] for row in rows], [row[1] for row in rows], classes="abc")
    order = list(range(len(rows)))
    random.shuffle(order)
    other = a_set([rows[n][0] for n in order], [rows[n][1] for n in order], classes="abc")
    for before in ("", "train"):
        first, second = split_of(images, before, seed=seed), split_of(other, before, seed=seed)
        assert first[0][order].tolist() == second[0].tolist()


# ------------------------------------------------------------------ how many


@pytest.mark.parametrize("share, expected", [(0.1, 10), (0.25, 25), (0.004, 1), (0.999, 99)])
def test_the_share_holds_in_each_class(share, expected):
    labels = np.repeat([0, 1, 2], 100)
    drawn = draw(labels, np.arange(300), ranks((b"%d" % n for n in range(300)), 0), share)
    assert np.bincount(labels[drawn]).tolist() == [expected] * 3


def test_small_classes_give_one_and_keep_one():
    labels = np.array([0, 1, 1, 2, 2, 2])
    drawn = draw(labels, np.arange(6), ranks((b"%d" % n for n in range(6)), 0), 0.01)
    assert np.bincount(labels[drawn], minlength=3).tolist() == [0, 1, 1]
    drawn = draw(labels, np.arange(6), ranks((b"%d" % n for n in range(6)), 0), 0.99)
    assert np.bincount(labels[drawn], minlength=3).tolist() == [0, 1, 2]


def test_large_units_come_as_near_to_the_share_as_they_can():
    labels, unit = np.zeros(100, np.int64), np.repeat(np.arange(10), 10)
    drawn = draw(labels, unit, ranks((b"%d" % n for n in unit), 0), 0.26)
    assert drawn.sum() == 30 and np.bincount(unit[drawn]).max() == 10


def test_without_a_split_70_20_10_are_drawn():
    images = a_set([n % 4 for n in range(400)])
    split, notes = split_of(images, "")
    for label in range(4):
        counts = [
            np.count_nonzero(split[images.labels == label] == s) for s in ("train", "val", "test")
        ]
        assert counts == [70, 20, 10]
    assert notes == ["no split given: drawn 70/20/10 by content, seed 0"]


def test_the_shares_of_val_and_test_may_be_chosen():
    images = a_set([n % 4 for n in range(400)])
    split, notes = assign(images, np.array([""] * 400), DataConfig(val=0.25, test=0.35))
    assert [np.count_nonzero(split == s) for s in ("train", "val", "test")] == [160, 100, 140]
    assert notes == ["no split given: drawn 40/25/35 by content, seed 0"]


@pytest.mark.parametrize("val", [0.9, 0.95])
def test_a_share_of_val_that_leaves_nothing_beside_the_test_that_is_drawn_is_refused(val):
    with pytest.raises(UsageError, match=rf"val {val} and test 0\.1 leave nothing to train on"):
        assign(a_set([0] * 50 + [1] * 50), np.array([""] * 100), DataConfig(val=val))


def test_a_share_of_test_that_would_have_no_effect_is_refused():
    with pytest.raises(UsageError, match=r"data\.test has no effect"):
        assign(a_set([0, 0, 0]), np.array(["train"] * 3), DataConfig(val=0.3, test=0.2))


def test_two_images_of_a_class_are_trained_and_validated_on():
    split, _ = split_of(a_set([0, 0, 1, 1, 1]), "")
    assert sorted(split[:2]) == ["train", "val"] and sorted(split[2:]) == ["test", "train", "val"]


def test_only_val_is_drawn_where_train_is_given():
    images = a_set([0] * 50 + [1] * 50)
    split, notes = split_of(images, ["train"] * 80 + ["test"] * 20, val=0.1)
    assert np.array_equal(split[80:], ["test"] * 20)
    assert np.bincount(images.labels[split == "val"]).tolist() == [5, 3]
    assert notes == ["val: 8 images drawn from train by content, seed 0"]
    assert "test" not in split_of(images)[0]


def test_given_splits_stay():
    given = ["train", "val", "test"] * 10
    split, notes = split_of(a_set([0] * 30), given)
    assert split.tolist() == given and notes == []


def test_the_seed_draws_anew():
    images = a_set([0] * 200)
    first, again, other = (split_of(images, seed=seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    shared = np.count_nonzero((first == "val") & (other == "val"))
    assert shared < 10  # of 20; 2 are expected by chance


def test_adding_images_moves_few():
    before, after = a_set([0] * 1000), a_set([0] * 1100)
    old, new = split_of(before)[0], split_of(after)[0][:1000]
    assert np.count_nonzero(old != new) <= 20


def test_the_draw_is_by_hash_alone():
    """The rule spelled out: sha256 of the seed, a newline and the key; its first 8 bytes decide."""
    import hashlib

    expected = int.from_bytes(hashlib.sha256(b"3\nkey").digest()[:8], "big")
    assert ranks([b"key"], 3).tolist() == [expected]


# ------------------------------------------------------------------ folds


@settings(max_examples=200)
@given(source, st.booleans(), st.sampled_from(["none", "train", "all"]), st.integers(2, 5))
def test_every_unit_is_held_out_once_and_whole_and_test_stays_sealed(rows, grouped, kind, count):
    images = a_set(
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows] if grouped else None,
        classes="abc",
    )
    says = {"none": [""] * len(rows), "train": ["train"] * len(rows), "all": [r[3] for r in rows]}
    before = np.array(says[kind])
    test = assign(images, before, DataConfig(val=0.3))[0] == "test"
    configs = [DataConfig(val=0.3, fold=fold, folds=count) for fold in range(count)]
    try:
        parts = [assign(images, before, config)[0] for config in configs]
    except UsageError as refused:
        assert "some would be empty" in str(refused)
        return
    unit = units(images.hashes, images.groups)
    held = np.array([split == "val" for split in parts])
    for split in parts:
        assert np.array_equal(split == "test", test)
        assert not set(unit[split == "val"]) & set(unit[split == "train"])
    kept = ~test & (parts[0] != "left_out")
    assert np.array_equal(held.sum(axis=0), kept)


def test_folds_hold_the_same_share_of_each_class():
    labels = np.repeat([0, 1, 2], [100, 50, 11])
    fold = folds(labels, np.arange(161), ranks((b"%d" % n for n in range(161)), 0), 5)
    counts = np.array([np.bincount(labels[fold == number], minlength=3) for number in range(5)])
    assert np.all(counts[:, 0] == 20) and np.all(counts[:, 1] == 10)
    assert sorted(counts[:, 2]) == [2, 2, 2, 2, 3]


def test_classes_of_two_are_spread_over_the_folds():
    labels = np.repeat(np.arange(50), 2)
    fold = folds(labels, np.arange(100), ranks((b"%d" % n for n in range(100)), 0), 5)
    assert np.all(fold[::2] != fold[1::2])  # one is left to train on
    assert np.bincount(fold).tolist() == [20] * 5


def test_the_limit_holds_within_a_fold():
    images = a_set([0] * 60 + [1] * 40)
    split, notes = assign(images, np.array(["train"] * 100), DataConfig(limit=20, fold=1, folds=4))
    assert images.take(split == "val").counts.tolist() == [15, 10]
    assert images.take(split == "train").counts.tolist() == [12, 8]
    assert notes[0] == "val: 25 of 100 images, fold 1 (0 to 3)"


def test_a_share_of_val_beside_folds_is_said_once_to_have_no_effect():
    images, given = a_set([0] * 60 + [1] * 40), np.array(["train"] * 100)
    configs = [DataConfig(val=0.3, fold=fold, folds=4) for fold in range(4)]
    said = [any("no effect" in note for note in assign(images, given, one)[1]) for one in configs]
    assert said == [True, False, False, False]


def test_more_folds_than_images_are_refused_with_the_first():
    with pytest.raises(UsageError, match="10 folds of 8 images: some would be empty"):
        config = DataConfig(fold=0, folds=10)
        assign(a_set([0] * 4 + [1] * 4), np.array(["train"] * 8), config)


# ------------------------------------------------------------------ leaks


def test_what_is_in_a_later_split_too_is_left_out():
    contents = [1, 2, 3, 4, 1, 2, 5, 1, 6]
    given = ["train"] * 4 + ["val"] * 3 + ["test"] * 2
    split, notes = split_of(a_set([0] * 9, contents), given)
    assert split.tolist() == [
        *("left_out", "left_out", "train", "train"),  # 1 is in test, 2 in val
        *("left_out", "val", "val"),  # 1 is in test
        *("test", "test"),
    ]
    assert notes == [
        "train: 1 image left out: identical to (or in one group with) test images",
        "val: 1 image left out: identical to (or in one group with) test images",
        "train: 1 image left out: identical to (or in one group with) val images",
    ]


def test_a_group_leaks_as_an_image_does():
    given = ["train", "train", "test"]
    split, _ = split_of(a_set([0, 0, 0], groups=["x", "y", "x"]), [*given[:2], "test"])
    assert split[0] == "left_out" and split[2] == "test"
    # a chain: 0 is the image 1, which is of the group of 3
    images = a_set([0] * 5, [1, 1, 2, 3, 4], ["u", "v", "w", "v", "z"])
    split, _ = split_of(images, ["train"] * 3 + ["test", "train"])
    assert split[[0, 1, 3]].tolist() == ["left_out", "left_out", "test"]
    assert "left_out" not in split[[2, 4]]


@pytest.mark.parametrize("given", ["", "train"])
def test_what_is_added_to_train_is_in_no_part_that_is_drawn(given):
    images = a_set([0] * 40, [*range(20), *range(20)])
    split, notes = split_of(images, [given] * 20 + ["added"] * 20, val=0.3)
    held_out = {n for n in range(20) if split[n] != "train"}
    assert held_out and {n for n in range(20) if split[20 + n] == "left_out"} == held_out
    assert any("identical to (or in one group with) val images" in note for note in notes)


def test_one_image_under_two_labels_is_one_unit():
    images = a_set([0, 1] * 20, [n // 2 for n in range(40)])
    split, _ = split_of(images, val=0.3)
    assert np.array_equal(split[::2], split[1::2]) and "val" in split


# ------------------------------------------------------------------ limit


def test_the_limit_keeps_the_share_of_each_class():
    images = a_set([0] * 600 + [1] * 300 + [2] * 100)
    split, notes = split_of(images, ["train"] * 900 + ["train"] * 100, val=0.1, limit=90)
    assert images.take(split == "train").counts.tolist() == [54, 27, 9]
    assert np.count_nonzero(split == "val") == 100
    assert notes[-1] == "train: limited to 90 of 900 images"
    more = split_of(images, limit=180)[0]
    assert np.all(more[split == "train"] == "train")  # a smaller part lies in a larger


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 60))
def test_the_limit_is_met_and_no_class_is_emptied(sizes, limit):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    images = a_set(labels)
    if limit > len(labels):
        return
    rank = ranks((b"%d" % n for n in range(len(labels))), 0)
    if limit < len(sizes):
        with pytest.raises(DataError, match="fewer than"):
            part(images, limit, rank)
        return
    kept = part(images, limit, rank)
    assert kept.sum() == limit and np.all(images.take(kept).counts >= 1)


def test_a_limit_beyond_all_changes_nothing():
    images = a_set([0] * 20)
    assert np.array_equal(split_of(images, limit=18)[0], split_of(images)[0])
    assert split_of(images, limit=18)[1] == split_of(images)[1]


# ------------------------------------------------------------------ refusals


def test_a_class_without_training_images_is_named():
    images = a_set([0, 0, 1, 2], classes=("a", "b\x1b", "c"))
    with pytest.raises(DataError, match=r"no training images of b\\x1b, c: add some"):
        check_classes_trained(images, np.array(["train", "val", "val", "left_out"]))


def test_training_images_that_are_all_in_val_too_are_named_as_the_cause():
    images = a_set([0, 0, 1, 1], classes=("a", "b"))
    with pytest.raises(
        DataError, match="all training images of a, b were left out: they are identical"
    ):
        check_classes_trained(images, np.array(["left_out", "val", "left_out", "val"]))


def test_a_class_that_val_or_test_lacks_is_noted():
    images = a_set([0, 1, 2, 0, 1, 2, 0], classes=("a", "b\x1b", "c"))
    split = np.array(["train"] * 3 + ["val"] * 2 + ["test"] + ["train"])
    assert notes_on_classes(images, split) == [
        "val has no images of c: its metrics say nothing of them",
        r"test has no images of a, b\x1b: its metrics say nothing of them",
    ]
    assert notes_on_classes(images, np.array(["train"] * 7)) == []


def test_one_class_is_an_error():
    with pytest.raises(DataError, match="there is one class, a: a classifier needs two"):
        check_classes_trained(a_set([0, 0]), np.array(["train", "val"]))


def test_names_that_a_model_file_cannot_hold_are_refused_before_training():
    check_names(("a" * 256, "猫", 'with "quotes"'))
    faults = {
        "a" * 257: "has 257 char",
        "": "is empty",
        "a\nb": r"has \\n",
        "\ud800": "has .*ud800",
    }
    for name, fault in faults.items():
        with pytest.raises(UntrainableError, match=fault):
            check_names((name, "b"))
    fitting = tuple(f"{number:0251}" for number in range(MAX_NAME_BYTES // 256 - 1))
    check_names(fitting)
    with pytest.raises(UntrainableError, match=r"2,049 class names of .* bytes do not fit"):
        check_names((*fitting, "a" * 251, "b" * 251))
    with pytest.raises(UntrainableError, match="has space for 100,000 names"):
        check_names(tuple(map(str, range(100_001))))


def test_nothing_to_validate_on_is_an_error():
    images = a_set([0, 1])
    with pytest.raises(DataError, match="nothing to validate on"):
        check_classes_trained(images, split_of(images)[0])


# ------------------------------------------------------------------ records


def splits(images: ImageSet, split: list[str]) -> Splits:
    taken = {
        name: images.take(np.array(split) == name) for name in ("train", "val", "test", "left_out")
    }
    return Splits(
        taken["train"],
        taken["val"],
        SealedSet(taken["test"]) if "test" in split else None,
        taken["left_out"],
        InputRule(size=1, store=1),
        "folders",
        (BadFile("x", "undecodable", "damaged"),),
    )


def test_the_manifest_has_a_row_an_image(tmp_path):
    images = a_set([0, 1, 0, 1], groups=["g", "=h", "", "k"], classes=("a", "-b"))
    images.ids[1], images.ids[2] = "@b/1,\n.png", "\udcff.png"
    write_splits(splits(images, ["val", "train", "left_out", "test"]), tmp_path / "splits.csv")
    data = (tmp_path / "splits.csv").read_bytes()
    assert list(csv.reader(data.decode().splitlines(keepends=True))) == [
        ["id", "split", "label", "hash", "group"],
        ["'@b/1,\n.png", "train", "'-b", images.hashes[1].decode(), "'=h"],
        ["0.png", "val", "a", images.hashes[0].decode(), "g"],
        ["3.png", "test", "'-b", images.hashes[3].decode(), "k"],
        ["\\udcff.png", "left_out", "a", images.hashes[2].decode(), ""],
    ]
    assert os.listdir(tmp_path) == ["splits.csv"]


def test_the_manifest_does_without_groups_and_test(tmp_path):
    write_splits(splits(a_set([0, 0]), ["train", "val"]), tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text().splitlines()[1].endswith(",")


def test_the_fingerprint_of_splits_needs_no_test():
    images = a_set([0] * 4)
    with_test = splits(images, ["train", "val", "test", "left_out"])
    without = splits(images, ["train", "val", "left_out", "left_out"])
    swapped = splits(images, ["val", "train", "left_out", "left_out"])
    assert with_test.fingerprint == without.fingerprint != swapped.fingerprint


def test_a_sealed_set_tells_what_may_be_known():
    images = a_set([0, 1, 0])
    sealed = SealedSet(images)
    assert len(sealed) == 3 and sealed.classes == ("a", "b")
    assert np.array_equal(sealed.hashes, images.hashes) and sealed.fingerprint == images.fingerprint
    assert sealed.unseal() is images
    attributes = (name for name in dir(sealed) if not name.startswith("__"))
    values = [getattr(sealed, name) for name in attributes if name != "_SealedSet__images"]
    assert not any(isinstance(value, ImageSet | Rows) for value in values)
    assert not hasattr(sealed, "labels") and not hasattr(sealed, "_images")
    assert not hasattr(sealed, "__dict__")
