"""A model from its file, or several as one, verified before use."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from seewhy.errors import ModelFileError, UsageError
from seewhy.evaluation.decision.answers import embedding_size
from seewhy.inference.classifier import Classifier
from seewhy.inference.ensemble import Ensemble
from seewhy.inference.locate import find_models
from seewhy.inference.onnx_file import is_onnx
from seewhy.inference.predictor import Predictor

if TYPE_CHECKING:
    from torch import nn

Runtime = Literal["auto", "openvino"]  # auto: PyTorch for bundles, ONNX Runtime for ONNX files
ModelName = str | PathLike[str] | Sequence[str | PathLike[str]]


def load(
    path: ModelName,
    *,
    model: "nn.Module | None" = None,
    device: str = "auto",
    threads: int | None = None,
    runtime: Runtime = "auto",
) -> Classifier:
    """Loads a model by bundle, exported ONNX file, run directory or shipped name, verified before use.

    Several in a list, or joined as "A+B", become an ensemble (`inference.ensemble`). `model` is the network
    to fill, for a bundle of one's own architecture; `device` is for bundles, as an ONNX file runs on the
    processor, by `threads` a batch (None: one a core), and needs `trust_onnx` first if another machine
    exported it. `runtime` "openvino" computes ONNX files by OpenVINO, the extra `openvino`. Raises
    `UsageError` for an unknown name and `ModelFileError` for a file that is damaged, foreign or unsafe.
    """
    members: list[Predictor] = []
    for file in find_models(path):
        if is_onnx(file):
            members.append(_onnx(file, model, device, threads, runtime))
        elif runtime == "openvino":
            raise UsageError(
                f"--runtime openvino takes an ONNX file, and {file} is a bundle: make one first with "
                f"`seewhy export {path} --out {file.stem}.onnx`"
            )
        else:
            members.append(_bundle(file, model, device))
        _require_fitting_means(members[-1], file)
    return Classifier(members[0] if len(members) == 1 else Ensemble.of(members))


@contextmanager
def opened(
    model: Classifier | ModelName,
    *,
    network: "nn.Module | None" = None,
    device: str = "auto",
) -> Iterator[Classifier]:
    """A loaded model as it is; any other one is loaded, and closed at the end."""
    if isinstance(model, Classifier):
        yield model
        return
    with load(model, model=network, device=device) as classifier:
        yield classifier


def trust_onnx(path: ModelName) -> None:
    """Lets ONNX files that another machine exported be opened on this one, from now on.

    Each is opened first in a process of its own, with limits of memory and time. Raises `ModelFileError` if
    that fails, or a file is damaged or no export of SeeWhy. Models of other kinds need no trust.
    """
    from seewhy.inference.onnx import trust  # here, since bundles need no ONNX Runtime

    for file in find_models(path):
        if is_onnx(file):
            trust(file)


def _bundle(file: Path, model: "nn.Module | None", device: str) -> Predictor:
    # Here, since these load torch.
    from seewhy.inference import bundle as bundles
    from seewhy.inference.device import pick_device
    from seewhy.inference.pytorch import PyTorchPredictor

    where = pick_device(device)
    return PyTorchPredictor.of(bundles.load(file, model=model), where)


def _onnx(
    file: Path, model: "nn.Module | None", device: str, threads: int | None, runtime: Runtime
) -> Predictor:
    from seewhy.inference.onnx import open_onnx  # here, since bundles need no ONNX Runtime

    if model is not None:
        raise UsageError(f"{file} has its network inside: leave out `model`")
    if device not in ("auto", "cpu"):
        raise UsageError(
            f"{file} runs on the processor: leave out --device {device}, or load its bundle"
        )
    return open_onnx(file, threads=threads, runtime="openvino" if runtime == "openvino" else "onnx")


def _require_fitting_means(predictor: Predictor, file: Path) -> None:
    """Raises `ModelFileError` unless the class means are of the network's own embeddings."""
    width = embedding_size(predictor.decision)
    if width is None:
        return
    blank = np.zeros((1, predictor.rule.size, predictor.rule.size, 3), np.uint8)
    embeddings = predictor.outputs(blank, embed=True)[1]
    if embeddings is None or embeddings.shape[1] != width:
        raise ModelFileError(f"{file}: its class means do not fit its network: calibrate it again")
