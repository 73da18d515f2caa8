"""Records answers, labels and images in a registry: in a thread, after the answers, or not at all.

No request waits for the database, save one that sends a label. What cannot be written yet waits in memory, up
to a limit; what is beyond is dropped and counted.
"""

import asyncio
import hashlib
import hmac
import logging
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from seewhy.errors import RegistryError, SeeWhyError
from seewhy.inference.registered import open_feedback
from seewhy.registry.records import KeptImage, Outcome, ServedAnswer, ShadowAnswer, now
from seewhy.serving.challenge import Asker
from seewhy.serving.errors import Refusal
from seewhy.serving.metrics import Metrics
from seewhy.serving.models import Served
from seewhy.serving.settings import ServeSettings

if TYPE_CHECKING:
    from seewhy.registry.feedback import Feedback

logger = logging.getLogger("seewhy.serving")
T = TypeVar("T")

BATCH_SECONDS = 0.5  # in which answers are gathered
BATCH = 1000  # rows of a transaction
MOST = 50_000  # answers that wait
LONGEST_WAIT = 5.0  # seconds between two attempts while the database is away
LABEL_SECONDS = 10.0  # in which a label is durable, or its request fails
MOST_BYTES = 64 << 20  # of images that wait
EXPIRE_SECONDS = 10.0  # between two looks at the limits of images
FLUSH_SECONDS = 5.0  # in which the last answers are written when the server stops
REFUSALS = {
    "unknown_request": (
        404,
        "no answer with this request_id and number of an image is recorded: take them from an answer, and "
        "send the label some time after it",
    ),
    "unknown_label": (422, "the label is no class of the model: `GET /models` lists them"),
}


@dataclass(frozen=True)
class Said:
    """A label that somebody sends."""

    request_id: str
    image: int
    label: str | None
    source: str
    classes: Mapping[str, Sequence[str]]


class Recorder:
    """Writes what is to be recorded, in the order in which it comes."""

    def __init__(self, settings: ServeSettings, metrics: Metrics, secret: str) -> None:
        self._metrics = metrics
        self._key = hashlib.sha256(secret.encode()).digest()
        self._audited = round(settings.audit_share * 2**64)
        self._feedback: Feedback | None = None
        self._arrived: deque[ServedAnswer] = deque()
        self._said: deque[tuple[Said, Future[Outcome]]] = deque()
        self._said_beside: deque[ShadowAnswer] = deque()
        self._waiting: list[ServedAnswer] = []  # the thread's own, as the next one
        self._beside: list[ShadowAnswer] = []
        limits = {"days": settings.keep_days, "most": settings.keep_bytes}
        self._limits: dict[str, Any] = limits if settings.keep_images else {}
        self._expires = 0.0  # when images are looked through
        self._kept: deque[KeptImage] = deque()
        self._kept_bytes = self._written_bytes = 0  # each is changed by one thread alone
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._woken = threading.Event()
        self._deadline: float | None = None  # when the server stops

    def feedback(self) -> "Feedback":
        """What is recorded, to be read in any thread. Raises `SeeWhyError` while it cannot be opened."""
        if self._feedback is None:
            self._feedback = open_feedback(make=True)
        return self._feedback

    def start(self) -> None:
        """Opens the registry, or makes it, and starts the thread.

        A database that is away is tried again and again. Raises `UsageError` without the extra, and
        `RegistryError` for what is no registry of this version.
        """
        try:
            self.feedback()
        except RegistryError as error:
            if error.code != "unreachable":
                raise
            logger.error("nothing is recorded", extra={"reason": str(error)})
        self._thread.start()

    def close(self) -> None:
        """Writes what waits, for some seconds at most, and ends the thread."""
        self._deadline = time.monotonic() + FLUSH_SECONDS
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(FLUSH_SECONDS + 1)
        answers, images = self.waiting, len(self._kept)
        if answers or images:
            self._metrics.unrecorded.labels("answer").inc(answers)
            self._metrics.unrecorded.labels("image").inc(images)
            logger.error("answers are not recorded", extra={"answers": answers, "images": images})

    @property
    def waiting(self) -> int:
        """How many answers are not written yet."""
        return len(self._arrived) + len(self._waiting)

    def answered(
        self,
        request_id: str,
        image: int,
        model: Served,
        result: dict[str, Any],
        asker: Asker | None = None,
    ) -> None:
        """Records the answer to the `image`th image of a request, as it was sent, and who asked."""
        if self.waiting >= MOST:
            self._metrics.unrecorded.labels("answer").inc()
            return
        self._arrived.append(
            ServedAnswer(
                request_id=request_id,
                image=image,
                name=model.name,
                digest=model.digest,
                at=now(),
                label=result["label"],
                answer=result["answer"],
                confidence=result["confidence"],
                top=tuple(one["label"] for one in result["top"]),
                audit=self._is_audited(request_id, image),
                unit=asker.unit if asker else None,
                shadow_digest=asker.challenger if asker else None,
            )
        )

    def shadowed(self, answer: ShadowAnswer) -> None:
        """Records what a challenger says of an image whose answer was recorded before."""
        if len(self._said_beside) + len(self._beside) >= MOST:
            self._metrics.unrecorded.labels("shadow").inc()
            return
        self._said_beside.append(answer)

    def keep(self, image: KeptImage) -> None:
        """Keeps an image whose answer was recorded before."""
        if self._kept_bytes - self._written_bytes + len(image.bytes) > MOST_BYTES:
            self._metrics.unrecorded.labels("image").inc()
            return
        self._kept_bytes += len(image.bytes)
        self._kept.append(image)

    async def label(self, said: Said) -> Outcome:
        """Records a label, after the answers before it; returns when it is durable. Raises `Refusal`."""
        future: Future[Outcome] = Future()
        self._said.append((said, future))
        self._woken.set()
        try:
            async with asyncio.timeout(LABEL_SECONDS):
                return await asyncio.wrap_future(future)
        except RegistryError as error:
            if error.code in REFUSALS:
                status, message = REFUSALS[error.code]
                raise Refusal(status, error.code, message) from None
        except TimeoutError:
            pass
        message = "the label cannot be recorded now: send it again later"
        raise Refusal(503, "feedback_unavailable", message, retry_after=5)

    def _is_audited(self, request_id: str, image: int) -> bool:
        """Draws a share of all images, by a key that no client knows: whatever they are, or were answered."""
        digest = hmac.digest(self._key, f"{request_id}/{image}".encode(), "sha256")
        return int.from_bytes(digest[:8], "big") < self._audited

    def _run(self) -> None:
        wait = BATCH_SECONDS
        while True:
            deadline = self._deadline  # asked first: what came before it is written
            try:
                self._write()
                wait = 0.0 if deadline else BATCH_SECONDS
            except SeeWhyError as error:
                logger.error("nothing is recorded", extra={"reason": str(error)})
                wait = BATCH_SECONDS if deadline else min(2 * wait, LONGEST_WAIT)
            if deadline and (not wait or time.monotonic() > deadline):
                break
            self._woken.wait(wait)
            self._woken.clear()
        if self._feedback is not None:
            self._feedback.close()

    def _write(self) -> None:
        """Writes answers, labels and images. Raises `SeeWhyError`; then no answer or image is lost."""
        said = [one for one in _all_of(self._said) if one[1].set_running_or_notify_cancel()]
        images = len(self._kept)  # counted before the answers, to which they belong
        self._beside += _all_of(self._said_beside)
        self._waiting += _all_of(self._arrived)
        try:
            feedback = self.feedback()
            while batch := self._waiting[:BATCH]:
                self._record(feedback, batch)
                del self._waiting[: len(batch)]
        except SeeWhyError as error:
            for _, future in said:
                future.set_exception(error)
            raise
        for label, future in said:
            _finish(future, feedback, label)
        if self._beside:
            self._record(feedback, shadows=self._beside)
            self._beside.clear()
        for _ in range(images):  # one a transaction: each may have megabytes
            self._record(feedback, images=(self._kept[0],))
            self._written_bytes += len(self._kept.popleft().bytes)
        if time.monotonic() > self._expires:  # also what another server has kept before
            feedback.expire(**self._limits)
            self._expires = time.monotonic() + EXPIRE_SECONDS

    def _record(
        self,
        feedback: "Feedback",
        served: Sequence[ServedAnswer] = (),
        images: Sequence[KeptImage] = (),
        shadows: Sequence[ShadowAnswer] = (),
    ) -> None:
        """Writes rows. Raises `SeeWhyError` where another attempt may help; other rows are dropped."""
        counter = self._metrics.recorded
        try:
            feedback.record(served, images, shadows)
        except SeeWhyError:
            raise
        except Exception:  # a mistake of ours: later rows are to be written nevertheless
            logger.exception("answers cannot be recorded")
            counter = self._metrics.unrecorded
        counter.labels("answer").inc(len(served))
        counter.labels("image").inc(len(images))
        counter.labels("shadow").inc(len(shadows))


def _finish(future: Future[Outcome], feedback: "Feedback", said: Said) -> None:
    try:
        outcome = feedback.label(
            said.request_id,
            said.label,
            image=said.image,
            source=said.source,
            classes=said.classes,
        )
    except Exception as error:  # also a mistake of ours: later rows are to be written nevertheless
        future.set_exception(error)
    else:
        future.set_result(outcome)


def _all_of(queue: deque[T]) -> list[T]:
    """Takes what is in a queue, to which others append meanwhile."""
    return [queue.popleft() for _ in range(len(queue))]
