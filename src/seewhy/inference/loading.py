"""A model from its file, or several as one, verified before use."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import numpy as np
from torch import nn

from seewhy.errors import ModelFileError
from seewhy.evaluation.decision.answers import embedding_size
from seewhy.inference import bundle as bundles
from seewhy.inference.classifier import Classifier
from seewhy.inference.device import pick_device
from seewhy.inference.ensemble import Ensemble
from seewhy.inference.locate import find_models
from seewhy.inference.predictor import Predictor
from seewhy.inference.pytorch import PyTorchPredictor


def load(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
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
    members: list[Predictor] = []
    for file in find_models(path):
        members.append(PyTorchPredictor.of(bundles.load(file, model=model), where))
        _require_fitting_means(members[-1], file)
    return Classifier(members[0] if len(members) == 1 else Ensemble.of(members))


@contextmanager
def opened(
    model: Classifier | str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    network: nn.Module | None = None,
    device: str = "auto",
) -> Iterator[Classifier]:
    """A loaded model as it is; any other one is loaded, and closed at the end."""
    if isinstance(model, Classifier):
        yield model
        return
    with load(model, model=network, device=device) as classifier:
        yield classifier


def _require_fitting_means(predictor: Predictor, file: Path) -> None:
    """Raises `ModelFileError` unless the class means are of the network's own embeddings."""
    width = embedding_size(predictor.decision)
    if width is None:
        return
    blank = np.zeros((1, predictor.rule.size, predictor.rule.size, 3), np.uint8)
    embeddings = predictor.outputs(blank, embed=True)[1]
    if embeddings is None or embeddings.shape[1] != width:
        raise ModelFileError(f"{file}: its class means do not fit its network: calibrate it again")
