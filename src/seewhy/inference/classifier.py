"""A trained classifier: what `seewhy.load` gives, and what predicts pictures by any way in."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from seewhy.config.data import DataConfig
from seewhy.config.input_rule import InputRule
from seewhy.data import ImageSet, Splits, load_data
from seewhy.data.images.decode import Picture, centre, read
from seewhy.errors import ImageError
from seewhy.evaluation.decision.ood import scope_scores
from seewhy.evaluation.predictions import Predictions, concat
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.forward import predict

CHUNK = 256
NOT_SURE, OUT_OF_SCOPE = "not sure", "out of scope"


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
        means = self._means
        embeddings = None
        if means is not None:
            embeddings = np.full((len(arrays), means.shape[1]), np.nan, np.float32)
        if good:
            stored = np.stack([arrays[row] for row in good])  # type: ignore[misc]
            found = self.predict_set(unlabelled(stored, self.classes), embed=means is not None)
            logits[good] = found.logits
            if embeddings is not None:
                embeddings[good] = found.embeddings
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
            embeddings=embeddings,
            temperature=self.bundle.decision.temperature,
        )

    def predict_set(
        self,
        images: ImageSet,
        *,
        embed: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Predictions:
        """Predicts a set that was loaded by this model's rule, in fp32; `embed` keeps the features."""
        predictions = predict(
            self.bundle.network,
            images,
            size=self.rule.size,
            views=self.bundle.views,
            device=self.device,
            embed=embed,
            progress=progress,
        )
        return replace(predictions, temperature=self.bundle.decision.temperature)

    def splits(
        self,
        data: str | Path,
        options: Mapping[str, Any] | None = None,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Splits:
        """Reads labelled pictures by this model's rule, split as they were at its training.

        `options` sets other fields of `DataConfig`. Raises `DataError` when the data has classes that
        the model has not.
        """
        trained = self.bundle.facts.get("recipe", {}).get("data", {})
        config = DataConfig(**{**trained, **(options or {})})
        return load_data(data, config, rule=self.rule, classes=self.classes, progress=progress)

    def answers(self, predictions: Predictions) -> np.ndarray:
        """What to say of each picture, str (N,): its class, "not sure" or "out of scope".

        The latter two only where the model was calibrated to say so; "" where a picture could not be
        read. `predictions` are this model's, with embeddings where its scope score needs them.
        """
        decision = self.bundle.decision
        said = np.array([*self.classes, ""], dtype=object)[predictions.predicted]
        if decision.threshold is not None:
            said[predictions.confidence() < decision.threshold] = NOT_SURE
        if decision.scope is not None:
            scores = scope_scores(decision.scope.score, predictions, self._means)
            said[scores < decision.scope.threshold] = OUT_OF_SCOPE
        said[predictions.predicted < 0] = ""
        return said

    @property
    def _means(self) -> np.ndarray | None:
        """The mean embedding of each class, (K, D), where the answers need embeddings."""
        scope = self.bundle.decision.scope
        return np.array(scope.means) if scope is not None and scope.means else None

    def save(self, path: str | Path) -> None:
        """Writes the model to one file; never over another. Raises `UsageError` when one is there."""
        bundles.save(self.bundle, Path(path))


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


def unlabelled(stored: np.ndarray, classes: tuple[str, ...]) -> ImageSet:
    """Stored pictures, uint8 (N, S, S, 3), as a set without labels, to be predicted."""
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
