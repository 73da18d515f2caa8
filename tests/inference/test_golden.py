import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from attacks import bundles as attacks
from attacks.targets import Own, bundle, refusal, refused, trained
from torch import Tensor

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
