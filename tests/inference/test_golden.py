import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from attacks import bundles as attacks
from attacks.targets import Own, bundle, refusal, refused, trained
from PIL import Image
from torch import Tensor

from seewhy.config.input_rule import Fit, InputRule
from seewhy.data.images import colour
from seewhy.inference import golden
from seewhy.inference.bundle import load, save


def test_changed_code_is_caught_by_the_golden_images(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "m"
    save(bundle(trained("speednet", 20)), path)
    load(path)
    monkeypatch.setattr("seewhy.models.speednet.LOGIT_SCALE", 1 / 8.9)
    assert "outputs on the reference images differ" in refusal(path)


@pytest.mark.parametrize("kernel", ["conv2d", "linear", "max_pool2d"])
def test_a_changed_kernel_is_caught(kernel: str, good: bytes, folder: Path, monkeypatch) -> None:
    right = getattr(torch.nn.functional, kernel)

    def wrong(*args: object, **options: object) -> Tensor:
        return right(*args, **options) * 1.01

    monkeypatch.setattr(torch.nn.functional, kernel, wrong)
    assert "reference images" in refused(good, folder)


def test_every_weight_of_some_size_counts(good: bytes, folder: Path) -> None:
    """A tensor set to zero is noticed, whichever it is, though the digest is made right."""
    header, body = attacks.split(good)
    for name, entry in header.items():
        if name != "__metadata__":
            start, stop = entry["data_offsets"]
            zeroed = body[:start] + bytes(stop - start) + body[stop:]
            assert "reference images" in refused(attacks.join(header, zeroed), folder), name


def test_what_the_program_does_about_precision_does_not_refuse_a_good_file(
    good: bytes, folder: Path
) -> None:
    """The golden logits are float32 by any setting, and the setting comes back."""
    (folder / "m").write_bytes(good)
    network = Own()
    exact = golden.logits(network, 4)
    seen: list[str] = []
    precision = torch.backends.mkldnn.matmul
    network.register_forward_hook(lambda *_: seen.append(precision.fp32_precision))
    torch.set_float32_matmul_precision("medium")
    try:
        before = precision.fp32_precision
        assert before != "ieee"
        with torch.autocast("cpu", torch.bfloat16):
            assert np.array_equal(golden.logits(network, 4), exact)
            load(folder / "m")
        assert set(seen) == {"ieee"} and precision.fp32_precision == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_patterns_are_the_same_bytes_for_ever() -> None:
    """A change here makes every bundle that exists unreadable."""
    digests = {
        size: hashlib.sha256(golden.patterns(size).tobytes()).hexdigest()[:16]
        for size in (1, 4, 32)
    }
    assert digests == {1: "054230d57f2236c2", 4: "04cb36578b896994", 32: "49b7ff2375e79a8a"}


def test_patterns_are_eight_unlike_images_of_full_range() -> None:
    pictures = golden.patterns(32)
    assert pictures.shape == (8, 32, 32, 3) and pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == 8
    assert all(picture.std() > 20 and np.ptp(picture) > 150 for picture in pictures)


def test_raw_images_and_what_rules_store_of_them_are_the_same_bytes_for_ever() -> None:
    """A change here makes every bundle of format 2 unreadable."""
    raw = golden.raw_images()
    assert [image.shape for image in raw] == [(96, 96, 3), (64, 192, 3), (192, 64, 3)]
    assert [hashlib.sha256(image.tobytes()).hexdigest()[:16] for image in raw] == [
        "0ca3e451c4fa701d",
        "d334e409eff805e0",
        "a751a193795ae583",
    ]
    fits: tuple[Fit, ...] = ("crop", "pad", "squash")
    rules = [InputRule(size=32, store=37, fit=fit) for fit in fits]
    rules.append(InputRule(size=32, store=37, depth=(16, 4096)))
    assert [golden.stored_digest(rule)[:16] for rule in rules] == [
        "eafdc1e02bfab277",
        "7c2761e637316492",
        "1ef7c93b91ffce7b",
        "fce9802b6450aaed",
    ]


@pytest.mark.parametrize("changed", ["resized", "scaled"])
def test_changed_decoding_is_caught_by_the_raw_images(changed: str, tmp_path, monkeypatch) -> None:
    path = tmp_path / "m"
    rule = InputRule(size=20, store=23, fit="squash", depth=(16, 4096))
    save(replace(bundle(trained("speednet", 20)), rule=rule), path)
    load(path)
    if changed == "resized":
        right = Image.Image.resize
        monkeypatch.setattr(
            Image.Image,
            "resize",
            lambda self, size, how, box: right(self, size, Image.Resampling.BILINEAR, box),
        )
    else:
        levels = colour._levels
        monkeypatch.setattr(colour, "_levels", lambda *args: levels(*args) & 0xFE)
    assert "reference images become other pixels" in refusal(path)
