"""OpenVINO in place of ONNX Runtime: the same graph, from the bytes of a file that was verified."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seewhy.data.images.at_once import workers
from seewhy.errors import ModelFileError, UsageError, first_line

INSTALL = "`pip install 'seewhy[openvino]'`"


class Port(NamedTuple):
    """An input or an output, named and typed as ONNX Runtime does."""

    name: str
    type: str
    shape: list[int | None]


class OpenVinoSession:
    """What `OnnxPredictor` needs of a session, computed by OpenVINO on the processor; threads may share it.

    In float32 where the file is: OpenVINO's own choice is bfloat16 on processors that have it. Nothing is
    cached on disk, and neither extensions nor a configuration of plugins are loaded.
    """

    def __init__(self, data: bytes, threads: int | None = None) -> None:
        """Raises `UsageError` without the extra, `ModelFileError` for a graph that it cannot compile."""
        try:
            import openvino
        except ImportError:
            raise UsageError(f"--runtime openvino needs an extra: {INSTALL}") from None
        settings: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32", "CACHE_DIR": ""}
        if threads is None:
            settings["PERFORMANCE_HINT"] = "LATENCY"  # all cores for one batch
        else:
            streams = max(1, workers() // threads)  # batches at once: further ones wait
            settings |= {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": streams * threads}
        try:
            core = openvino.Core()
            self._compiled = core.compile_model(core.read_model(data, b""), "CPU", settings)
        except RuntimeError as error:
            raise ModelFileError(f"OpenVINO cannot open it ({first_line(error)[:200]})") from None
        self._local = threading.local()  # a request of its own for each thread

    def get_inputs(self) -> list[Port]:
        return [_port(one) for one in self._compiled.inputs]

    def get_outputs(self) -> list[Port]:
        return [_port(one) for one in self._compiled.outputs]

    def run(
        self, names: Sequence[str], inputs: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[np.float32]]:
        """The outputs of these names, as arrays of the caller's own."""
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        request.infer(dict(inputs))
        return [request.get_tensor(name).data.copy() for name in names]


def _port(port: Any) -> Port:
    types = {"u8": "tensor(uint8)", "f32": "tensor(float)"}
    shape = [one.get_length() if one.is_static else None for one in port.get_partial_shape()]
    kind = port.get_element_type().get_type_name()
    return Port(port.get_any_name(), types.get(kind, kind), shape)
