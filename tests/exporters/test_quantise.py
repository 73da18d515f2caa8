"""Int8: what is computed in float is as little as can be."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from seewhy.exporters.quantise import _pool_last, _reader  # noqa: E402
from seewhy.inference.onnx import new_session  # noqa: E402


def model(scale, output="y"):
    """A convolution, a max-pooling, a normalisation by `scale` and a ReLU."""
    random = np.random.default_rng(0)
    values = {
        "w": random.normal(size=(3, 2, 3, 3)),
        "scale": np.array(scale),
        "shift": random.normal(size=3),
        "mean": random.normal(size=3),
        "var": random.uniform(0.5, 2, 3),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", ["c"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["p", "scale", "shift", "mean", "var"], ["n"]),
        helper.make_node("Relu", ["n"], ["y"]),
    ]
    shapes = {"x": ["n", 2, 8, 8], output: ["n", 3, 4, 4]}
    x, y = (helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in shapes.items())
    constants = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in values.items()]
    graph = helper.make_graph(nodes, "net", [x], [y], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def computed(graph):
    x = np.random.default_rng(1).normal(size=(2, 2, 8, 8)).astype(np.float32)
    return new_session(graph.SerializeToString()).run(None, {"x": x})[0]


@pytest.mark.parametrize(
    ("scale", "output", "order"),
    [
        ([1.0, 0.5, 2.0], "y", ["Conv", "BatchNormalization", "Relu", "MaxPool"]),
        ([1.0, -0.5, 2.0], "y", ["Conv", "MaxPool", "BatchNormalization", "Relu"]),
        ([1.0, 0.5, 2.0], "p", ["Conv", "MaxPool", "BatchNormalization", "Relu"]),
    ],
    ids=["may move", "turns a channel round", "is an output"],
)
def test_pooling_moves_back_where_that_changes_nothing(scale, output, order):
    graph = model(scale, output)
    before = computed(graph)
    _pool_last(graph.graph)
    onnx.checker.check_model(graph)
    assert [node.op_type for node in graph.graph.node] == order
    np.testing.assert_allclose(computed(graph), before, atol=1e-5)


@pytest.mark.parametrize("count", [5, 16, 40, 48])
def test_every_image_shows_the_ranges_in_batches_of_one_size(count):
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    reader = _reader(images)
    batches = [batch["images"].ravel().tolist() for batch in iter(reader.get_next, None)]
    assert {len(batch) for batch in batches} == {min(count, 16)}
    assert {one for batch in batches for one in batch} == set(range(count))
