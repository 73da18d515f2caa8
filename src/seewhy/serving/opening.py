"""Opens a model for serving: a bundle as ONNX, exported once, since that is faster and loads no torch."""

import logging
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from seewhy import __version__
from seewhy.data.cache_root import cache_root
from seewhy.errors import LockedError, ModelFileError, SeeWhyError, UsageError
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


def open_model(
    source: str, settings: ServeSettings, stopping: threading.Event | None = None
) -> Opened:
    """Opens a model by any name that `seewhy.load` takes; a bundle by ONNX Runtime where that is possible.

    Raises as `seewhy.load`, `UsageError` where `runtime` asks for what is not possible, and `SeeWhyError`
    where an export is given up, as `stopping` was set.
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
            classifier = _as_onnx(files[0], digest, runtime, stopping or threading.Event())
            return Opened(files, classifier, digest, classifier.predictor.runtime, bundle=True)
        except UsageError as error:
            if settings.runtime != "auto":
                raise
            logger.warning("not served by ONNX", extra={"reason": visible(str(error))})
    import torch

    torch.set_num_threads(1)  # a batch a thread; the server's threads share the cores
    classifier = load(files, device="cpu", threads=1, runtime=runtime)
    return Opened(files, classifier, classifier.digest, "torch", bundle=len(files) == 1)


def _as_onnx(bundle: Path, digest: str, runtime: Runtime, stopping: threading.Event) -> Classifier:
    """The ONNX file of a bundle, from the cache or into it. Raises `UsageError` if there can be none."""
    file = cache_root() / "serving" / f"{digest}-{__version__}.onnx"
    file.parent.mkdir(mode=0o700, exist_ok=True)
    with _held(file.with_suffix(".lock"), stopping):
        if file.exists():
            with suppress(ModelFileError):  # damaged, or by another version: it is made again
                return _opened(file, digest, runtime)
            file.unlink()
        _export(bundle, file, stopping)
        return _opened(file, digest, runtime)


@contextmanager
def _held(lock: Path, stopping: threading.Event) -> Iterator[None]:
    """Holds a lock file for the block; waits for a process that has it, unless the server stops."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(exclusive(lock))
                break
            except LockedError:
                if stopping.wait(0.1):
                    raise SeeWhyError("the export is given up: the server stops") from None
        yield


def _opened(file: Path, digest: str, runtime: Runtime) -> Classifier:
    classifier = load(file, threads=1, runtime=runtime)
    if classifier.predictor.parents != (digest,):
        raise ModelFileError("it was exported from another bundle", str(file))
    return classifier


def _export(bundle: Path, file: Path, stopping: threading.Event) -> None:
    """Exports in a process of its own: PyTorch is loaded there, and its memory ends with it.

    Whoever calls it holds the lock of `file`.
    """
    if not all(map(find_spec, ("onnx", "onnxscript", "onnxruntime"))):
        raise UsageError("faster answers need ONNX: pip install 'seewhy[export]'")
    logger.info("exporting to ONNX", extra={"model": bundle.name})
    with _empty(file.with_suffix(".tmp")) as folder:
        exported = folder / "model.onnx"
        program = (sys.executable, "-P", "-m", "seewhy")
        command = (*program, "export", str(bundle), "--out", str(exported))
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,  # that of a challenger's process is its socket
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        ) as process:
            lines = _errors_of(process, stopping)
        if process.returncode:
            raise UsageError(lines[-1] if lines else "exporting it to ONNX has failed")
        exported.replace(file)


@contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    """A folder for the block, also where one was left by a process that was killed."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _errors_of(process: subprocess.Popen[bytes], stopping: threading.Event) -> list[str]:
    """Waits for the end of a process; the lines of its standard error. Kills one that nobody waits for."""
    until = time.monotonic() + EXPORT_SECONDS
    while True:
        try:
            return process.communicate(timeout=0.1)[1].decode(errors="replace").strip().splitlines()
        except subprocess.TimeoutExpired:
            if not stopping.is_set() and time.monotonic() < until:
                continue
            process.kill()
            if stopping.is_set():
                raise SeeWhyError("the export is given up: the server stops") from None
            raise UsageError(f"exporting it to ONNX took more than {EXPORT_SECONDS} s") from None
