"""A trained classifier: what `seewhy.load` gives, and what predicts pictures by any way in."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from seewhy import bundle as bundles
from seewhy.bundle import Bundle
from seewhy.data import ImageSet
from seewhy.data.decode import InputRule, Picture, centre, read
from seewhy.errors import ImageError, ModelFileError, UsageError
from seewhy.evaluation.predict import predict
from seewhy.evaluation.predictions import Predictions, concat
from seewhy.runs import Run
from seewhy.training.device import pick_device, place

CHUNK = 256


@dataclass(frozen=True)
class Classifier:
    """A verified model, ready to predict."""

    bundle: Bundle
    device: torch.device

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the logits."""
        return self.bundle.classes

    @property
    def rule(self) -> InputRule:
        """How a picture becomes the network's input."""
        return self.bundle.rule

    @property
    def digest(self) -> str:
        """The model file's sha256, 64 hex digits: its name for ever."""
        return self.bundle.digest

    def preprocess(self, picture: Picture) -> np.ndarray:
        """One picture as the network sees it, uint8 (size, size, 3). Raises `ImageError`."""
        return centre(read(picture, self.rule)[None], self.rule.size)[0]

    def predict(
        self,
        pictures: Picture | Iterable[Picture],
        *,
        on_error: Literal["raise", "row"] = "raise",
    ) -> Predictions:
        """Predicts one picture or many: paths, PIL images, uint8 arrays (H, W, 3) or encoded bytes.

        A bad picture raises `ImageError`, or with `on_error="row"` becomes a row of NaN logits that is
        named in `Predictions.errors`.
        """
        chunks = list(self.predict_chunks(_many(pictures), on_error=on_error))
        return concat(chunks) if chunks else _empty(self.classes)

    def predict_chunks(
        self, pictures: Iterable[Picture], *, on_error: Literal["raise", "row"] = "raise"
    ) -> Iterator[Predictions]:
        """Predicts a stream of pictures in order, a few hundred in memory at a time."""
        remaining = iter(pictures)
        first = 0
        with ThreadPoolExecutor() as pool:
            while chunk := list(islice(remaining, CHUNK)):
                read_one = _reader(self.rule, on_error)
                yield self._predict_read(chunk, list(pool.map(read_one, chunk)), first)
                first += len(chunk)

    def _predict_read(
        self, pictures: Sequence[Picture], arrays: Sequence[np.ndarray | ImageError], first: int
    ) -> Predictions:
        good = [row for row, array in enumerate(arrays) if not isinstance(array, ImageError)]
        logits = np.full((len(arrays), len(self.classes)), np.nan, np.float32)
        if good:
            stored = np.stack([arrays[row] for row in good])  # type: ignore[misc]
            logits[good] = self.predict_set(_unlabelled(stored, self.classes)).logits
        return Predictions(
            logits=logits,
            labels=None,
            classes=self.classes,
            ids=np.array([_name(p, first + row) for row, p in enumerate(pictures)], dtype=object),
            errors={
                row: (error.code, str(error))
                for row, error in enumerate(arrays)
                if isinstance(error, ImageError)
            },
            temperature=self.bundle.decision.temperature,
        )

    def predict_set(
        self, images: ImageSet, *, progress: Callable[[int, int], None] | None = None
    ) -> Predictions:
        """Predicts a set that was loaded by this model's rule, in fp32."""
        predictions = predict(
            self.bundle.network,
            images,
            size=self.rule.size,
            views=self.bundle.views,
            device=self.device,
            progress=progress,
        )
        return replace(predictions, temperature=self.bundle.decision.temperature)

    def save(self, path: str | Path) -> None:
        """Writes the model to one file; never over another. Raises `UsageError` when one is there."""
        bundles.save(self.bundle, Path(path))


def load(path: str | Path, *, model: nn.Module | None = None, device: str = "auto") -> Classifier:
    """Loads a model by bundle, run directory or shipped name, verified before use.

    `model` is the network to fill, for a bundle of one's own architecture. Raises `UsageError` for an
    unknown name and `ModelFileError` for a file that is damaged, foreign or unsafe.
    """
    where = pick_device(device)
    loaded = bundles.load(find_model(path), model=model)
    place(loaded.network, where)
    return Classifier(loaded, where)


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


def _reader(rule: InputRule, on_error: str) -> Callable[[Picture], np.ndarray | ImageError]:
    def read_one(picture: Picture) -> np.ndarray | ImageError:
        try:
            return read(picture, rule)
        except ImageError as error:
            if on_error == "raise":
                raise
            return error

    return read_one


def _many(pictures: Any) -> Iterable[Picture]:
    if isinstance(pictures, np.ndarray):
        return pictures if pictures.ndim == 4 else [pictures]
    if isinstance(pictures, str | Path | bytes) or not isinstance(pictures, Iterable):
        return [pictures]
    return pictures


def _name(picture: Picture, number: int) -> str:
    return str(picture) if isinstance(picture, str | Path) else str(number)


def _unlabelled(stored: np.ndarray, classes: tuple[str, ...]) -> ImageSet:
    count = len(stored)
    return ImageSet(
        images=stored,
        labels=np.full(count, -1, np.int64),
        classes=classes,
        ids=np.arange(count).astype(str).astype(object),
        hashes=np.full(count, b"", "S32"),
        groups=None,
    )


def _empty(classes: tuple[str, ...]) -> Predictions:
    return Predictions(np.empty((0, len(classes)), np.float32), None, classes, np.array([], object))
