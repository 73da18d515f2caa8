"""What is counted while a server runs, in the format of Prometheus."""

from collections.abc import Sequence
from math import nan
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from seewhy.analysis.drift import Drift
    from seewhy.analysis.drift_state import DriftState
    from seewhy.serving.service import Service

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
TENTHS = tuple(tenth / 10 for tenth in range(1, 11))
MOST_CLASSES = 1000  # of a model; the predictions of one with more are counted together


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "seewhy_requests", "Requests answered", ["route", "status"], registry=registry
        )
        self.seconds = Histogram(
            "seewhy_request_seconds",
            "Time to answer",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self.batch = Histogram(
            "seewhy_batch_images", "Images of a batch", ["model"], buckets=SIZES, registry=registry
        )
        self.predictions = Counter(
            "seewhy_predictions", "Predictions by class", ["model", "label"], registry=registry
        )
        self.answers = Counter(
            "seewhy_answers", "Predictions by kind of answer", ["model", "kind"], registry=registry
        )
        self.confidence = Histogram(
            *("seewhy_confidence", "Confidence of predictions", ["model"]),
            buckets=TENTHS,
            registry=registry,
        )
        self.image_errors = Counter(
            "seewhy_image_errors", "Images without a prediction", ["code"], registry=registry
        )
        self.drift = DriftMetrics(registry)
        self.recorded = Counter(
            "seewhy_recorded", "Answers and images recorded", ["what"], registry=registry
        )
        self.unrecorded = Counter(
            "seewhy_unrecorded", "Answers and images dropped", ["what"], registry=registry
        )
        self.shadow = Counter(
            "seewhy_shadow", "Images for the challenger", ["outcome"], registry=registry
        )
        self._unwritten = Gauge(
            "seewhy_recording_answers", "Answers that are not written yet", registry=registry
        )
        self._queue = Gauge("seewhy_queue_images", "Images at work or waiting", registry=registry)
        self._memory = Gauge("seewhy_upload_bytes", "Bytes of uploads held", registry=registry)
        self._replaced = Gauge(
            "seewhy_decoders_replaced", "Decoding processes that were replaced", registry=registry
        )
        self._ready = Gauge("seewhy_ready", "1 when models can answer", registry=registry)

    def predicted(
        self, model: str, classes: int, label: str, answer: str, confidence: float
    ) -> None:
        """Counts a prediction."""
        self.predictions.labels(model, label if classes <= MOST_CLASSES else "all").inc()
        self.answers.labels(model, "class" if answer == label else answer).inc()
        self.confidence.labels(model).observe(confidence)

    def text(self, service: "Service") -> bytes:
        """All metrics, with what is known of the server now."""
        self._queue.set(service.room.taken)
        self._memory.set(service.memory.taken)
        self._unwritten.set(service.recorder.waiting if service.recorder else 0)
        self._replaced.set(service.decoders.replaced)
        self._ready.set(service.ready)
        if service.drift is not None:
            self.drift.set(service.drift.states())
        return generate_latest(self._registry)


class DriftMetrics:
    """What is counted of the images that are compared with a reference, and of the alerts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, about: str) -> Gauge:
            return Gauge(name, about, ["model"], registry=registry)

        self._windows = Counter(
            *("seewhy_drift_windows", "Windows of images tested, by result", ["model", "result"]),
            registry=registry,
        )
        self.alerts = Counter("seewhy_alerts", "Alerts, by result", ["result"], registry=registry)
        self._drifted = gauge("seewhy_drifted", "1 where the newest window of images differs")
        self._referenced = gauge("seewhy_drift_reference", "1 where a model has a reference")
        self._at_most = gauge("seewhy_accuracy_at_most", "Accuracy to expect, without labels")

    def tested(self, model: str, drift: "Drift") -> None:
        """Counts a window."""
        self._windows.labels(model, "differs" if drift.drifted else "same").inc()

    def set(self, states: "Sequence[DriftState]") -> None:
        """Sets what is known of each model now."""
        for state in states:
            known = state.drift and state.drift.expected
            self._drifted.labels(state.name).set(state.state == "drifted")
            self._referenced.labels(state.name).set(state.state != "no_reference")
            self._at_most.labels(state.name).set(known.value if known else nan)
