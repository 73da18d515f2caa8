"""The closed reader reads what the authors wrote and nothing else; no pickle is ever run (R23)."""

import os
import pickle
import pickletools
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from data.cifar_files import batch, of_python_2, of_python_3

from seewhy.data.sources import cifar_pickle
from seewhy.data.sources.cifar_pickle import read_batch
from seewhy.errors import DataError

PIXELS, LABELS, PATHS = batch(3)


def values(key=str) -> dict[object, object]:
    names = ("batch_label", "labels", "data", "filenames")
    return dict(zip(map(key, names), ("a batch", LABELS, PIXELS, PATHS), strict=True))


def refused(data: bytes) -> str:
    with pytest.raises(DataError) as caught:
        read_batch(data)
    return str(caught.value)


@pytest.mark.parametrize("write", [of_python_2, of_python_3])
def test_a_batch_is_read(write):
    found = read_batch(write(values()))
    assert found[b"batch_label"] == b"a batch" and found[b"labels"] == LABELS
    assert found[b"filenames"] == [path.encode() for path in PATHS]
    assert found[b"data"].dtype == np.uint8 and np.array_equal(found[b"data"], PIXELS)


def test_keys_of_bytes_are_the_same_keys():
    found = read_batch(of_python_3(values(lambda name: name.encode())))
    assert set(found) == {b"batch_label", b"labels", b"data", b"filenames"}


def test_what_the_test_writes_is_what_pickle_reads():
    """The hand-written form of Python 2 is checked against the reference."""
    found = pickle.loads(of_python_2(values()), encoding="bytes")
    assert np.array_equal(found[b"data"], PIXELS) and found[b"labels"] == LABELS


def test_many_items_and_large_numbers_are_read():
    many = list(range(3000))
    assert read_batch(of_python_2({"a": many}))[b"a"] == many
    assert read_batch(of_python_3({"a": many}))[b"a"] == many
    assert read_batch(of_python_3({"a": [-1, 2**31 - 1]}))[b"a"] == [-1, 2**31 - 1]


class Bomb:
    def __init__(self, call: object, *arguments: object) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("place", ["whole", "value", "item", "key"])
def test_a_pickle_that_acts_is_refused_and_does_not_act(tmp_path, protocol, place):
    canary = tmp_path / "canary"
    bomb = Bomb(os.mkdir, str(canary))
    data = {
        "whole": bomb,
        "value": {"labels": bomb},
        "item": {"labels": [0, bomb]},
        "key": {("x", bomb): 1},
    }[place]
    refused(pickle.dumps(data, protocol))
    assert not canary.exists()
    pickle.loads(pickle.dumps(data, protocol))  # it would have acted
    assert canary.exists()


@pytest.mark.parametrize(
    "bomb",
    [
        Bomb(eval, "1"),
        Bomb(np.zeros, 3),
        Bomb(np.frombuffer, b"x"),
        Bomb(np.dtype, "O", False, True),
        Bomb(np.dtype, "u1", True, True),
        OrderedDict(a=1),
        np.array([1, 2], np.int64),
        np.array([None], object),
        np.array([b"x"]),
        np.float64(1),
        1.5,
        2**80,
        {1, 2},
        ("a",),
        {"a": {"b": 1}},
        {"a": [[1]]},
        {"a": (1, 2)},
        {"a": None},
        {1: 2},
        [[1]],
        None,
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_other_pickles_are_refused_though_harmless(bomb, wrapped):
    assert "not a CIFAR-10 batch" in refused(of_python_3({"data": bomb} if wrapped else bomb))


def test_names_are_compared_in_full():
    good = of_python_2(values())
    for old, new in [
        (b"cnumpy\nndarray", b"cnumpy\nmatrix"),
        (b"cnumpy\ndtype", b"cbuiltins\neval"),
        (b"multiarray\n_reconstruct", b"multiarray\n_vec_string"),
        (b"cnumpy\nndarray", b"cos\nsystem"),
    ]:
        assert old in good
        assert "the name" in refused(good.replace(old, new))


def test_the_parts_of_an_array_must_fit():
    good = of_python_2({"data": PIXELS})
    shape = b"M" + struct.pack("<H", 3)
    assert good.count(shape) == 1
    refused(good.replace(shape, b"M" + struct.pack("<H", 4)))  # more than there is
    refused(good.replace(b"U\x02u1", b"U\x02u2"))
    refused(good.replace(b"U\x01|", b"U\x01>"))
    refused(good.replace(b"\x89T", b"\x88T"))  # Fortran's order
    refused(good.replace(b"K\x00\x85U\x01b", b"K\x01\x85U\x01b"))
    refused(of_python_2({"data": PIXELS})[:-3] + b".")  # an array without its state


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02.",
        b"\x80\x02}",
        b"\x80\x04}.",
        b"\x80\x02}}.",
        b"\x80\x02(.",
        b"\x80\x02u.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02}a.",
        b"\x80\x02]K\x01K\x02s.",
        b"\x80\x02h\x00.",
        b"\x80\x02q\x00.",
        b"\x80\x02T\xff\xff\xff\xff.",
        b"\x80\x02T\xff\xff\xff\x7f.",
        b"\x80\x02T\xfb\xff\xff\xff.",  # it would be read again without end
        b"\x80\x02X\x01\x00\x00\x00\xff.",
        b"\x80\x02cos",
        b"\x80\x02c\xff\n\xff\n.",
        b"\x80\x02}](K\x01eK\x01s.",
        b"\x80\x02(K\x01\x85\x86.",
        b"\x80\x02R.",
        b"\x80\x02b.",
        b"\x80\x02K\x01b.",
    ],
)
def test_a_broken_pickle_is_refused(data):
    refused(data)


def test_every_cut_and_many_changes_are_refused_or_read():
    good = of_python_2({"labels": [1, 2], "data": PIXELS[:, :8]})
    for end in range(len(good)):
        refused(good[:end])
    rng = np.random.default_rng(0)
    for _ in range(3000):
        bad = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            bad[rng.integers(len(bad))] = rng.integers(256)
        try:
            found = read_batch(bytes(bad))
        except DataError:
            continue
        assert all(isinstance(value, (list, bytes, int, np.ndarray)) for value in found.values())


def test_no_more_opcodes_are_known_than_the_batches_use():
    used = {
        opcode.code.encode("latin-1")
        for data in (
            of_python_2(values()),
            of_python_3(values()),
            of_python_3({"a": [70000, "", b"x"]}),
        )
        for opcode, _, _ in pickletools.genops(data)
    }
    rare = {*b")jrhas\x88t\x85\x86\x87qJM"}
    assert {opcode[0] for opcode in cifar_pickle._OPCODES} <= {code[0] for code in used} | rare
    source = Path(cifar_pickle.__file__).read_text()
    assert "import pickle" not in source and "importlib" not in source and "getattr" not in source
