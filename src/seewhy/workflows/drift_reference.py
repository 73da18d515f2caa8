"""What later images are compared with, as one file: a model's answers to the images it was judged on."""

import json
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from seewhy.analysis.drift import require_enough
from seewhy.errors import DataError, DriftError, UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note, OnEvent, ignore
from seewhy.files import named_path, require_new, write_atomic
from seewhy.text import counted

if TYPE_CHECKING:
    from seewhy.data import Data
    from seewhy.inference.classifier import Classifier

SUFFIX = ".drift"
MOST = 5000  # images that a file keeps, chosen at random: 10 MB with embeddings of 512 numbers
_KEY = "seewhy.drift"  # of the metadata of the file, which is one of safetensors


def drift_reference(
    model: str | PathLike[str],
    data: "Data",
    path: str | Path,
    *,
    options: Mapping[str, Any] | None = None,
    device: str = "auto",
    on_event: OnEvent = ignore,
) -> Path:
    """Writes what later images are compared with to a file NAME.drift, never over another one.

    `data` is as for `seewhy.drift`. The file holds logits, labels and embeddings of at most 5,000 images, but
    no images; `seewhy.drift` and `seewhy serve --drift` take it in place of the data. Raises `DriftError` for
    fewer than 10 images, `UsageError` if there is such a file, or for a name without .drift.
    """
    from seewhy.inference.loading import load

    path = named_path(path)
    if path.suffix != SUFFIX:
        raise UsageError(f"{path}: a reference has the suffix {SUFFIX}: name it {path}{SUFFIX}")
    require_new(path)
    with load(model, device=device) as classifier, classifier.in_full_precision():
        predictions = judged(model, classifier, data, options, on_event)
        require_enough("reference", len(predictions))
        if len(predictions) > MOST:
            rows = np.random.default_rng(0).choice(len(predictions), MOST, replace=False)
            predictions = predictions.take(np.sort(rows))
        write_reference(predictions, classifier.digest, path)
    on_event(Note(f"{path} holds the answers to {counted(len(predictions), 'image')}"))
    return path


def judged(
    model: str | PathLike[str],
    classifier: "Classifier",
    data: "Data",
    options: Mapping[str, Any] | None,
    on_event: OnEvent,
) -> Predictions:
    """The answers to the validation images of the model's own data, or to all of other data."""
    from seewhy.workflows.evaluate import choose_split, part_of, read_splits

    splits = read_splits(classifier, data, options, on_event)
    images = part_of(splits, choose_split(model, classifier, splits, None, on_event))
    return classifier.predict_set(images, embed=True, on_event=on_event)


def write_reference(known: Predictions, digest: str, path: Path) -> None:
    """Writes the answers of the model with this digest to a file; the ids of images are left out."""
    from safetensors.numpy import save

    arrays = {"logits": known.logits, "labels": known.labels, "embeddings": known.embeddings}
    about = {
        "version": 1,
        "model": digest,
        "classes": known.classes,
        "temperature": known.temperature,
    }
    kept = {
        name: np.ascontiguousarray(values) for name, values in arrays.items() if values is not None
    }
    write_atomic(path, save(kept, {_KEY: json.dumps(about, allow_nan=False)}))


def find_reference(place: Path, digest: str) -> Predictions:
    """The answers of the model with this digest, from a file or from a folder of such files.

    Raises `DriftError` where there are none.
    """
    files = sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place]
    damaged = None
    for file in files:
        try:
            if (found := read_reference(file, digest)) is not None:
                return found
        except DriftError as error:
            damaged = error
    raise damaged or DriftError(
        "other_model",
        f"{place} has no reference of this model (digest {digest[:12]}): make one by `seewhy drift MODEL "
        f"--reference DATA --save NAME{SUFFIX}`",
    )


def read_reference(path: Path, digest: str) -> Predictions | None:
    """Reads what `write_reference` wrote; None where it is of another model than that with this digest.

    Raises `DriftError` for a file that is damaged or something else.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads(file.metadata()[_KEY])
            if about["model"] != digest:
                return None
            names = file.keys()
            arrays = {name: file.get_tensor(name) for name in names}
        return Predictions(
            arrays["logits"],
            arrays.get("labels"),
            tuple(about["classes"]),
            np.arange(len(arrays["logits"])).astype(object),
            arrays.get("embeddings"),
            temperature=about["temperature"],
        )
    except (DataError, OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise DriftError(
            "damaged_reference",
            f"{path} is no reference of drift ({type(error).__name__}): make one by `seewhy drift MODEL "
            f"--reference DATA --save NAME{SUFFIX}`",
        ) from None
