"""An exported ONNX file as a predictor, by ONNX Runtime or OpenVINO; torch is not loaded."""

import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from seewhy.data.cache_root import cache_root, writable
from seewhy.errors import ModelFileError, UsageError, first_line
from seewhy.evaluation.decision.answers import embedding_size
from seewhy.files import require_new, write_atomic
from seewhy.inference import container, golden, onnx_file
from seewhy.inference.onnx_file import OnnxFile
from seewhy.inference.predictor import Outputs, Predictor, at_a_time, require_finite
from seewhy.text import visible

# ONNX Runtime reports its use to Microsoft unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

INSTALL = "`pip install onnxruntime`"
# Of int8 kernels, which round in other ways on other processors.
TOLERANCES = {"fp32": golden.TOLERANCE, "int8": 0.1}
TRIAL_SECONDS = 60
FOREIGN = (
    "this machine did not export it, and a hostile ONNX file can use up memory and time: if you trust where "
    "it comes from, add --trust-onnx (in Python first `seewhy.trust_onnx(path)`)"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class OnnxPredictor(Predictor):
    """A verified ONNX file and its session, which threads may share.

    Pixel values, TTA views and temperature are handled in the graph, so `views` only say which it has.
    """

    file: OnnxFile
    session: Any
    runtime: str = "onnx"

    def outputs(self, images: NDArray[np.uint8], embed: bool = False) -> Outputs:
        names = ["logits", "embeddings"] if embed and self._embeds else ["logits"]
        logits, *embeddings = self.session.run(names, {"images": np.ascontiguousarray(images)})
        require_finite(logits)
        return logits, embeddings[0] if embeddings else None

    def with_threads(self, threads: int) -> "OnnxPredictor":
        """The same model with a session of its own, of so many threads a batch."""
        return replace(self, session=_session(self.file.data, threads, self.runtime))

    @property
    def no_network(self) -> str:
        return (
            "an ONNX file has no network to look into or to train: use the bundle that it was exported from "
            f"(its digest begins with {self.file.about.bundle[:12]})"
        )

    @property
    def _embeds(self) -> bool:
        return embedding_size(self.decision) is not None

    def save(self, path: Path) -> None:
        if not onnx_file.is_onnx(path):
            raise UsageError(f"{visible(str(path))}: expected a name that ends in .onnx")
        require_new(path)
        write_atomic(path, self.file.data)


def open_onnx(
    path: Path, *, threads: int | None = None, runtime: Literal["onnx", "openvino"] = "onnx"
) -> OnnxPredictor:
    """Opens an ONNX file that SeeWhy exported, once it is verified and answers as it did then.

    `threads` compute one batch; None: one on each core. Raises `ModelFileError`, in one line with the path,
    for a file that is damaged, foreign, not yet trusted (`trust_onnx`) or answers otherwise.
    """
    file = onnx_file.read(path)
    with container.path_named(path):
        if not _trusted(file.digest).is_file():
            raise ModelFileError(FOREIGN)
        return opened(file, threads, runtime)


def trust(path: Path) -> None:
    """Opens a file in a process of its own, with limits of memory and time, and notes that it is trusted."""
    file = onnx_file.read(path)
    with container.path_named(path):
        _try_in_a_process(file.data)
    remember(file.digest)


def opened(file: OnnxFile, threads: int | None = None, runtime: str = "onnx") -> OnnxPredictor:
    """The predictor of a verified file. Raises `ModelFileError` unless it answers as when it was written."""
    model = file.about.model
    session = _session(file.data, threads, runtime)
    _require_interface(session, file)
    predictor = OnnxPredictor(
        file=file,
        session=session,
        runtime=runtime,
        classes=model.classes,
        rule=model.rule,
        decision=model.decision,
        views=model.views,
        digest=file.digest,
        facts=model.facts,
        fingerprint=model.fingerprint,
        parents=(file.about.bundle,),
        parameters=file.about.parameters,
        mean=None if file.about.mean is None else np.array(file.about.mean, np.float32),
    )
    golden.require_equal(answers(session, model.rule.size), file.golden, _tolerance(file))
    return predictor


def answers(session: Any, size: int) -> NDArray[np.float32]:
    """What a session answers to the golden images: float32 (8, K)."""
    images, count = golden.patterns(size), at_a_time(size**2)
    parts = [images[start : start + count] for start in range(0, len(images), count)]
    return np.concatenate([session.run(["logits"], {"images": part})[0] for part in parts])


def remember(digest: str) -> None:
    """Notes that a file was exported here, or is trusted."""
    with writable(cache_root()):
        write_atomic(_trusted(digest), b"")


def _trusted(digest: str) -> Path:
    return cache_root() / "onnx" / digest


def _tolerance(file: OnnxFile) -> float:
    return TOLERANCES[file.about.precision]


def _session(data: bytes, threads: int | None, runtime: str) -> Any:
    if runtime == "openvino":
        from seewhy.inference.openvino import OpenVinoSession

        return OpenVinoSession(data, threads)
    return new_session(data, threads)


def new_session(data: bytes, threads: int | None = None) -> Any:
    """A session of ONNX Runtime over the bytes of a model, with `threads` a batch; None: one a core."""
    try:
        import onnxruntime as ort
    except ImportError:
        raise UsageError(f"an ONNX file needs ONNX Runtime: {INSTALL}") from None
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Threads that spin keep cores from the decoder, and wait for each other where cores are shared.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except MemoryError:
        raise
    except Exception as error:  # ONNX Runtime has an exception of its own for each status
        raise ModelFileError(f"ONNX Runtime cannot open it ({first_line(error)[:200]})") from None


def _require_interface(session: Any, file: OnnxFile) -> None:
    """Raises `ModelFileError` unless inputs and outputs are those of the metadata."""
    model = file.about.model
    size, width = model.rule.size, embedding_size(model.decision)
    outputs = {"logits": len(model.classes), "probabilities": len(model.classes)}
    if width is not None:
        outputs["embeddings"] = width
    inputs = [(one.name, one.type, one.shape[1:]) for one in session.get_inputs()]
    given = {one.name: (one.type, one.shape[1:]) for one in session.get_outputs()}
    wanted = {name: ("tensor(float)", [count]) for name, count in outputs.items()}
    if inputs != [("images", "tensor(uint8)", [size, size, 3])] or given != wanted:
        raise ModelFileError("its inputs and outputs are not those that its metadata name")


def _try_in_a_process(data: bytes) -> None:
    """Opens the file in another process. Raises `ModelFileError` if that fails there."""
    command = [sys.executable, "-P", "-m", "seewhy.inference.onnx_trial"]
    try:
        trial = subprocess.run(command, input=data, capture_output=True, timeout=TRIAL_SECONDS)
    except subprocess.TimeoutExpired:
        raise ModelFileError(f"opening it took more than {TRIAL_SECONDS} s") from None
    if trial.returncode:
        fault = visible(trial.stderr.decode(errors="replace").strip())[-300:]
        raise ModelFileError(
            fault or "opening it ended a process that had limits of memory and time"
        )
