"""Writes a model in another format, checked against the bundle."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from seewhy.errors import UsageError
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import holds_something, named_path, output_folder, require_new, require_writable
from seewhy.inference.classifier import Classifier
from seewhy.inference.loading import opened
from seewhy.inference.locate import model_name
from seewhy.text import no_such

if TYPE_CHECKING:
    from seewhy.inference.onnx import OnnxPredictor
    from seewhy.inference.predictor import Predictor
    from seewhy.inference.pytorch import PyTorchPredictor

Format = Literal["onnx", "web", "executorch"]


@dataclass(frozen=True)
class Exported:
    """What was written: the `file`, or folder, of `bytes`, and the digest of its model.

    `bundle` is the digest of what it was made from; `difference` the largest from its logits, in shares of
    max(1, |logit|), over batches of 1, 2 and 7 images. None where an ONNX file is packed as it is.
    """

    file: Path
    format: str
    digest: str
    bytes: int
    bundle: str
    difference: float | None


def export(
    model: Classifier | str | PathLike[str],
    out: str | Path,
    format: Format = "onnx",
    *,
    runtime: str | Path | None = None,
    on_event: OnEvent = ignore,
) -> Exported:
    """Writes a model for use without PyTorch, once its answers are those of its bundle.

    "onnx": one file. It takes uint8 images (N, size, size, 3), of any N, and gives `logits`, calibrated
    `probabilities`, and `embeddings` where the model's OOD score needs them; TTA views and temperature are
    inside. `seewhy.load` opens it as it does a bundle.

    "web": a new folder with a page that runs the model in the browser, for any static host. It takes an
    exported ONNX file, too. onnxruntime-web is downloaded once, or taken from the folder `runtime`.

    "executorch": a new folder for phones: model.pte, which takes one uint8 image (1, size, size, 3) and gives
    what the ONNX file gives; what an app must know of the model, test vectors, and example code.

    Raises `UsageError` for a model of another kind, for a network that cannot be exported, without the extra
    of the format, and if `out` exists.
    """
    if format not in get_args(Format):
        raise UsageError(no_such("format", format, get_args(Format)))
    if runtime is not None and format != "web":
        raise UsageError(f"--runtime is for --format web: leave it out for {format}")
    path = named_path(out)
    _require_fitting(path, format)
    on_event(Note("exporting the network and comparing its answers, which can take half a minute"))
    match format:
        case "onnx":
            return _export_onnx(model, path)
        case "web":
            return _export_web(model, path, None if runtime is None else Path(runtime), on_event)
        case "executorch":
            return _export_executorch(model, path)


def _require_fitting(path: Path, format: Format) -> None:
    """Raises `UsageError` unless `path` can become the file or the folder of a format."""
    if format == "onnx":
        if path.suffix.lower() != ".onnx":
            raise UsageError(f"--out {path}: expected a name that ends in .onnx")
        require_new(path)
    else:
        if holds_something(path):
            raise UsageError(f"{path} is not empty: choose another --out, a new folder")
        require_writable(path)


def _export_onnx(model: Classifier | str | PathLike[str], path: Path) -> Exported:
    with opened(model, device="cpu") as classifier:
        predictor, difference = _as_onnx(_bundle(classifier.predictor))
    predictor.save(path)
    return _exported(path, "onnx", predictor.digest, predictor.file.about.bundle, difference)


def _export_web(
    model: Classifier | str | PathLike[str], path: Path, runtime: Path | None, on_event: OnEvent
) -> Exported:
    from seewhy.exporters.web import get_runtime, write_site

    files = get_runtime(runtime, on_event)
    with opened(model, device="cpu") as classifier:
        predictor, difference = _as_onnx(classifier.predictor)
        name = "model" if isinstance(model, Classifier) else model_name(model)
        with output_folder(path) as folder:
            write_site(predictor, name, files, folder)
    return _exported(path, "web", predictor.digest, predictor.file.about.bundle, difference)


def _export_executorch(model: Classifier | str | PathLike[str], path: Path) -> Exported:
    from seewhy.exporters.executorch import write_phone  # here, since it loads torch

    with opened(model, device="cpu") as classifier:
        predictor = _bundle(classifier.predictor)
        with output_folder(path) as folder:
            digest, difference = write_phone(predictor, folder)
    return _exported(path, "executorch", digest, predictor.digest, difference)


def _exported(
    path: Path, format: Format, digest: str, bundle: str, difference: float | None
) -> Exported:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return Exported(path, format, digest, size, bundle, difference)


def _bundle(predictor: "Predictor") -> "PyTorchPredictor":
    """The predictor of a bundle, as it is. Raises `UsageError` for that of anything else."""
    from seewhy.inference.pytorch import PyTorchPredictor  # here, since it loads torch

    if not isinstance(predictor, PyTorchPredictor):
        raise UsageError(f"only a bundle can be exported: {predictor.no_network}")
    return predictor


def _as_onnx(predictor: "Predictor") -> tuple["OnnxPredictor", float | None]:
    """A model as an ONNX file, and the difference of its logits where it is exported now."""
    from seewhy.inference.onnx import OnnxPredictor, remember

    if isinstance(predictor, OnnxPredictor):
        return predictor, None
    from seewhy.exporters.onnx import to_onnx  # here, since it loads torch

    exported, difference = to_onnx(_bundle(predictor))
    remember(exported.digest)
    return exported, difference
