"""A trained classifier: what `seewhy.load` gives. It predicts paths, PIL images, arrays or bytes."""

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from pydantic import ValidationError

from seewhy.config.data import DataConfig
from seewhy.config.input_rule import InputRule
from seewhy.config.options import first_fault
from seewhy.data import Data, ImageSet, Splits, load_data
from seewhy.data.images.decode import ImageLike, centre, read_sized
from seewhy.data.sources.memory import images_of
from seewhy.errors import DataError, ImageError, UsageError
from seewhy.evaluation.decision.answers import answers, embedding_size
from seewhy.evaluation.decision.record import Decision
from seewhy.evaluation.predictions import Predictions, concat
from seewhy.events import OnEvent, ignore
from seewhy.files import named_path
from seewhy.inference.predictor import Predictor, predict_batches
from seewhy.text import visible

if TYPE_CHECKING:
    from torch import nn

KEPT_ON_OTHER_DATA = ("on_bad", "max_bad", "split_seed")  # of the training's fields
CHUNK, CHUNK_PIXELS = 256, 1 << 24  # images that are decoded at once, and their stored pixels
TASK = (
    8  # images that a thread reads in turn: for thumbnails, handing over costs as much as decoding
)

OnError = Literal["raise", "row"]  # what a bad image does
Read = (
    tuple[np.ndarray, tuple[int, int]] | ImageError
)  # stored pixels, and width and height of the whole


@dataclass
class Pass:
    """What is noticed while many images are predicted.

    `reading` are the seconds for which the network waited for images, `network` those that it computed;
    `sizes` are int32 (n, 2) of each chunk: width and height of the images that could be read.
    """

    reading: float = 0.0
    network: float = 0.0
    sizes: list[np.ndarray] = field(default_factory=list)


class Classifier:
    """A verified model and the decoder: ready to predict.

    Threads may share it. It reads files with a pool of threads that is made at its first use, never shared
    with a forked process, and closed by `close` or at the end of a `with` block.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self._pool: tuple[int, ThreadPoolExecutor] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the logits."""
        return self.predictor.classes

    @property
    def rule(self) -> InputRule:
        """How an image becomes the network's input."""
        return self.predictor.rule

    @property
    def decision(self) -> Decision:
        """How logits become an answer."""
        return self.predictor.decision

    @property
    def digest(self) -> str:
        """The model's permanent identifier, 64 hex digits."""
        return self.predictor.digest

    @property
    def chunk(self) -> int:
        """The number of images that `predict_chunks` computes together."""
        return max(1, min(CHUNK, CHUNK_PIXELS // self.rule.store**2))

    def in_full_precision(self) -> AbstractContextManager[None]:
        """True float32 products for the block: for the owner of the process, as it may be a setting of it."""
        return self.predictor.in_full_precision()

    def module(self, *, views: bool = False) -> "nn.Module":
        """The plain network, a copy of its own, in evaluation mode: floats (N, 3, S, S) in [0, 1] to logits.

        With `views` the function by which `predict` answers, which is what attribution explains: where the
        model has several TTA views, a module that averages the network's logits over them. Raises
        `UsageError` for a model that is not a single network.
        """
        network = self.predictor.differentiable()
        if network is None:
            raise UsageError(self.predictor.no_network)
        if not views:
            return network
        from seewhy.inference.forward import answering  # here, since it loads torch

        return answering(network, self.predictor.views)

    def close(self) -> None:
        """Ends the threads that read files; the next use starts others."""
        if self._pool is not None and self._pool[0] == os.getpid():
            self._pool[1].shutdown(cancel_futures=True)
        self._pool = None

    def save(self, path: str | Path) -> None:
        """Writes the model to one file; never over another. Raises `UsageError` when one is there."""
        self.predictor.save(named_path(path))

    def preprocess(self, image: ImageLike) -> np.ndarray:
        """One image as the network sees it, uint8 (size, size, 3). Raises `ImageError`."""
        (one,) = images_of(image)
        stored, _ = read_sized(one, self.rule)
        return centre(stored[None], self.rule.size)[0]

    def predict(
        self,
        images: ImageLike | Iterable[ImageLike],
        *,
        on_error: OnError = "raise",
    ) -> Predictions:
        """Predicts one image or many, in all forms that `seewhy.train` takes.

        These are paths, PIL images, encoded bytes, arrays, tensors, and tables and data sets in memory.
        (H, W), (H, W, 3) and a tensor (3, H, W) are one image; (N, H, W) and four dimensions are many. A bad
        image raises `ImageError` that names it, or with `on_error="row"` becomes a row of NaN logits that is
        named in `Predictions.errors`.
        """
        if on_error not in get_args(OnError):
            raise UsageError(f"on_error={on_error!r}: expected 'raise' or 'row'")
        chunks = list(self.predict_chunks(images_of(images), on_error=on_error))
        if not chunks:
            nothing = np.empty((0, len(self.classes)), np.float32)
            return Predictions(nothing, None, self.classes, np.array([], object))
        return concat(chunks)

    def predict_chunks(
        self,
        images: Iterable[ImageLike],
        *,
        on_error: OnError = "raise",
        embed: bool = False,
        noticed: Pass | None = None,
    ) -> Iterator[Predictions]:
        """Predicts a stream of images in order, a few hundred in memory at a time.

        While the network computes a chunk, the next one is read and decoded. `embed` keeps the embeddings,
        of a model that gives some; a chunk of bad images alone has none. `noticed` tells which of reading and
        computing waits for the other.
        """
        noticed = noticed or Pass()
        first = 0
        for chunk, tasks in self._read_ahead(images):
            start = time.perf_counter()
            reads = [one for task in tasks for one in task.result()]
            read = time.perf_counter()
            for row, error in enumerate(reads):
                if on_error == "raise" and isinstance(error, ImageError):
                    name = _name(chunk[row], first + row, "image ")
                    raise ImageError(error.code, f"{visible(name)}: {error}")
            predictions = self._predict_read(chunk, reads, first, embed)
            noticed.reading += read - start
            noticed.network += time.perf_counter() - read
            sizes = [one[1] for one in reads if not isinstance(one, ImageError)]
            noticed.sizes.append(np.array(sizes, np.int32).reshape(-1, 2))
            yield predictions
            first += len(chunk)

    def _read_ahead(
        self, images: Iterable[ImageLike]
    ) -> Iterator[tuple[list[ImageLike], list["Future[list[Read]]"]]]:
        """Chunks of images with the tasks that read them, which are begun one chunk ahead."""
        remaining, waiting = iter(images), deque[Any]()
        count = self.chunk
        read = partial(_read, rule=self.rule)
        try:
            while chunk := list(islice(remaining, count)):
                parts = [chunk[start : start + TASK] for start in range(0, len(chunk), TASK)]
                waiting.append((chunk, [self._readers().submit(read, part) for part in parts]))
                if len(waiting) > 1:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:  # where the caller has stopped
            for _, tasks in waiting:
                for task in tasks:
                    task.cancel()

    def _readers(self) -> ThreadPoolExecutor:
        """The threads that read files: this process's own."""
        pool = self._pool
        if pool is None or pool[0] != os.getpid():
            pool = self._pool = os.getpid(), ThreadPoolExecutor()
        return pool[1]

    def _predict_read(
        self, images: Sequence[ImageLike], reads: Sequence[Read], first: int, embed: bool
    ) -> Predictions:
        arrays = {row: one[0] for row, one in enumerate(reads) if not isinstance(one, ImageError)}
        good = list(arrays)
        logits = np.full((len(reads), len(self.classes)), np.nan, np.float32)
        width = embedding_size(self.decision)
        embeddings = None if width is None else np.full((len(reads), width), np.nan, np.float32)
        if good:
            stored = np.stack(list(arrays.values()))
            unseen = unlabelled(stored, self.classes)
            predictions = self.predict_set(unseen, embed=embed or width is not None)
            logits[good] = predictions.logits
            if predictions.embeddings is not None:
                width = predictions.embeddings.shape[1]
                embeddings = np.full((len(reads), width), np.nan, np.float32)
                embeddings[good] = predictions.embeddings
        return Predictions(
            logits=logits,
            labels=None,
            classes=self.classes,
            ids=np.array([_name(p, first + row) for row, p in enumerate(images)], dtype=object),
            errors={
                row: (error.code, str(error))
                for row, error in enumerate(reads)
                if isinstance(error, ImageError)
            },
            embeddings=embeddings,
            temperature=self.decision.temperature,
        )

    def predict_set(
        self,
        images: ImageSet,
        *,
        embed: bool = False,
        on_event: OnEvent = ignore,
        what: str = "predicting",
    ) -> Predictions:
        """Predicts a set that was loaded by this model's rule, in fp32; `embed` keeps the embeddings."""
        outputs = partial(self.predictor.outputs, embed=embed)
        predictions = predict_batches(images, self.rule.size, outputs, on_event=on_event, what=what)
        return replace(predictions, temperature=self.decision.temperature)

    def splits(
        self,
        data: Data,
        options: Mapping[str, Any] | None = None,
        *,
        on_event: OnEvent = ignore,
    ) -> Splits:
        """Reads labelled images by this model's rule, split as they were at its training.

        Other data that has splits, or that cannot be read as the training's was, is read by its own layout:
        of the training's fields it gets `on_bad`, `max_bad` and `split_seed` alone. `options` sets fields of
        `DataConfig` for either. Raises `DataError` when the data has classes that the model has not, and
        `UsageError` for an ensemble whose models were trained on different splits.
        """
        trained = self.predictor.data_settings
        if trained is None:
            raise UsageError(
                "the models of this ensemble were trained on different splits of their data, so that one's "
                "test images may be another's training images: combine models of one split"
            )
        given = options or {}
        try:
            splits = self._read(data, {**trained, **given}, on_event)
        except (DataError, UsageError):
            pass  # raised again below if it does not come from the training's fields
        else:
            if splits.drawn or splits.fingerprint == self.predictor.fingerprint:
                return splits
        kept = {name: trained[name] for name in KEPT_ON_OTHER_DATA if name in trained}
        return self._read(data, {**kept, **given}, on_event)

    def _read(self, data: Data, fields: Mapping[str, Any], on_event: OnEvent) -> Splits:
        try:
            config = DataConfig(**fields)
        except ValidationError as error:
            name, reason, value = first_fault(error)
            raise UsageError(f"options: {name}: {reason} (got {value!r})") from None
        return load_data(data, config, rule=self.rule, classes=self.classes, on_event=on_event)

    def answers(self, predictions: Predictions) -> np.ndarray:
        """What to say of each image, str (N,): its class, "not sure" or "out of distribution".

        The latter two only where the model was calibrated to say so; "" where an image could not be
        read. `predictions` are this model's, with embeddings where its scope score needs them.
        """
        return answers(self.decision, predictions)


def _read(images: Sequence[ImageLike], rule: InputRule) -> list[Read]:
    """Reads images in turn; one that cannot be read is its error."""
    reads: list[Read] = []
    for image in images:
        try:
            reads.append(read_sized(image, rule))
        except ImageError as error:
            reads.append(error)
    return reads


def _name(image: ImageLike, number: int, prefix: str = "") -> str:
    return str(image) if isinstance(image, str | Path) else f"{prefix}{number}"


def unlabelled(stored: np.ndarray, classes: tuple[str, ...]) -> ImageSet:
    """Stored images, uint8 (N, S, S, 3), as a set without labels, to be predicted."""
    count = len(stored)
    return ImageSet(
        images=stored,
        labels=np.full(count, -1, np.int64),
        classes=classes,
        ids=np.arange(count).astype(str).astype(object),
        hashes=np.full(count, b"", "S32"),
        groups=None,
    )
