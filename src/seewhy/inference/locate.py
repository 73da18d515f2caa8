"""Which file a name stands for: a bundle, a run directory or a shipped model; and the model in it."""

import difflib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from torch import nn

from seewhy.errors import ModelFileError, UsageError
from seewhy.evaluation.decision.answers import embedding_size
from seewhy.inference import bundle as bundles
from seewhy.inference.classifier import Classifier
from seewhy.inference.device import pick_device
from seewhy.inference.ensemble import Ensemble
from seewhy.inference.predictor import Predictor
from seewhy.inference.pytorch import PyTorchPredictor
from seewhy.run import Run


def load(
    path: str | Path | Sequence[str | Path],
    *,
    model: nn.Module | None = None,
    device: str = "auto",
) -> Classifier:
    """Loads a model by bundle, run directory or shipped name, verified before use.

    Several in a list, or joined as "A+B", become an ensemble (`inference.ensemble`). `model` is the network
    to fill, for a bundle of one's own architecture. Raises `UsageError` for an unknown name and
    `ModelFileError` for a file that is damaged, foreign or unsafe.
    """
    where = pick_device(device)
    members = [_predictor(file, model, where) for file in find_models(path)]
    return Classifier(members[0] if len(members) == 1 else Ensemble.of(members))


def _predictor(file: Path, model: nn.Module | None, device: torch.device) -> Predictor:
    predictor = PyTorchPredictor.of(bundles.load(file, model=model), device)
    _require_fitting_means(predictor, file)
    return predictor


def _require_fitting_means(predictor: Predictor, file: Path) -> None:
    """Raises `ModelFileError` unless the class means are of the network's own embeddings."""
    width = embedding_size(predictor.decision)
    if width is None:
        return
    blank = np.zeros((1, predictor.rule.size, predictor.rule.size, 3), np.uint8)
    embeddings = predictor.outputs(blank, embed=True)[1]
    if embeddings is None or embeddings.shape[1] != width:
        raise ModelFileError(f"{file}: its class means do not fit its network: calibrate it again")


def find_models(model: str | Path | Sequence[str | Path]) -> list[Path]:
    """The model files that a name, several names, or "A+B" stand for; an existing path wins."""
    if not isinstance(model, str | Path):
        return [file for name in model for file in find_models(name)]
    names = str(model).split("+")
    if len(names) == 1 or Path(model).exists():
        return [find_model(model)]
    return [find_model(name) for name in names]


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
    shipped = resources.files("seewhy") / "weights" / f"{model}.safetensors"
    if isinstance(shipped, Path) and str(model) in shipped_models():
        return shipped
    near = difflib.get_close_matches(str(model), shipped_models(), n=1)
    hint = f": did you mean {near[0]}?" if near else ""
    raise UsageError(
        f"no file, run or shipped model {str(model)!r}{hint} "
        f"The shipped models are {', '.join(shipped_models())}"
    )


def shipped_models() -> list[str]:
    """The names of the models that come with the package."""
    folder = resources.files("seewhy") / "weights"
    names = (entry.name for entry in folder.iterdir())
    return sorted(n.removesuffix(".safetensors") for n in names if n.endswith(".safetensors"))
