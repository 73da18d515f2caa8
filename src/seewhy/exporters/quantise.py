"""An ONNX file in int8: weights and activations of 8 bits, by static quantisation (Jacob et al. 2018)."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.errors import UsageError
from seewhy.exporters.onnx import quiet, with_properties
from seewhy.floors import require
from seewhy.inference import onnx_file
from seewhy.inference.onnx import OnnxPredictor, answers, new_session, opened

IMAGES = 256  # of training, which show the ranges of the activations
BATCH = 16


def to_int8(predictor: OnnxPredictor, images: NDArray[np.uint8]) -> OnnxPredictor:
    """The model with weights in int8 by channel, and activations in uint8.

    `images` (n, S, S, 3), `IMAGES` drawn from training, show the range of each activation: its 99.999th
    percentile. Not always faster: measure it. Raises `UsageError` without the extra `export`.
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
    with TemporaryDirectory() as folder, quiet():
        plain, folded, quantised = (Path(folder, f"{n}.onnx") for n in ("plain", "folded", "int8"))
        given = onnx.load_from_string(predictor.file.data)
        _pool_last(given.graph)
        onnx.save(given, plain)
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
            last = len(images) - size  # overlaps the one before, so that no image is left out
            starts = (*range(0, last, size), last)
            parts = (images[start : start + size] for start in starts)
            self.batches = ({"images": np.ascontiguousarray(part)} for part in parts)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            return next(self.batches, None)

    return Batches()


def _pool_last(graph: Any) -> None:
    """Moves each max-pooling behind the normalisation and the ReLU that follow it, in place.

    The largest value stays the largest, as long as no channel is multiplied by a negative number. In front of
    the pooling they become part of the convolution, and need no arithmetic in float.
    """
    values = {one.name: one for one in graph.initializer}
    outputs = {one.name for one in graph.output}
    nodes = list(graph.node)
    for pool in [node for node in nodes if node.op_type == "MaxPool" and len(node.output) == 1]:
        while True:
            between = pool.output[0]
            users = [node for node in nodes if between in node.input]
            if between in outputs or len(users) != 1 or not _keeps_order(users[0], values):
                break
            (moved,) = users
            at, then = nodes.index(pool), nodes.index(moved)
            nodes[at], nodes[then] = moved, pool
            moved.input[0], pool.input[0] = pool.input[0], between
            moved.output[0], pool.output[0] = between, moved.output[0]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]  # shapes, of which some are others now


def _keeps_order(node: Any, values: dict[str, Any]) -> bool:
    """Whether a larger input has a larger output, or the same one, in each channel."""
    from onnx.numpy_helper import to_array

    if node.op_type != "BatchNormalization":
        return bool(node.op_type == "Relu")
    constant = len(node.output) == 1 and all(name in values for name in node.input[1:])
    return constant and bool((to_array(values[node.input[1]]) > 0).all())


def _remove_unused_operator_sets(graph: Any) -> None:
    """The fusing adds those that it might have used."""
    used = {node.domain for node in graph.graph.node} | {""}
    kept = [entry for entry in graph.opset_import if entry.domain in used]
    del graph.opset_import[:]
    graph.opset_import.extend(kept)
