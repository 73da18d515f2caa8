"""timm's own networks, to compare ours with."""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.torch
from torch import Tensor

TimmOutputs = Callable[..., tuple[dict[str, Tensor], Tensor]]


@pytest.fixture(scope="session")
def timm_outputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimmOutputs]:
    """`timm_outputs(name, images, seed=0, **options) -> (state dict, logits)`, computed by timm.

    The network has random weights and random batch-norm statistics; `images` are normalised (N, 3, H, W),
    `options` those of `timm.create_model`. Skips the test where timm is not installed.
    """
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    command = [sys.executable, str(Path(__file__).with_name("timm_process.py"))]
    folder = tmp_path_factory.mktemp("timm")
    request, answer = folder / "images.safetensors", folder / "answer.safetensors"

    def outputs(
        name: str, images: Tensor, seed: int = 0, **options: object
    ) -> tuple[dict[str, Tensor], Tensor]:
        safetensors.torch.save_file({"images": images.contiguous()}, request)
        asked = {"name": name, "options": options, "seed": seed}
        line = json.dumps({**asked, "images": str(request), "answer": str(answer)})
        process.stdin.write(line + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n", (
            "timm failed: its message is on standard error"
        )
        tensors = safetensors.torch.load(answer.read_bytes())
        logits = tensors.pop("logits")
        return {key.removeprefix("state."): tensor for key, tensor in tensors.items()}, logits

    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        yield outputs
        process.stdin.close()
