"""A bundle for phones, by ExecuTorch: a program for XNNPACK, test vectors, and code that uses them."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from seewhy.data.images.decode import centre, read
from seewhy.errors import ModelFileError, UsageError, first_line
from seewhy.exporters.onnx import TOLERANCE, difference_of, model_graph, quiet, replace_global_pools
from seewhy.files import write_json
from seewhy.inference import golden
from seewhy.inference.forward import full_precision
from seewhy.inference.pytorch import PyTorchPredictor

INSTALL = "`pip install 'seewhy[executorch]'`, which is 550 MB"


class GlobalMax(nn.Module):
    """The maximum over a map: `AdaptiveMaxPool2d(1)`, which ExecuTorch refuses."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.amax((2, 3), keepdim=True)


def write_phone(predictor: PyTorchPredictor, folder: Path) -> tuple[str, float]:
    """Writes model.pte and what belongs to it into an empty folder, once its answers are PyTorch's.

    The program takes one image, uint8 (1, size, size, 3), and gives what the ONNX file gives. Returns the
    sha256 of the program, and how far its logits are from PyTorch's on the golden images: at most 1e-4 x
    max(1, |logit|). Raises `UsageError` without the extra and for a network that cannot be exported,
    `ModelFileError` where the answers differ.
    """
    program, names = _program(predictor)
    difference = _parity(predictor, program)
    folder.joinpath("model.pte").write_bytes(program)
    digest = hashlib.sha256(program).hexdigest()
    about = {
        "sha256": digest,
        "bundle": predictor.digest,
        "input": {"type": "uint8", "shape": (1, predictor.rule.size, predictor.rule.size, 3)},
        "outputs": names,
        "classes": predictor.classes,
        "rule": predictor.rule.model_dump(),
        "decision": predictor.decision.model_dump(),
        "vectors": _write_vectors(predictor, folder),
    }
    write_json(about, folder / "model.json")
    for file in files("seewhy.exporters").joinpath("phone").iterdir():
        folder.joinpath(file.name).write_bytes(file.read_bytes())
    return digest, difference


def _program(predictor: PyTorchPredictor) -> tuple[bytes, list[str]]:
    try:
        with _quiet():
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
            from executorch.exir import to_edge_transform_and_lower
    except ImportError:
        raise UsageError(f"exporting to ExecuTorch needs an extra: {INSTALL}") from None
    graph, names = model_graph(predictor)
    replace_global_pools(graph, nn.AdaptiveMaxPool2d, GlobalMax)
    side = predictor.rule.size
    images = torch.zeros(1, side, side, 3, dtype=torch.uint8)
    try:
        with _quiet(), torch.no_grad():
            exported = torch.export.export(graph, (images,))
            lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
            return bytes(lowered.to_executorch().buffer), names
    except Exception as error:  # each of its passes has errors of its own
        cause = first_line(error.__cause__ or error)
        raise UsageError(f"this network cannot be exported to ExecuTorch ({cause})") from None


def _parity(predictor: PyTorchPredictor, program: bytes) -> float:
    """The largest difference of logits, in shares of max(1, |logit|). Raises `ModelFileError` past 1e-4."""
    images = golden.patterns(predictor.rule.size)
    with full_precision():
        expected = predictor.outputs(images)[0]
    apart = difference_of(answers(program, images), expected)
    if not apart <= TOLERANCE:
        raise ModelFileError(
            f"ExecuTorch's logits differ from PyTorch's by {apart:.2g}: nothing was written"
        )
    return apart


def answers(program: bytes, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The logits of a program for images, uint8 (N, size, size, 3), one by one: float32 (N, K)."""
    with _quiet():
        from executorch.runtime import Runtime

        method = Runtime.get().load_program(program).load_method("forward")
        rows = [method.execute([torch.from_numpy(image[None].copy())]) for image in images]
        return np.concatenate([row[0].numpy().copy() for row in rows])


def _write_vectors(predictor: PyTorchPredictor, folder: Path) -> list[dict[str, Any]]:
    """Three images, what the network sees of each, and its logits: for the tests of other programs."""
    place = folder / "vectors"
    place.mkdir()
    vectors = []
    for number, source in enumerate(golden.raw_images()):
        seen = centre(read(source, predictor.rule), predictor.rule.size).copy()
        with full_precision():
            logits = predictor.outputs(seen[None])[0]
        names = {kind: f"vectors/{number}.{kind}" for kind in ("png", "uint8", "float32")}
        Image.fromarray(source).save(folder / names["png"])
        folder.joinpath(names["uint8"]).write_bytes(seen.tobytes())
        folder.joinpath(names["float32"]).write_bytes(logits.astype("<f4").tobytes())
        vectors.append({"image": names["png"], "input": names["uint8"], "logits": names["float32"]})
    return vectors


@contextmanager
def _quiet() -> Iterator[None]:
    """As `quiet`, also of what the library writes in C++."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with quiet():
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
