"""The digits: 8 bits, a fixed quarter for test."""

import functools

import numpy as np
from sklearn.datasets import load_digits

from seewhy.data.sources import find


@functools.cache
def records():
    return list(find("digits").read().records)


def test_values_of_16_become_values_of_255():
    found = np.stack([record.image for record in records()])
    values = load_digits().images
    assert found.dtype == np.uint8 and found.shape == (1797, 8, 8)
    assert np.array_equal(found, np.round(values * 255 / 16))
    assert found.max() == 255 and found.min() == 0


def test_labels_are_names_in_order():
    assert find("digits").read().classes == tuple("0123456789")
    assert [record.label for record in records()] == [str(n) for n in load_digits().target]


def test_a_quarter_of_each_class_is_test_and_always_the_same():
    split = np.array([record.split for record in records()])
    target = load_digits().target
    for label in range(10):
        share = np.mean(split[target == label] == "test")
        assert abs(share - 0.25) < 0.005
    assert np.flatnonzero(split == "test")[:6].tolist() == [7, 13, 27, 36, 48, 50]
