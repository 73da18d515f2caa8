"""CIFAR-10 as its authors give it out: folder or archive, Python or binary, all the same images."""

import os

import numpy as np
import pytest
from data.cifar_files import (
    batch,
    bin_files,
    of_python_2,
    of_python_3,
    py_files,
    to_archive,
    to_folder,
)

from seewhy.data.sources import find
from seewhy.data.sources.cifar10 import CLASSES
from seewhy.errors import DataError

BATCHES = {"data_batch_1": batch(4), "data_batch_2": batch(3, 1), "test_batch": batch(2, 2)}


def records(path):
    source = find(path)
    reading = source.read()
    assert reading.classes == CLASSES
    return source, list(reading.records)


@pytest.mark.parametrize("archive", [None, "x.tar.gz", "x.tgz", "x.tar"])
@pytest.mark.parametrize("form", ["cifar-py", "cifar-py 3", "cifar-bin"])
def test_every_form_gives_the_same_images(tmp_path, form, archive):
    files = {
        "cifar-py": lambda: py_files(BATCHES),
        "cifar-py 3": lambda: py_files(BATCHES, of_python_3),
        "cifar-bin": lambda: bin_files(BATCHES),
    }[form]()
    path = to_archive(files, tmp_path / archive) if archive else to_folder(files, tmp_path / "x")
    source, found = records(path)
    assert source.layout == form.split()[0]
    if archive:
        assert source.files == (archive,) and os.listdir(tmp_path) == [archive]
    else:
        assert len(source.files) == 4 and "readme.html" not in source.files
    assert [record.split for record in found] == ["train"] * 7 + ["test"] * 2
    expected = [picture for pixels, _, _ in BATCHES.values() for picture in pixels]
    for record, pixels in zip(found, expected, strict=True):
        red, green, blue = pixels.reshape(3, 32, 32)
        assert np.array_equal(record.image, np.stack([red, green, blue], 2))
    labels = [label for _, labels, _ in BATCHES.values() for label in labels]
    assert [record.label for record in found] == [CLASSES[label] for label in labels]
    suffix = ".bin" if form == "cifar-bin" else ""
    assert found[4].id == f"data_batch_2{suffix}/0" + ("" if suffix else "/automobile_0.png")


def test_batches_may_come_without_file_names(tmp_path):
    files = py_files(BATCHES)
    pixels, labels, _ = BATCHES["test_batch"]
    files["test_batch"] = of_python_2({"labels": labels, "data": pixels})
    assert records(to_folder(files, tmp_path / "x"))[1][-1].id == "test_batch/1"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"labels": [0]}, "1 label lacks as many images"),
        ({"labels": ["a", "b"]}, "lacks the list labels of int"),
        ({"labels": b"ab"}, "lacks the list labels of int"),
        ({"labels": [0, 10]}, "has the label 10, but 10 classes"),
        ({"data": b"x"}, "2 labels lacks as many images"),
        ({"data": np.zeros((2, 3071), np.uint8)}, "2 labels lacks as many images"),
        ({"filenames": ["a"]}, "2 labels with 1 file name"),
        ({"filenames": [1, 2]}, "lacks the list filenames of bytes"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(tmp_path, change, message):
    pixels, labels, paths = BATCHES["test_batch"]
    files = py_files(BATCHES)
    files["test_batch"] = of_python_2(
        {"labels": labels, "data": pixels, "filenames": paths} | change
    )
    with pytest.raises(DataError, match=message):
        records(to_folder(files, tmp_path / "x"))


def test_a_binary_batch_of_odd_length_is_refused(tmp_path):
    for cut in (1, 3073 * 2):
        files = bin_files(BATCHES)
        files["test_batch.bin"] = files["test_batch.bin"][:-cut]
        with pytest.raises(DataError, match="no multiple of 3,073"):
            records(to_folder(files, tmp_path / str(cut)))


@pytest.mark.parametrize("make", [py_files, bin_files])
def test_without_class_names_it_is_refused(tmp_path, make):
    files = make(BATCHES)
    meta = next(name for name in files if "meta" in name)
    del files[meta]
    with pytest.raises(DataError, match=f"{meta}, which names the classes, is missing"):
        find(to_folder(files, tmp_path / "x")).read()


def test_a_damaged_archive_is_refused(tmp_path):
    path = to_archive(py_files(BATCHES), tmp_path / "x.tar.gz")
    data = path.read_bytes()
    source = find(path)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="damaged"):
        source.read()
    bad = bytearray(data)
    bad[len(bad) // 2] ^= 255
    path.write_bytes(bytes(bad))
    with pytest.raises(DataError):
        list(source.read().records)
    path.write_bytes(b"junk")
    with pytest.raises(DataError, match="damaged"):
        find(path)
