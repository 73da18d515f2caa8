"""`load_data` from a source to splits: classes by name, bad files, groups, notes (R38)."""

import os
import unicodedata

import numpy as np
import pytest
from data.pictures import class_folders, encoded, noise
from data.sources.test_parquet import pictures, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from seewhy.config.data import DataConfig
from seewhy.config.input_rule import InputRule
from seewhy.config.recipe import load_recipe
from seewhy.data import Splits, load_data, write_bad_files
from seewhy.data.class_names import class_names
from seewhy.data.images.decode import read
from seewhy.data.sources.folders import is_litter
from seewhy.errors import DataError, UsageError

SKIP = DataConfig(on_bad="skip", max_bad=0.2)


@pytest.fixture
def root(tmp_path):
    return class_folders(tmp_path / "pictures", {"cat": 20, "dog": 20}, side=10)


def ids(splits: Splits, name: str) -> set[str]:
    images = splits.test.unseal() if name == "test" else getattr(splits, name)
    return set(images.ids)


# ------------------------------------------------------------------ whole


def test_digits_are_ready():
    splits = load_data("digits")
    assert splits.rule == InputRule(size=8, store=8) and splits.layout == "digits"
    assert (len(splits.train), len(splits.val), len(splits.test)) == (1215, 135, 447)
    assert splits.classes == tuple("0123456789") and len(splits.left_out) == 0
    assert splits.train.images.shape == (1215, 8, 8, 3)
    assert splits.notes == (
        "train: 1,350 images, 10 classes, 8x8, from digits; test: 447 images",
        "val: 135 images drawn from train by content, seed 0",
    )


def test_class_folders_are_cut_70_20_10(root):
    splits = load_data(root)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (28, 8, 4)
    assert splits.notes == (
        "all: 40 images, 2 classes, 10x10, from folders",
        "no split given: drawn 70/20/10 by content, seed 0",
    )
    for images in (splits.train, splits.val, splits.test.unseal()):
        for row in range(len(images)):
            assert np.array_equal(images.images[row], read(root / images.ids[row], splits.rule))
            assert images.classes[images.labels[row]] == images.ids[row].split("/")[0]


def test_given_splits_are_kept(tmp_path):
    class_folders(tmp_path / "train", {"a": 5, "b": 5})
    class_folders(tmp_path / "valid", {"a": 2, "b": 3}, start=50)
    splits = load_data(tmp_path)
    assert (len(splits.train), len(splits.val), splits.test) == (10, 5, None)
    assert splits.notes == ("train: 10 images, 2 classes, 8x8, from split-folders; val: 5 images",)


def test_the_rule_follows_the_images_or_a_model(root):
    assert load_data(root).rule == InputRule(size=10, store=10)
    assert load_data(root, DataConfig(size=6)).rule == InputRule(size=6, store=6)
    rule = InputRule(size=12, store=14)
    splits = load_data(root, rule=rule)
    assert splits.rule == rule and splits.train.images.shape[1:] == (14, 14, 3)


def test_names_of_files_play_no_part(root, tmp_path):
    first = load_data(root)
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.rename(path.with_name(f"{-number % 40:05}-new.png"))
    second = load_data(root)
    for name in ("train", "val"):
        assert set(getattr(first, name).hashes) == set(getattr(second, name).hashes)
    assert first.fingerprint == second.fingerprint and not ids(first, "train") & ids(
        second, "train"
    )


def test_cifar10_from_parquet(some_cifar10):
    splits = load_data(some_cifar10)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (1_802, 198, 1_000)
    assert splits.classes[3] == "cat" and splits.bad == () and splits.rule.store == 32
    assert splits.notes[0] == (
        "train: 2,000 images, 10 classes, 32x32, from parquet; test: 1,000 images"
    )


@pytest.mark.long
def test_the_whole_of_cifar10_from_parquet(shared_data):
    splits = load_data(shared_data / "cifar10")
    assert (len(splits.train), len(splits.val), len(splits.test)) == (45_000, 5_000, 10_000)
    assert splits.train.counts.tolist() == [4_500] * 10 and splits.val.counts.tolist() == [500] * 10
    assert splits.classes[3] == "cat" and splits.bad == () and splits.rule.store == 32
    assert splits.notes[0] == (
        "train: 50,000 images, 10 classes, 32x32, from parquet; test: 10,000 images"
    )


def test_photographs(shared_data):
    splits = load_data(shared_data / "hymenoptera", DataConfig(size=32))
    assert (len(splits.train), len(splits.val), splits.test) == (245, 153, None)
    assert splits.classes == ("ants", "bees") and splits.rule == InputRule(
        size=32, store=32, fit="squash"
    )
    assert splits.notes[0] == (
        "train: 245 images, 2 classes, of several sizes, from split-folders; val: 153 images"
    )


# ------------------------------------------------------------------ classes by name


def test_classes_of_a_model_are_aligned_by_name(root):
    splits = load_data(root, classes=("dog", "fox", "cat"))
    assert splits.classes == ("dog", "fox", "cat")
    for label, key in zip(splits.train.labels, splits.train.ids, strict=True):
        assert splits.classes[label] == key.split("/")[0]
    assert "no images of fox" in splits.notes


def test_a_class_that_the_model_lacks_is_refused(root):
    with pytest.raises(
        DataError, match="classes that the model lacks: dog; the model has cat, Dog"
    ):
        load_data(root, classes=("cat", "Dog"))


def test_a_model_may_be_given_test_images_alone(tmp_path):
    class_folders(tmp_path / "test", {"a": 3, "b": 3})
    splits = load_data(tmp_path, classes=("b", "a"))
    assert (len(splits.train), len(splits.val), len(splits.test)) == (0, 0, 6)
    with pytest.raises(DataError, match="no training images of a, b"):
        load_data(tmp_path)


def test_a_class_of_val_that_train_lacks_is_named(tmp_path):
    class_folders(tmp_path / "train", {"a": 3, "c": 3})
    class_folders(tmp_path / "val", {"a": 1, "b": 1, "c": 1}, start=50)
    with pytest.raises(DataError, match="no training images of b: add some"):
        load_data(tmp_path)


def test_a_class_that_val_lacks_shifts_no_label(tmp_path):
    class_folders(tmp_path / "train", {"a": 3, "b": 3, "c": 3})
    class_folders(tmp_path / "val", {"a": 1, "c": 1}, start=50)
    splits = load_data(tmp_path)
    assert splits.val.labels.tolist() == [0, 2]


def test_one_class_alone_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is one class, photos"):
        load_data(class_folders(tmp_path, {"photos": 4}))


@pytest.mark.parametrize("name", [b"a\x1bb", b"\xff", b"n" * 255 + b""])
def test_a_class_name_that_no_model_can_hold_is_refused(tmp_path, name):
    class_folders(tmp_path, {"ok": 3, os.fsdecode(name): 3})
    if len(name) == 255:
        assert len(load_data(tmp_path).classes) == 2
        return
    with pytest.raises(DataError, match="rename it"):
        load_data(tmp_path)


letters = st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="/")
names = st.one_of(
    st.sampled_from(
        ["1", "2", "10", "01", "cat", "Cat", "CAT", "é", "e\u0301", "日本", "ß", "SS", "a b"]
    ),
    st.text(letters, min_size=1, max_size=8).filter(
        lambda name: not is_litter(name) and class_names([name])[name]  # blanks are no label
    ),
)


def check_classes_by_name(tmp_path_factory, trained: set[str], seen: set[str]) -> None:
    folder = tmp_path_factory.mktemp("classes")
    class_folders(folder / "train", dict.fromkeys(sorted(trained), 2))
    class_folders(folder / "seen" / "test", dict.fromkeys(sorted(seen), 1), start=500)
    named = set(class_names(trained).values())
    if len(named) < 2:
        return
    model = load_data(folder / "train", DataConfig(layout="folders")).classes
    assert model == tuple(sorted(named))
    name = class_names([*model, *seen])
    extra = {name[one] for one in seen} - {name[one] for one in model}
    config = DataConfig(layout="split-folders")
    if extra:
        with pytest.raises(DataError, match="classes that the model lacks"):
            load_data(folder / "seen", config, classes=model)
        return
    test = load_data(folder / "seen", config, classes=model).test.unseal()
    assert len(test) == len(seen)
    for key, label in zip(test.ids, test.labels, strict=True):
        assert name[model[label]] == name[key.split("/")[1]]


@st.composite
def class_sets(draw: st.DrawFn) -> tuple[set[str], set[str]]:
    trained = draw(st.sets(names, min_size=2, max_size=5))
    seen = draw(st.sets(st.sampled_from(sorted(trained)), min_size=1))
    return trained, seen | draw(st.sets(names, max_size=1))


SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=20, suppress_health_check=SLOW)
@given(sets=class_sets())
def test_labels_go_by_name(tmp_path_factory, sets):
    check_classes_by_name(tmp_path_factory, *sets)


@pytest.mark.long
@settings(max_examples=200, suppress_health_check=SLOW)
@given(sets=class_sets())
def test_labels_go_by_name_in_200_sets(tmp_path_factory, sets):
    check_classes_by_name(tmp_path_factory, *sets)


# ------------------------------------------------------------------ bad files


def test_what_cannot_be_trained_on_can_be_looked_at(tmp_path):
    class_folders(tmp_path / "train", {"a": 3})
    class_folders(tmp_path / "test", {"a": 1, "b\a": 2}, start=50)
    with pytest.raises(DataError, match=r"cannot be shown|no training images"):
        load_data(tmp_path)
    splits = load_data(tmp_path, trainable=False)
    assert splits.classes == ("a", "b\a") and len(splits.test) == 3


def test_val_and_test_may_be_chosen_where_there_is_no_split(root):
    splits = load_data(root, DataConfig(val=0.25, test=0.25))
    assert (len(splits.train), len(splits.val), len(splits.test)) == (20, 10, 10)
    assert "no split given: drawn 50/25/25 by content, seed 0" in splits.notes
    with pytest.raises(ValidationError, match="leave nothing to train on"):
        DataConfig(val=0.5, test=0.5)


def test_an_option_of_the_split_is_never_ignored(root, tmp_path):
    for config in (DataConfig(val=0.3), load_recipe("fast", {"data.val": 0.3}).data):
        assert "no split given: drawn 60/30/10 by content, seed 0" in load_data(root, config).notes
    as_drawn = load_data(root)
    for config in (
        DataConfig(val=0.2),
        load_recipe("strided-cnn").data,
        load_recipe("digits").data,
    ):
        assert load_data(root, config).fingerprint == as_drawn.fingerprint
    # A run that was stored before goes on as it was split.
    stored = DataConfig.model_validate(DataConfig(val=0.3).model_dump())
    assert load_data(root, stored).fingerprint == as_drawn.fingerprint
    assert len(load_data(root, DataConfig(test=0.25)).test) == 10  # with val 0.1, the default
    class_folders(tmp_path / "own" / "train", {"a": 8, "b": 8})
    class_folders(tmp_path / "own" / "val", {"a": 2, "b": 2}, start=50)
    notes = load_data(tmp_path / "own", DataConfig(val=0.3)).notes
    assert "data.val 0.3 has no effect: the source has its own val" in notes


def test_forms_of_unicode_that_are_one_class_are_told(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    class_folders(tmp_path / "train", {composed: 3, decomposed: 3, "b": 3})
    splits = load_data(tmp_path)
    assert splits.classes == ("b", composed) and splits.merged == (composed,)
    assert f"{composed} is spelled in several ways: read as one class" in splits.notes


def test_bad_images_stop_or_are_left_out(root, tmp_path):
    good = load_data(root)
    for number in range(4):
        (root / f"cat/0000{number}x.png").write_bytes(b"junk")
    with pytest.raises(DataError, match=r"4 of 44 images cannot be used: cat/00000x\.png"):
        load_data(root)
    with pytest.raises(DataError, match="may be skipped"):
        load_data(root, DataConfig(on_bad="skip"))
    splits = load_data(root, SKIP)
    assert [file.path for file in splits.bad] == [f"cat/0000{n}x.png" for n in range(4)]
    assert "left out, as they cannot be used: 4 images" in splits.notes
    for name in ("train", "val"):
        one, other = getattr(good, name), getattr(splits, name)
        assert np.array_equal(np.asarray(one.images), np.asarray(other.images))
        assert one.ids.tolist() == other.ids.tolist()
    assert good.fingerprint == splits.fingerprint
    write_bad_files(splits.bad, tmp_path / "bad_files.csv")
    assert len((tmp_path / "bad_files.csv").read_text().splitlines()) == 5


def test_what_is_no_image_is_passed_over_and_told(root):
    (root / "notes.txt").write_text("x")
    (root / "cat/.hidden.png").write_bytes(b"junk")
    os.mkfifo(root / "dog/pipe")
    splits = load_data(root)
    assert splits.notes[1:3] == (
        "1 other file ignored",
        "skipped links, pipes and unreadable folders: 1",
    )
    assert [(file.path, file.code) for file in splits.bad] == [("dog/pipe", "not_a_file")]


def test_what_was_skipped_is_told_from_the_cache_too(root):
    (root / "cat/x.png").write_bytes(b"junk")
    first, second = load_data(root, SKIP), load_data(root, SKIP)
    assert first.bad == second.bad and first.notes == second.notes


# ------------------------------------------------------------------ groups


def test_groups_by_a_pattern_are_never_parted(tmp_path):
    for patient in range(12):
        class_folders(tmp_path, {f"{'ab'[patient % 2]}/p{patient}": 3}, start=10 * patient)
    splits = load_data(tmp_path, DataConfig(group_from=r"/(p\d+)/"))
    found = [{key.split("/")[1] for key in ids(splits, name)} for name in ("train", "val", "test")]
    assert sum(map(len, found)) == 12 == len(set.union(*found))
    assert set(splits.train.groups) == found[0]


def test_images_without_a_group_are_on_their_own(root):
    splits = load_data(root, DataConfig(group_from=r"cat/(0000)"))
    groups = [*splits.train.groups, *splits.val.groups, *splits.test.unseal().groups]
    assert groups.count("0000") == 10 and groups.count("") == 30
    assert len(splits.train) > 20 and len(splits.val) and len(splits.test)


def test_a_column_of_groups_is_never_parted(tmp_path):
    labels, patients = [n % 2 for n in range(24)], [n // 3 for n in range(24)]
    write(tmp_path / "train.parquet", {"img": pictures(24), "label": labels, "patient": patients})
    splits = load_data(tmp_path, DataConfig(group_from="patient", val=0.3))
    assert not set(splits.train.groups) & set(splits.val.groups)
    assert set(splits.train.groups) | set(splits.val.groups) == {str(n) for n in range(8)}


@pytest.mark.parametrize(
    "pattern, error",
    [
        ("(nothing)", DataError),
        ("(", UsageError),
        ("cat", UsageError),
        ("(c)(a)", UsageError),
    ],
)
def test_a_pattern_that_groups_nothing_is_an_error(root, pattern, error):
    with pytest.raises(error, match="--group-from"):
        load_data(root, DataConfig(group_from=pattern))


# ------------------------------------------------------------------ leaks and limits


def test_a_training_image_that_is_in_test_is_left_out(tmp_path):
    class_folders(tmp_path / "train", {"a": 10, "b": 10})
    class_folders(tmp_path / "test", {"a": 2, "b": 2}, start=50)
    same = tmp_path / "test/a/copy.bmp"
    same.write_bytes(encoded(noise(8, 8, 3), "BMP"))  # the same image, another file
    splits = load_data(tmp_path)
    assert splits.left_out.ids.tolist() == ["train/a/00003.png"]
    assert "train/a/00003.png" not in ids(splits, "train") | ids(splits, "val")
    assert any("train: 1 image left out" in note for note in splits.notes)


def test_a_limit_takes_the_same_share_of_each_class(root):
    splits = load_data(root, DataConfig(limit=10))
    assert splits.train.counts.tolist() == [5, 5]
    assert len(splits.left_out) == 18 and len(splits.val) == 8
    with pytest.raises(DataError, match="fewer than"):
        load_data(root, DataConfig(limit=1))


def test_folds_hold_each_image_of_train_and_val_out_once(root):
    whole = load_data(root)
    parts = [load_data(root, DataConfig(folds=3, fold=fold)) for fold in range(3)]
    held = sorted(key for splits in parts for key in splits.val.ids)
    assert held == sorted([*whole.train.ids, *whole.val.ids])
    assert {splits.test.fingerprint for splits in parts} == {whole.test.fingerprint}


@pytest.mark.parametrize(
    "fields",
    [
        {"size": 0},
        {"size": 1025},
        {"val": 0},
        {"val": 1},
        {"split_seed": -1},
        {"limit": 0},
        {"folds": 5},
        {"fold": 0},
        {"folds": 5, "fold": 5},
        {"on_bad": "replace"},
        {"max_bad": 1.1},
        {"max_bad": -0.1},
        {"other": 1},
    ],
)
def test_a_config_out_of_bounds_is_refused(fields):
    with pytest.raises(ValidationError):
        DataConfig(**fields)
    with pytest.raises(ValidationError):
        DataConfig().size = 3
