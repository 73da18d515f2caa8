"""Which file a name stands for: a bundle, a run directory or a shipped model; and the model in it."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from seewhy.errors import ModelFileError, UsageError
from seewhy.run import Run

if TYPE_CHECKING:
    from torch import nn

    from seewhy.inference.classifier import Classifier

SHIPPED = Path(__file__).parents[1] / "weights"


def load(
    path: str | Path, *, model: "nn.Module | None" = None, device: str = "auto"
) -> "Classifier":
    """Loads a model by bundle, run directory or shipped name, verified before use.

    `model` is the network to fill, for a bundle of one's own architecture. Raises `UsageError` for an
    unknown name and `ModelFileError` for a file that is damaged, foreign or unsafe.
    """
    # Here, so that a file is located without torch.
    from seewhy.inference import bundle as bundles
    from seewhy.inference.classifier import Classifier
    from seewhy.inference.device import pick_device, place

    where = pick_device(device)
    file = find_model(path)
    loaded = bundles.load(file, model=model)
    place(loaded.network, where)
    classifier = Classifier(loaded, where)
    _require_fitting_means(classifier, file)
    return classifier


def _require_fitting_means(classifier: "Classifier", file: Path) -> None:
    """Raises `ModelFileError` unless the class means are of the network's own embeddings."""
    import numpy as np

    from seewhy.inference.classifier import unlabelled

    means, size = classifier._means, classifier.rule.size
    if means is None:
        return
    blank = unlabelled(np.zeros((1, size, size, 3), np.uint8), classifier.classes)
    found = classifier.predict_set(blank, embed=True).embeddings
    if found is None or found.shape[1] != means.shape[1]:
        raise ModelFileError(f"{file}: its class means do not fit its network: calibrate it again")


def find_model(model: str | Path) -> Path:
    """The model file that a bundle's path, a run directory or a shipped name stands for."""
    path = Path(model)
    if path.is_dir():
        run = Run(path)
        if not run.finished:
            raise ModelFileError(
                f"{path} holds no model.safetensors: is it a run directory, and did its training end? "
                "Go on with `seewhy train --resume`"
            )
        return run.model
    if path.exists():
        return path
    if str(model) in shipped_models():
        return SHIPPED / f"{model}.safetensors"
    near = difflib.get_close_matches(str(model), shipped_models(), n=1)
    hint = f": did you mean {near[0]}?" if near else ""
    raise UsageError(
        f"no file, run or shipped model {str(model)!r}{hint} "
        f"The shipped models are {', '.join(shipped_models())}"
    )


def shipped_models() -> list[str]:
    """The names of the models that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
