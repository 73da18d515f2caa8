"""A bundle as an ONNX file: uint8 images in; logits, calibrated probabilities and embeddings out."""

import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seewhy.errors import ModelFileError, UsageError, first_line
from seewhy.evaluation.decision.answers import embedding_size
from seewhy.floors import require
from seewhy.inference import golden, onnx_file
from seewhy.inference.forward import VIEWS, full_precision
from seewhy.inference.metadata import OnnxMetadata
from seewhy.inference.onnx import OnnxPredictor, answers, new_session, opened
from seewhy.inference.pytorch import PyTorchPredictor

BATCHES = (1, 2, 7)
TOLERANCE = 1e-4


class ModelGraph(nn.Module):
    """All that the file computes: pixel values, TTA views, network, temperature."""

    def __init__(self, network: nn.Module, views: tuple[str, ...], temperature: float, embed: bool):
        super().__init__()
        self.network = network
        self.views, self.temperature, self.embed = views, temperature, embed

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """uint8 (N, S, S, 3) to logits and probabilities (N, K), and with `embed` embeddings (N, D)."""
        x = images.permute(0, 3, 1, 2).contiguous().float() / 255
        x = torch.cat([VIEWS[view](x) for view in self.views])  # (V * N, 3, S, S)
        if self.embed:
            maps = self.network.features(x)  # type: ignore[operator]
            logits = self._averaged(self.network.head(maps))  # type: ignore[operator]
            return logits, self._probabilities(logits), self._averaged(maps.mean((2, 3)))
        logits = self._averaged(self.network(x))
        return logits, self._probabilities(logits)

    def _averaged(self, rows: Tensor) -> Tensor:
        return rows.reshape(len(self.views), -1, rows.shape[1]).mean(0)

    def _probabilities(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits / self.temperature, 1)


class GlobalMean(nn.Module):
    """The mean over a map: `AdaptiveAvgPool2d(1)`, which becomes six operators where maps are transposed."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((2, 3), keepdim=True)


def to_onnx(predictor: PyTorchPredictor) -> tuple[OnnxPredictor, float]:
    """Exports a model, and opens the file as `load` will; also how far its logits are from PyTorch's.

    These are compared on images of noise and on the golden images, in batches of 1, 2 and 7, and differ by at
    most 1e-4 x max(1, |logit|). Raises `UsageError` without the extra `export`, and for a network that
    cannot be exported; `ModelFileError` where the answers differ.
    """
    graph = _graph(predictor)
    session = new_session(graph.SerializeToString())
    difference = _parity(predictor, session)
    expected = answers(session, predictor.rule.size)
    about = OnnxMetadata(
        bundle=predictor.digest,
        precision="fp32",
        parameters=predictor.parameters,
        mean=None if predictor.mean is None else tuple(map(float, predictor.mean)),
        model=predictor.bundle.metadata(),
    )
    try:
        file = onnx_file.parse(with_properties(graph, about, expected))
    except ModelFileError as error:  # of a layer that is in no file of SeeWhy's
        raise UsageError(f"this network cannot be exported to ONNX ({error})") from None
    return opened(file), difference


def with_properties(graph: Any, about: OnnxMetadata, logits: NDArray[np.float32]) -> bytes:
    """The bytes of an onnx.ModelProto as a file of SeeWhy's; `logits` (8, K) are of the golden images."""
    del graph.metadata_props[:]
    for key, value in onnx_file.encode_properties(about, logits).items():
        graph.metadata_props.add(key=key, value=value)
    return onnx_file.with_digest(graph.SerializeToString())


def model_graph(predictor: PyTorchPredictor) -> tuple[ModelGraph, list[str]]:
    """All that a file computes, with a network of its own, and the names of its outputs."""
    network = copy.deepcopy(predictor.bundle.network).cpu()
    network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    replace_global_pools(network, nn.AdaptiveAvgPool2d, GlobalMean)
    embed = embedding_size(predictor.decision) is not None
    graph = ModelGraph(network, predictor.views, predictor.decision.temperature, embed).eval()
    return graph, ["logits", "probabilities", "embeddings"][: 3 if embed else 2]


def replace_global_pools(
    network: nn.Module, kind: type[nn.Module], replacement: type[nn.Module]
) -> None:
    """Puts `replacement` where a network pools a whole map by `kind`."""
    for module in [*network.modules()]:
        for name, child in module.named_children():
            if isinstance(child, kind) and child.output_size in (1, (1, 1)):
                setattr(module, name, replacement())


def difference_of(logits: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference of logits, in shares of max(1, |logit|)."""
    return float((np.abs(logits - expected) / np.maximum(1, np.abs(expected))).max())


def _graph(predictor: PyTorchPredictor) -> Any:
    """The model as an onnx.ModelProto, without what the exporter notes of this machine's files."""
    module, names = model_graph(predictor)
    side = predictor.rule.size
    images = torch.zeros(2, side, side, 3, dtype=torch.uint8)  # 2, as 1 would become a constant
    try:
        import onnx

        require(onnx)
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                module,
                (images,),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=names,
                dynamic_shapes={"images": {0: torch.export.Dim.DYNAMIC}},
            )
    except ImportError:
        raise UsageError(
            "exporting to ONNX needs an extra: `pip install 'seewhy[export]'`"
        ) from None
    except torch.onnx.OnnxExporterError as error:
        cause = first_line(error.__cause__ or error)
        raise UsageError(f"this network cannot be exported to ONNX ({cause})") from None
    assert program is not None
    proto = program.model_proto
    for holder in (proto, proto.graph, *proto.graph.node, *proto.graph.value_info):
        holder.ClearField("doc_string")
        holder.ClearField("metadata_props")
    return proto


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings, log lines and prints of an exporter, which are about its own inside."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    nowhere = io.StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(nowhere), redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _parity(predictor: PyTorchPredictor, session: Any) -> float:
    """The largest difference of logits, in shares of max(1, |logit|). Raises `ModelFileError` past 1e-4."""
    side = predictor.rule.size
    noise = np.random.default_rng(0).integers(0, 256, (max(BATCHES), side, side, 3), np.uint8)
    largest = 0.0
    for count in BATCHES:
        for images in (noise[:count], golden.patterns(side)[:count]):
            with full_precision():
                expected = predictor.outputs(images)[0]
            (logits,) = session.run(["logits"], {"images": images})
            apart = difference_of(logits, expected)
            if not apart <= TOLERANCE:
                raise ModelFileError(
                    f"ONNX Runtime's logits differ from PyTorch's by {apart:.2g} in a batch of {count}: "
                    "nothing was written"
                )
            largest = max(largest, apart)
    return largest
