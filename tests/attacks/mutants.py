"""Seeded damage to a model file."""

import copy
import json
from typing import Any

import numpy as np

from attacks.bundles import compact, join, sign, split

VALUES = [None, True, 0, -1, 2**40, 1e308, "", "F16", "custom", "speednet", [], {}, [0, 0], [[]]]


def mutant(good: bytes, seed: int) -> bytes:
    """A file that is damaged in its bytes, its header's text, its header's values or its data.

    All but a few have their digest made right, so that what lies behind the digest is met.
    """
    rng = np.random.default_rng(seed)
    header, body = split(good)
    about = json.loads(header["__metadata__"]["seewhy"])
    data = good
    match rng.integers(5):
        case 0:
            data = _scrambled(data, rng)
        case 1:
            data = join(_scrambled(compact(header), rng), body)
        case 2:
            _change_a_value(header, rng)
            data = join(header, body)
        case 3:
            for _ in range(rng.integers(1, 3)):
                _change_a_value(about, rng)
            header["__metadata__"]["seewhy"] = json.dumps(about)
            data = join(header, body)
        case 4:
            data = join(header, _scrambled(bytes(body), rng))
    return sign(data) if rng.random() < 0.97 else data


def _scrambled(data: bytes, rng: np.random.Generator) -> bytes:
    """Bytes with a bit flipped, some replaced, left out or doubled, or cut short."""
    at, size = int(rng.integers(len(data))), int(rng.integers(1, 20))
    match rng.integers(5):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
        case 1:
            return data[:at] + rng.bytes(size) + data[at + size :]
        case 2:
            return data[:at] + data[at + size :]
        case 3:
            other = int(rng.integers(len(data)))
            return data[:at] + data[other : other + size] + data[at:]
    return data[:at]


def _change_a_value(root: dict[str, Any], rng: np.random.Generator) -> None:
    """Replaces or removes a value somewhere in a tree of dicts and lists."""
    node: Any = root
    while node:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = keys[rng.integers(len(keys))]
        if isinstance(node[key], dict | list) and rng.random() < 0.7:
            node = node[key]
        elif rng.random() < 0.2:
            del node[key]
            return
        else:
            node[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
            return
