import pytest
import torch

from seewhy.errors import UsageError
from seewhy.inference.device import pick_amp, pick_device


def test_formats_and_devices():
    cpu = pick_device("cpu")
    assert pick_amp("fp32", cpu) is None and pick_amp("bf16", cpu) is torch.bfloat16
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("name", ["gpu", "cuda:9", "tpu"])
def test_a_device_that_is_not_here_is_named_with_those_that_are(name):
    with pytest.raises(UsageError, match=f"device={name} is not available.*cpu"):
        pick_device(name)
