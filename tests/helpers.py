"""Small things that many tests make."""

import io
import sys
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from seewhy.cli import main
from seewhy.config.networks import NETWORKS
from seewhy.data import ImageSet
from seewhy.inference.bundle import load as load_bundle

# The networks that tests try one by one: of those that differ in size alone, the smallest.
LARGER = (
    *("resnet34", "efficientnet_lite1", "efficientnet_lite2", "mobilenet_v3_large"),
    *("vit_tiny", "vit_small"),
)
EVERY_NETWORK = tuple(name for name in NETWORKS if name not in LARGER)
# One of each family, for tests that take long.
FAMILIES = tuple(
    name
    for name in EVERY_NETWORK
    if name not in ("resnet50", "densenet121", "efficientnet_lite0", "mobilenet_v3_small")
)


def mostly_long(names: Iterable[str], *short: str) -> list[Any]:
    """Names as parameters of a test that takes long: all but a few are left to `make test-long`."""
    return [name if name in short else pytest.param(name, marks=pytest.mark.long) for name in names]


EACH_FAMILY = mostly_long(FAMILIES, "simple_cnn", "resnet18", "speednet", "efficientnet_b0", "vit")
# Without those that are made of the blocks of others, and the deepest.
EVERY_BLOCK = mostly_long(
    EVERY_NETWORK,
    *set(EVERY_NETWORK)
    - {"resnet50", "wide_resnet", "fpn", "densenet121", "vgg11_bn", "inception"},
)


def image_set(labels, size=8, classes=None, seed=0):
    """Images whose brightness tells their label, with some noise: a set that can be learnt."""
    labels = np.asarray(labels, np.int64)
    classes = classes or tuple(f"class {k}" for k in range(int(labels.max()) + 1))
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 60, (len(labels), size, size, 3))
    images = (noise + labels[:, None, None, None] * (190 // max(len(classes) - 1, 1))).astype(
        np.uint8
    )
    return ImageSet(
        images=images,
        labels=labels,
        classes=classes,
        ids=np.array([str(row) for row in range(len(labels))], dtype=object),
        hashes=np.array([f"{row:032x}".encode() for row in range(len(labels))], "S32"),
        groups=None,
    )


class TinyNet(nn.Module):
    """A convolution, a norm, dropout and a linear layer: all that has state or draws."""

    def __init__(self, num_classes=3):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(0.2)
        self.linear = nn.Linear(8, num_classes)

    def forward(self, x):
        x = self.relu(self.norm(self.conv(x))).mean((2, 3))
        return self.linear(self.dropout(x))


def tiny_net(seed=0, **arguments):
    torch.manual_seed(seed)
    return TinyNet(**arguments)


def small(name):
    """Options that make a network cheap to compute, where it has such."""
    options = {"width": 0.25, "widen": 1, "growth": 8, "blocks": 2, "embedding": 24}
    return {k: v for k, v in options.items() if k in NETWORKS[name].model_fields}


def write_folder(root, classes=("ant", "bee", "cow"), count=20, size=16, seed=0):
    """A folder of PNGs, a class a subfolder, whose colour tells the class."""
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 80, (size, size, 3))
            pixels[..., label % 3] += 150
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number:03}.png")
    return root


QUICK = {"data.size": 16, "train.epochs": 2, "train.batch_size": 16, "train.amp": "fp32"}


def same_weights(first, second):
    """Whether two bundles hold the same bits for weights (their facts, with times, may differ)."""
    a, b = (load_bundle(path).network.state_dict() for path in (first, second))
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Printed(NamedTuple):
    """What a verb wrote to standard output and to standard error."""

    out: str
    err: str


def call(*arguments, code=0, stdin=""):
    """Runs the command line in this process, which must end with `code`; `stdin` is text or bytes."""
    data = stdin if isinstance(stdin, bytes) else stdin.encode("utf-8", "surrogateescape")
    typed = io.TextIOWrapper(io.BytesIO(data), "utf-8", "surrogateescape")
    # Bytes below, as in a terminal: a name that is not UTF-8 is written as it is.
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape") for _ in range(2))
    with patch.object(sys, "stdin", typed), redirect_stdout(out), redirect_stderr(err):
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        printed = Printed(*(_read(stream) for stream in (out, err)))
    assert (ended.value.code or 0) == code, printed.err
    assert "Traceback" not in printed.err
    return printed


def _read(stream):
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8", "replace")
