"""An ONNX file in int8: weights and activations of 8 bits, by static quantisation (Jacob et al. 2018)."""

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import UsageError
from seewhy.exporters.onnx import with_properties
from seewhy.floors import require
from seewhy.inference import onnx_file
from seewhy.inference.onnx import OnnxPredictor, answers, new_session, opened

IMAGES = 256  # of training, which show the ranges of the activations
BATCH = 16


def to_int8(predictor: OnnxPredictor, images: NDArray[np.uint8]) -> OnnxPredictor:
    """The model with weights in int8 by channel, and activations in uint8.

    `images` (n, S, S, 3), `IMAGES` of training, show the range of each activation: its 99.999th percentile.
    Not always faster: measure it. Raises `UsageError` without the extra `export`.
    """
    try:
        import onnx
        from onnxruntime.quantization import (
            CalibrationMethod,
            QuantFormat,
            QuantType,
            quantize_static,
        )
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError:
        raise UsageError("int8 needs an extra: `pip install 'seewhy[export]'`") from None
    require(onnx)
    with TemporaryDirectory() as folder, _quiet():
        plain, folded, quantised = (Path(folder, f"{n}.onnx") for n in ("plain", "folded", "int8"))
        plain.write_bytes(predictor.file.data)
        # Folds constants and fuses layers. Its symbolic shapes fail on a batch that is made of views.
        quant_pre_process(plain, folded, skip_symbolic_shape=True)
        quantize_static(
            folded,
            quantised,
            _reader(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.Percentile,
        )
        graph = onnx.load(quantised)
    _remove_unused_operator_sets(graph)
    expected = answers(new_session(graph.SerializeToString()), predictor.rule.size)
    about = predictor.file.about.model_copy(update={"precision": "int8"})
    return opened(onnx_file.parse(with_properties(graph, about, expected)))


def _reader(images: NDArray[np.uint8]) -> Any:
    from onnxruntime.quantization import CalibrationDataReader

    class Batches(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            size = min(BATCH, len(images))  # all of one size, as the library needs
            starts = range(0, len(images) - size + 1, size)
            parts = (images[start : start + size] for start in starts)
            self.batches = ({"images": np.ascontiguousarray(part)} for part in parts)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            return next(self.batches, None)

    return Batches()


def _remove_unused_operator_sets(graph: Any) -> None:
    """The fusing adds those that it might have used."""
    used = {node.domain for node in graph.graph.node} | {""}
    kept = [entry for entry in graph.opset_import if entry.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the library prints and logs, which is for the authors of programs."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
