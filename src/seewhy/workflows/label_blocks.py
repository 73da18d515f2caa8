"""The rows of images that are labelled, a block at a time: by this process, or by a Ray cluster.

Blocks are the same in both, so every image is computed beside the same others, and rows are identical.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from seewhy.data.images.decode import ImageLike
from seewhy.errors import SeeWhyError, UsageError
from seewhy.events import OnEvent, ignore
from seewhy.inference.classifier import Classifier, Pass
from seewhy.inference.loading import Runtime, load
from seewhy.workflows.cluster import connected, enter, load_ray
from seewhy.workflows.contained import Inputs, Named, inputs
from seewhy.workflows.label_tables import Row, rows_of

# From an image on, the rows of some images at a time, and what is noticed meanwhile.
Blocks = Callable[[int, Pass], Iterator[Sequence[Row]]]

TASK = 4  # chunks that a worker computes at once


@dataclass(frozen=True)
class Job:
    """What is to be labelled and by what; `paths`, and that of the model, lead there from `folder`."""

    model: str
    paths: tuple[str, ...]
    device: str
    runtime: Runtime
    follow_links: bool
    folder: str

    def load(self) -> Classifier:
        return load(self.model, device=self.device, runtime=self.runtime)

    def images(self, on_event: OnEvent = ignore) -> Inputs:
        return inputs(self.paths, follow_links=self.follow_links, on_event=on_event)


def blocks_here(job: Job, classifier: Classifier, images: Inputs, columns: Sequence[str]) -> Blocks:
    """Labels by this process."""
    return lambda first, noticed: _rows(classifier, images.starting(first), columns, noticed)


def _rows(
    classifier: Classifier, images: Iterable[Named], columns: Sequence[str], noticed: Pass
) -> Iterator[list[Row]]:
    names = deque[str]()

    def stream() -> Iterator[ImageLike]:
        for name, image in images:
            names.append(name)
            yield image

    for chunk in classifier.predict_chunks(stream(), on_error="row", noticed=noticed):
        ids = np.array([names.popleft() for _ in range(len(chunk.logits))], object)
        yield rows_of(classifier, replace(chunk, ids=ids), columns)


def blocks_on_ray(
    job: Job, classifier: Classifier, images: Inputs, columns: Sequence[str]
) -> Blocks:
    """Labels by a Ray cluster.

    A worker that is lost is started again, and its images are labelled again.
    """
    ray = load_ray()
    digests, size = (classifier.digest, images.digest), TASK * classifier.chunk

    def blocks(first: int, noticed: Pass) -> Iterator[Sequence[Row]]:
        with connected(ray):
            actor: Any = ray.remote(max_restarts=-1, max_task_retries=-1)(_Worker)
            cores = max(1, int(ray.cluster_resources().get("CPU", 1)))
            workers = [actor.remote(job, digests, columns) for _ in range(cores)]
            starts = range(first, len(images), size)
            tasks = deque[Any]()
            for number, start in enumerate(starts):
                tasks.append(workers[number % cores].rows.remote(start, size))
                if len(tasks) == 2 * cores:
                    yield _done(ray.get, tasks.popleft(), noticed)
            while tasks:
                yield _done(ray.get, tasks.popleft(), noticed)

    return blocks


def _done(get: Callable[[Any], Any], task: Any, noticed: Pass) -> list[Row]:
    begun = time.perf_counter()
    rows, error = get(task)
    if error is not None:
        raise UsageError(f"a worker of the cluster: {error}")
    noticed.network += time.perf_counter() - begun
    return list(rows)


class _Worker:
    """A process of a cluster: it loads the model once, and reads images itself."""

    def __init__(self, job: Job, digests: tuple[str, str], columns: Sequence[str]) -> None:
        self._job, self._digests, self._columns = job, digests, columns
        self._opened: tuple[Classifier, Inputs] | None = None

    def rows(self, first: int, count: int) -> tuple[list[Row], str | None]:
        """The rows of some images; or what is wrong, since an error of another process loses its type."""
        try:
            self._opened = self._opened or self._open()
            classifier, images = self._opened
            some = islice(images.starting(first), count)
            with classifier.in_full_precision():
                blocks = _rows(classifier, some, self._columns, Pass())
                return [row for block in blocks for row in block], None
        except SeeWhyError as error:
            return [], str(error)

    def _open(self) -> tuple[Classifier, Inputs]:
        enter(self._job.folder)
        classifier, images = self._job.load(), self._job.images()
        if (classifier.digest, images.digest) != self._digests:
            raise UsageError(
                "it finds another model or other images at the same paths: let all machines share a folder"
            )
        return classifier, images
