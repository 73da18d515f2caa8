"""NumPy archives: arrays by their names, exact values or none, no object, no bomb, flat memory."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from seewhy.data import load_data, sources
from seewhy.data.images.decode import LOCAL
from seewhy.data.sources import npz
from seewhy.data.sources.columns import Columns
from seewhy.data.sources.npz import find_npz
from seewhy.data.sources.tree import tree_at
from seewhy.errors import DataError

RNG = np.random.default_rng(0)
GREY, RGB = (RNG.integers(0, 256, shape, np.uint8) for shape in ((6, 8, 8), (6, 8, 8, 3)))
LABELS = np.array([0, 1, 2, 0, 1, 10])


def save(path: Path, compressed: bool = False, **arrays: object) -> Path:
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


def records(path: Path):
    source = find_npz(tree_at(path), Columns())
    reading = source.read()
    found = list(reading.records)
    assert len(found) == reading.total
    return reading.classes, found


def refused(path: Path, match: str) -> None:
    with pytest.raises(DataError, match=match):
        records(path)


# ------------------------------------------------------------------ the names in use

ARRAYS = {
    "keras": {"x_train": RGB[:4], "y_train": LABELS[:4], "x_test": RGB[4:], "y_test": LABELS[4:]},
    "medmnist": {
        "train_images": RGB[:4],
        "train_labels": LABELS[:4, None],
        "test_images": RGB[4:],
        "test_labels": LABELS[4:, None],
    },
    "mixed": {"X": RGB[:4], "y": LABELS[:4], "X_test": RGB[4:], "y_test": LABELS[4:]},
}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("names", ARRAYS)
def test_splits_are_in_the_names_of_arrays(tmp_path, names, compressed):
    path = save(tmp_path / "x.npz", compressed, **ARRAYS[names])
    source = sources.find(path)
    assert source.layout == "npz" and source.files == ("x.npz",)
    classes, found = records(path)
    assert classes == ("0", "1", "2", "10")
    assert [record.split for record in found] == ["train"] * 4 + ["test"] * 2
    assert [record.label for record in found] == ["0", "1", "2", "0", "1", "10"]
    assert all(np.array_equal(r.image, p) for r, p in zip(found, RGB, strict=True))
    first = next(iter(ARRAYS[names]))
    assert found[0].id == f"x.npz/{first}/0"


@pytest.mark.parametrize("names", [("images", "labels"), ("X", "Y"), ("x", "targets")])
def test_without_a_split_it_is_drawn(tmp_path, names):
    path = save(tmp_path / "x.npz", **dict(zip(names, (GREY, LABELS), strict=True)))
    assert [record.split for record in records(path)[1]] == [""] * 6


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_validation_has_the_names_in_use(tmp_path, name):
    arrays = {"x_train": GREY, "y_train": LABELS, f"x_{name}": GREY, f"y_{name}": LABELS}
    _, found = records(save(tmp_path / "x.npz", **arrays))
    assert [record.split for record in found] == ["train"] * 6 + ["val"] * 6


@pytest.mark.parametrize("names", [None, ["ant", "bee"]])
def test_minus_one_is_no_label(tmp_path, names):
    named = {} if names is None else {"class_names": np.array(names)}
    path = save(tmp_path / "x.npz", images=GREY, labels=np.array([0, -1, 1, 0, 1, 1]), **named)
    data = load_data(path, trainable=False)
    assert data.classes == tuple(names or "01")
    assert len(data.train) + len(data.val) + len(data.test) == 5


def test_classes_may_have_names(tmp_path):
    names = np.array(["猫", "dog", "cow"])
    path = save(tmp_path / "x.npz", images=GREY, labels=LABELS % 3, class_names=names)
    classes, found = records(path)
    assert classes == ("猫", "dog", "cow") and found[1].label == "dog"
    words = save(tmp_path / "y.npz", images=GREY, labels=names[LABELS % 3])
    assert records(words)[0] is None and records(words)[1][0].label == "猫"
    raw = save(tmp_path / "z.npz", images=GREY, labels=np.array([b"a", "ü".encode()] * 3))
    assert [record.label for record in records(raw)[1]][:2] == ["a", "ü"]


def test_grey_comes_with_and_without_a_channel(tmp_path):
    for name, images in (("a", GREY), ("b", GREY[..., None])):
        _, found = records(save(tmp_path / f"{name}.npz", images=images, labels=LABELS))
        assert np.array_equal(found[3].image, GREY[3])


def test_all_is_loaded_as_any_source(tmp_path):
    images = RNG.integers(0, 256, (40, 6, 6, 3), np.uint8)
    path = save(tmp_path / "x.npz", images=images, labels=np.arange(40) % 2)
    splits = load_data(path)
    assert splits.notes[0] == "all: 40 images, 2 classes, 6x6, from npz"
    row = int(splits.train.ids[0].rpartition("/")[2])
    assert np.array_equal(splits.train.images[0], images[row]) and splits.rule.store == 6
    assert load_data(tmp_path).fingerprint == splits.fingerprint  # its folder means it, too


def test_many_chunks_are_as_one(tmp_path, monkeypatch):
    path = save(tmp_path / "x.npz", True, images=RGB, labels=LABELS)
    monkeypatch.setattr(npz, "_CHUNK", 2 * RGB[0].nbytes + 1)
    assert all(np.array_equal(r.image, p) for r, p in zip(records(path)[1], RGB, strict=True))


# ------------------------------------------------------------------ values


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", ">f4", "i8", "u2", ">i4"])
def test_values_that_are_grey_levels_are_taken_exactly(tmp_path, kind):
    levels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    values = levels.astype(kind)
    if values.dtype.kind == "f":
        values = (levels / 255).astype(kind)
    _, found = records(save(tmp_path / "x.npz", images=values, labels=LABELS[:4]))
    assert np.array_equal(np.stack([record.image for record in found]), levels)


@pytest.mark.parametrize(
    "values",
    [
        GREY.astype("f4") + 0.25,
        (GREY / 127.5 - 1).astype("f4"),
        ((GREY - 120.7) / 64.1).astype("f4"),
        np.full((4, 8, 8), np.nan),
        np.full((4, 8, 8), np.inf),
        np.full((4, 8, 8), 256),
        np.full((4, 8, 8), -1),
    ],
)
def test_values_that_are_none_are_refused_with_a_remedy(tmp_path, values):
    path = save(tmp_path / "x.npz", images=values, labels=LABELS[: len(values)])
    refused(path, r"images has \w+ values from .*\. (If .*|Remove|Undo .*|Save) ?(save|np|NaN)")


def test_the_remedy_never_stretches_contrast(tmp_path):
    dim = (GREY // 2).astype("f4") / 127.5 - 1
    path = save(tmp_path / "x.npz", images=dim, labels=LABELS)
    with pytest.raises(DataError) as caught:
        records(path)
    remedy = str(caught.value).partition("save ")[2]
    assert np.array_equal(eval(remedy, {"np": np, "x": dim}), GREY // 2)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8"])
def test_floats_from_0_to_255_are_grey_levels(tmp_path, kind):
    _, found = records(save(tmp_path / "x.npz", images=RGB.astype(kind), labels=LABELS))
    assert np.array_equal(np.stack([record.image for record in found]), RGB)


def test_floats_from_0_to_1_are_rounded(tmp_path):
    values = RNG.random((6, 8, 8)).astype("f4")
    _, found = records(save(tmp_path / "x.npz", images=values, labels=LABELS))
    assert (
        np.abs(np.stack([record.image for record in found]) / 255 - values).max()
        <= 0.5 / 255 + 1e-6
    )


def test_both_kinds_of_floats_in_one_array_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(npz, "_CHUNK", 1)
    values = GREY.astype("f4")
    values[0], values[1] = 0, np.minimum(values[1], 1)  # black tells nothing; then 0 and 1
    refused(save(tmp_path / "x.npz", images=values, labels=LABELS), "as before. Save all of them")
    values[1] = 0
    _, found = records(save(tmp_path / "y.npz", images=values, labels=LABELS))
    assert np.array_equal(found[2].image, GREY[2])


@pytest.mark.parametrize("images", [RGB.transpose(0, 3, 1, 2), RGB.transpose(0, 3, 1, 2) / 255])
def test_channels_may_come_first(tmp_path, images):
    _, found = records(save(tmp_path / "x.npz", x=images, y=LABELS))
    assert np.array_equal(np.stack([record.image for record in found]), RGB)


def test_alpha_is_read_as_in_a_file(tmp_path):
    rgba = np.concatenate([RGB, np.zeros((6, 8, 8, 1), np.uint8)], 3)
    rgba[0, ..., 3] = 255
    splits = load_data(save(tmp_path / "x.npz", x=rgba, y=LABELS % 2), trainable=False)
    as_file = load_data(([png(image) for image in rgba], LABELS % 2), trainable=False)
    assert splits.fingerprint == as_file.fingerprint


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


LABEL_FORMS = [LABELS.astype("f4"), LABELS[:, None].astype("f8"), np.eye(11)[LABELS]]


@pytest.mark.parametrize("labels", [*LABEL_FORMS, np.eye(11, dtype=bool)[LABELS]])
def test_labels_may_be_whole_floats_or_one_hot_rows(tmp_path, labels):
    classes, found = records(save(tmp_path / "x.npz", x=GREY, y=labels))
    assert classes == ("0", "1", "2", "10")
    assert [record.label for record in found] == ["0", "1", "2", "0", "1", "10"]


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"a": GREY, "b": LABELS}, r"has no images, among the arrays a, b; expected are x_train"),
        ({"x_train": GREY}, "has x_train without labels"),
        ({"y": LABELS}, "has y without images"),
        ({"x": GREY, "y": LABELS, "x_test": GREY}, "has x_test without labels"),
        ({"x": GREY, "images": GREY, "y": LABELS}, "x and images, and either may be the right one"),
        ({"x": np.zeros((6, 8, 8, 5), np.uint8), "y": LABELS}, r"expected \(N, H, W, 3\) or"),
        ({"x": np.zeros((0, 8, 8), np.uint8), "y": LABELS[:0]}, r"expected \(N, H, W, 3\)"),
        ({"x": GREY[0], "y": LABELS}, r"expected \(N, H, W, 3\)"),
        ({"x": GREY > 9, "y": LABELS}, "x is of type bool: expected .*: save x.astype"),
        ({"x": GREY, "y": LABELS[:5]}, r"y is \(5,\) and x \(6, 8, 8\): expected one label"),
        ({"x": GREY, "y": np.full((6, 2), 0.5)}, r"y: rows of labels .* take y.argmax\(1\)"),
        ({"x": GREY, "y": LABELS / 2}, "y has float64 labels such as 0.5: expected whole"),
        ({"x": np.asfortranarray(RGB), "y": LABELS}, "Fortran order: save np.ascontiguousarray"),
        ({"x": GREY, "y": LABELS, "classes": np.array(["a"])}, "other than the numbers 0 to 0"),
        (
            {"x": GREY, "y": np.array(["a"] * 6), "names": np.array(["a"])},
            "other than the numbers 0 to 0",
        ),
        ({"x": GREY, "y": np.zeros(6, [("a", "i4")])}, "Python objects, which need a pickle"),
    ],
)
def test_what_leaves_a_doubt_is_named(tmp_path, arrays, message):
    refused(save(tmp_path / "x.npz", **arrays), f"(?i){message}")


class Attack:
    """What a pickle would run."""

    def __reduce__(self):
        return (Path.touch, (Path("canary"),))


@pytest.mark.parametrize("name", ["x", "y", "classes"])
def test_objects_are_never_loaded(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    evil = np.array([Attack()] * 6, object)
    path = save(tmp_path / "x.npz", **{"x": GREY, "y": LABELS, name: evil})
    refused(path, "Python objects, which need a pickle")
    beside = save(tmp_path / "y.npz", x=GREY, y=LABELS, more=evil)  # of no use, so never opened
    assert len(records(beside)[1]) == 6
    assert not (tmp_path / "canary").exists()


def header(shape: str, descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text


def write(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "data, message",
    [
        (header("(6, 8, 8)"), r"x declares 456 bytes and has 72"),
        (header("(6, 8, 8)") + bytes(385), r"declares \d+ bytes and has \d+"),
        (header(f"({1 << 60}, 8, 8)") + bytes(384), "declares [0-9,]+ bytes and has"),
        (header("(-6, -8, 8)") + bytes(384), "expected|damaged"),
        (header("(6, 8, 8)", "'|O'") + bytes(384), "need a pickle"),
        (header("(6, 8, 8)", "'|U0'"), "damaged|declares|expected"),
        (header("__import__('os')"), "damaged"),
        (header("(" * 3000), "damaged"),
        (header("(6, 8, 8)" + " " * 20_000), "damaged"),
        (b"\x93NUMPY\3\0" + bytes(100), r"unknown format \(3, 0\)"),
        (b"junk", "damaged"),
        (b"", "damaged"),
    ],
)
def test_a_header_that_lies_is_refused_before_memory_is_taken(tmp_path, data, message):
    refused(write(tmp_path / "x.npz", x=data, y=npy(LABELS)), message)


def test_images_too_large_for_the_decoder_are_refused_from_the_header(tmp_path, monkeypatch):
    path = save(tmp_path / "x.npz", x=GREY, y=LABELS)
    monkeypatch.setattr(npz, "LOCAL", replace(LOCAL, max_pixels=64))
    assert len(records(path)[1]) == 6
    monkeypatch.setattr(npz, "LOCAL", replace(LOCAL, max_pixels=63))
    refused(path, "images of 64 pixels: expected at most 63")


def test_labels_beyond_the_limit_are_refused(tmp_path, monkeypatch):
    path = save(tmp_path / "x.npz", images=GREY, labels=LABELS)
    monkeypatch.setattr(npz, "_MAX_LABELS", LABELS.nbytes)
    assert len(records(path)[1]) == 6
    monkeypatch.setattr(npz, "_MAX_LABELS", LABELS.nbytes - 1)
    refused(path, "labels has 48 bytes: expected at most 47")


def test_a_bomb_is_refused(tmp_path):
    path = save(tmp_path / "x.npz", True, x=np.zeros((100, 200, 200), np.uint8), y=np.arange(100))
    refused(path, "unpacks to more times its size")


def test_damage_is_named(tmp_path):
    path = save(tmp_path / "x.npz", images=RGB, labels=LABELS)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    refused(path, r"x\.npz: it is damaged or cut short")
    place = data.index(RGB[2].tobytes())
    path.write_bytes(data[:place] + bytes([data[place] ^ 255]) + data[place + 1 :])
    refused(path, r"x\.npz is damaged: Bad CRC-32")


def test_two_files_are_asked_about(tmp_path):
    for name in "ab":
        save(tmp_path / f"{name}.npz", images=GREY, labels=LABELS)
    with pytest.raises(DataError, match=r"2 \.npz files in .* give the path of one"):
        sources.find(tmp_path)


@given(st.data())
@settings(max_examples=300)
def test_a_mutant_is_read_or_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("n")
    whole = save(folder / "x.npz", images=GREY, labels=LABELS).read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    kept = whole[:place] + data.draw(st.binary(min_size=1, max_size=4)) + whole[place + 1 :]
    (folder / "x.npz").write_bytes(kept)
    try:
        _, found = records(folder / "x.npz")
    except DataError:
        return
    assert all(np.array_equal(r.image, p) for r, p in zip(found, GREY, strict=True))
