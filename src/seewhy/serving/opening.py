"""Opens a model for serving: a bundle as ONNX, exported once, since that is faster and loads no torch."""

import logging
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from seewhy import __version__
from seewhy.data.cache_root import cache_root
from seewhy.errors import ModelFileError, UsageError
from seewhy.files import exclusive
from seewhy.inference.classifier import Classifier
from seewhy.inference.container import read_header
from seewhy.inference.loading import Runtime, load, trust_onnx
from seewhy.inference.locate import find_models
from seewhy.inference.onnx_file import is_onnx
from seewhy.serving.settings import ServeSettings
from seewhy.text import visible

logger = logging.getLogger("seewhy.serving")

EXPORT_SECONDS = 300


@dataclass(frozen=True, eq=False)
class Opened:
    """A model, and the files that its name stood for when it was opened.

    `digest` is theirs, `runtime` what computes it, "onnx", "openvino" or "torch"; `bundle`: they are one.
    """

    files: list[Path]
    classifier: Classifier
    digest: str
    runtime: str
    bundle: bool


def open_model(source: str, settings: ServeSettings) -> Opened:
    """Opens a model by any name that `seewhy.load` takes; a bundle by ONNX Runtime where that is possible.

    Raises as `seewhy.load`, and `UsageError` where `runtime` asks for what is not possible.
    """
    files = find_models(source)  # once: an alias of a registry may be moved meanwhile
    runtime: Runtime = "openvino" if settings.runtime == "openvino" else "auto"
    if settings.trust_onnx:
        trust_onnx(files)
    if len(files) == 1 and is_onnx(files[0]):
        classifier = load(files, threads=1, runtime=runtime)
        runs = classifier.predictor.runtime
        return Opened(files, classifier, classifier.digest, runs, bundle=False)
    if settings.runtime != "torch" and len(files) == 1:
        digest = read_header(files[0]).digest
        try:
            classifier = _as_onnx(files[0], digest, runtime)
            return Opened(files, classifier, digest, classifier.predictor.runtime, bundle=True)
        except UsageError as error:
            if settings.runtime != "auto":
                raise
            logger.warning("not served by ONNX", extra={"reason": visible(str(error))})
    import torch

    torch.set_num_threads(1)  # a batch a thread; the server's threads share the cores
    classifier = load(files, device="cpu", threads=1, runtime=runtime)
    return Opened(files, classifier, classifier.digest, "torch", bundle=len(files) == 1)


def _as_onnx(bundle: Path, digest: str, runtime: Runtime) -> Classifier:
    """The ONNX file of a bundle, from the cache or into it. Raises `UsageError` if there can be none."""
    file = cache_root() / "serving" / f"{digest}-{__version__}.onnx"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    with exclusive(file.with_suffix(".lock"), wait=True):
        if file.exists():
            with suppress(ModelFileError):  # damaged, or by another version: it is made again
                return _opened(file, digest, runtime)
            file.unlink()
        _export(bundle, file)
        return _opened(file, digest, runtime)


def _opened(file: Path, digest: str, runtime: Runtime) -> Classifier:
    classifier = load(file, threads=1, runtime=runtime)
    if classifier.predictor.parents != (digest,):
        raise ModelFileError("it was exported from another bundle", str(file))
    return classifier


def _export(bundle: Path, file: Path) -> None:
    """Exports in a process of its own: PyTorch is loaded there, and its memory ends with it."""
    if not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        raise UsageError("faster answers need ONNX: pip install 'seewhy[export]'")
    logger.info("exporting to ONNX", extra={"model": bundle.name})
    with tempfile.TemporaryDirectory(dir=file.parent) as folder:
        exported = Path(folder) / "model.onnx"
        program = (sys.executable, "-P", "-m", "seewhy")
        command = (*program, "export", str(bundle), "--out", str(exported))
        try:
            done = subprocess.run(command, capture_output=True, timeout=EXPORT_SECONDS)
        except subprocess.TimeoutExpired:
            raise UsageError(f"exporting it to ONNX took more than {EXPORT_SECONDS} s") from None
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise UsageError(lines[-1] if lines else "exporting it to ONNX has failed")
        exported.replace(file)
