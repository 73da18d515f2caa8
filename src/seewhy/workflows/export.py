"""Writes a model in another format, checked against the bundle."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal, get_args

from seewhy.errors import UsageError
from seewhy.files import require_new
from seewhy.inference.classifier import Classifier
from seewhy.inference.loading import opened
from seewhy.text import no_such

Format = Literal["onnx"]


@dataclass(frozen=True)
class Exported:
    """What was written: the `file` of `bytes`, its digest, and the largest difference from the bundle.

    `difference` is of logits, in shares of max(1, |logit|), over batches of 1, 2 and 7 images.
    """

    file: Path
    format: str
    digest: str
    bytes: int
    bundle: str
    difference: float


def export(
    model: Classifier | str | PathLike[str], out: str | Path, format: Format = "onnx"
) -> Exported:
    """Writes a bundle as one file that needs no PyTorch, once its answers are those of the bundle.

    The ONNX file takes uint8 images (N, size, size, 3), of any N, and gives `logits`, calibrated
    `probabilities`, and `embeddings` where the model's OOD score needs them; TTA views and temperature are
    inside. `seewhy.load` opens it as it does a bundle. Raises `UsageError` for a model that is not a bundle,
    for a network that cannot be exported, without the extra `export`, and if `out` exists.
    """
    if format not in get_args(Format):
        raise UsageError(no_such("format", format, get_args(Format)))
    path = Path(out)
    if path.suffix.lower() != ".onnx":
        raise UsageError(f"--out {path}: expected a name that ends in .onnx")
    require_new(path)
    # Here, since these load torch.
    from seewhy.exporters.onnx import to_onnx
    from seewhy.inference.onnx import remember
    from seewhy.inference.pytorch import PyTorchPredictor

    with opened(model, device="cpu") as classifier:
        predictor = classifier.predictor
        if not isinstance(predictor, PyTorchPredictor):
            raise UsageError(f"only a bundle can be exported: {predictor.no_network}")
        exported, difference = to_onnx(predictor)
    exported.save(path)
    remember(exported.digest)
    return Exported(
        file=path,
        format=format,
        digest=exported.digest,
        bytes=len(exported.file.data),
        bundle=predictor.digest,
        difference=difference,
    )
