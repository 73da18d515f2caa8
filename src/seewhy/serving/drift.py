"""Compares the images that a server answers with those that its models were judged on, window by window.

The event loop only appends to a list; tests run in one thread, beside it, and rest after each, so that they
take little of a core however many images are answered.
"""

import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seewhy.analysis.drift import Drift, drift, require_enough
from seewhy.analysis.drift_state import DriftState, NewImage, Tested
from seewhy.errors import SeeWhyError, UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.serving.alerts import Alerts
from seewhy.serving.batching import Answer
from seewhy.serving.metrics import DriftMetrics
from seewhy.serving.models import Models, Served
from seewhy.serving.settings import ServeSettings
from seewhy.text import visible
from seewhy.workflows.drift_reference import find_reference

logger = logging.getLogger("seewhy.serving")

SHARE = 0.02  # of a core that tests may take: after one that took 0.4 s the next window begins 20 s later
LOOK_SECONDS = 10.0  # between two looks for a reference that is missing
HISTORY = 200  # windows that are kept
MOST_NAMED = 24  # new images of a window
NO_IMAGES = (
    "No images are shown, since this server keeps none (--keep-images, where those who send them agree). "
    "Each is named by the request_id of its answer and its place in the request."
)
GONE = "These images are not kept any more, or not yet."


@dataclass(frozen=True, eq=False)
class Seen:
    """An image that was answered: its name, and what the network made of it."""

    name: str
    logits: NDArray[np.float32]
    embedding: NDArray[np.float32] | None


class _Watch:
    """The window of one model that is being filled, and what is known so far."""

    def __init__(self, model: Served, size: int) -> None:
        self.model = model
        self.state = DriftState(model.name, model.digest, "collecting", size)
        self.reference: Predictions | None = None
        self.seen: list[Seen] = []
        self.busy = False  # the thread is at it
        self.resumes = 0.0  # when the next window begins, or the next look for a reference
        self.history: deque[Tested] = deque(maxlen=HISTORY)


class DriftWatch:
    """What is known of the images that each served model has answered.

    Raises `UsageError` where there is no such file or folder, and `DriftError` for too small a window.
    """

    def __init__(
        self, settings: ServeSettings, models: Models, metrics: DriftMetrics, alerts: Alerts
    ) -> None:
        assert settings.drift is not None
        if not settings.drift.exists():
            raise UsageError(
                f"--drift {settings.drift}: there is no such file or folder. `seewhy drift MODEL --reference "
                f"DATA --save NAME.drift` makes a reference"
            )
        require_enough("window", settings.drift_window)
        self._place, self._size = settings.drift, settings.drift_window
        self._about_images = GONE if settings.keep_images else NO_IMAGES
        self._models, self._metrics, self._alerts = models, metrics, alerts
        self._thread = ThreadPoolExecutor(1, "drift")
        self._watches: dict[str, _Watch] = {}
        self._told: dict[str, str] = {}  # by name the state of the last alert

    def close(self) -> None:
        """Ends the thread after the test that it is at."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def add(self, model: Served, answer: Answer, name: str) -> None:
        """Takes an answered image into the window of its model."""
        if self._models.get(model.name) is not model:
            return  # it was replaced meanwhile
        watch = self._watch(model)
        if watch.busy or time.monotonic() < watch.resumes:
            return
        if watch.reference is None:
            self._submit(watch, self._look)
            return
        watch.seen.append(Seen(name, answer.logits, answer.embedding))
        if len(watch.seen) == self._size:
            self._submit(watch, self._test)

    def states(self) -> list[DriftState]:
        """What is known of each model."""
        watches = map(self._watch, self._models)
        return [replace(one.state, collected=len(one.seen)) for one in watches]

    def _watch(self, model: Served) -> _Watch:
        watch = self._watches.get(model.name)
        if watch is None or watch.model.digest != model.digest:
            watch = self._watches[model.name] = _Watch(model, self._size)
            self._submit(watch, self._look)
        return watch

    def _submit(self, watch: _Watch, work: Any) -> None:
        watch.busy = True
        self._thread.submit(self._done, watch, work)

    def _done(self, watch: _Watch, work: Any) -> None:
        """Does the work of the thread, which must not end by a mistake of ours."""
        started = time.thread_time()
        try:
            work(watch)
            self._tell(watch)
        except Exception:
            logger.exception("drift was not tested", extra={"model": watch.model.name})
        watch.seen = []
        if watch.reference is None:
            watch.resumes = time.monotonic() + LOOK_SECONDS
        elif work == self._test:
            watch.resumes = time.monotonic() + (time.thread_time() - started) / SHARE
        watch.busy = False

    def _look(self, watch: _Watch) -> None:
        """Reads the reference of a model, which may have been made meanwhile."""
        try:
            watch.reference = find_reference(self._place, watch.model.digest)
            watch.state = replace(watch.state, state="collecting", detail=self._about_images)
        except (SeeWhyError, OSError) as error:
            watch.state = replace(watch.state, state="no_reference", detail=str(error))

    def _test(self, watch: _Watch) -> None:
        """Compares the images of a full window."""
        assert watch.reference is not None
        classifier = watch.model.classifier
        embeddings = [one.embedding for one in watch.seen if one.embedding is not None]
        window = Predictions(
            np.stack([one.logits for one in watch.seen]),
            None,
            classifier.classes,
            np.array([one.name for one in watch.seen], object),
            np.stack(embeddings) if embeddings else None,
            temperature=classifier.decision.temperature,
        )
        found = drift(watch.reference, window, seed=watch.state.windows)
        self._metrics.tested(watch.model.name, found)
        watch.history.append(Tested.of(found, datetime.now(UTC).isoformat(timespec="seconds")))
        watch.state = replace(
            watch.state,
            state="drifted" if found.drifted else "same",
            windows=watch.state.windows + 1,
            alarms=watch.state.alarms + found.drifted,
            drift=found,
            new=_named(found),
            history=tuple(watch.history),
        )

    def _tell(self, watch: _Watch) -> None:
        """Sends an alert where the state of a model has changed."""
        state, before = watch.state, self._told.get(watch.model.name, "same")
        if state.state in ("collecting", before) or self._watches[state.name] is not watch:
            return
        self._told[state.name] = state.state
        reason = visible(state.detail) if state.state == "no_reference" else ""
        change = {"from": before, "to": state.state, "reason": reason}
        logger.warning("drift", extra={"model": state.name, **change})
        self._alerts.send(message(state, before))


def _named(found: Drift) -> tuple[NewImage, ...]:
    pairs = zip(found.ids[:MOST_NAMED], found.distances, strict=False)
    return tuple(NewImage(name, distance) for name, distance in pairs)


def message(state: DriftState, before: str) -> dict[str, Any]:
    """What an alert says: the change, and what may follow from it."""
    found = state.drift if state.state in ("same", "drifted") else None
    facts: dict[str, Any] = (
        {}
        if found is None
        else {
            "p": min(test.corrected for test in found.tests),
            "confidence": found.confidence,
            "accuracy": found.accuracy,
            "accuracy_at_most": found.expected,
            "worse": found.worse,
            "moved": [name for name, share in found.classes.items() if share.moved],
            "new_images": len(found.new),
        }
    )
    return {
        "event": "drift",
        "model": state.name,
        "digest": state.digest,
        "from": before,
        "to": state.state,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "detail": state.detail if state.state == "no_reference" else "",
        "window": state.size,
        "windows": state.windows,
        "alarms": state.alarms,
        **facts,
    }
