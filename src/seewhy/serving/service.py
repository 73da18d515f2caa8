"""What the routes share: the models, the decoders, the limits, and how they answer an image."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from seewhy.data.images.at_once import workers
from seewhy.errors import ImageError, UsageError
from seewhy.serving.alerts import Alerts
from seewhy.serving.batching import Room
from seewhy.serving.challenge import Asker, challenge_of
from seewhy.serving.decoding import Decoded, Decoders
from seewhy.serving.drift import DriftWatch
from seewhy.serving.errors import Refusal, not_ready, of_image
from seewhy.serving.keeping import Keeper
from seewhy.serving.keys import admin_token
from seewhy.serving.metrics import Metrics
from seewhy.serving.models import Models, Served
from seewhy.serving.recording import Recorder
from seewhy.serving.settings import ServeSettings
from seewhy.serving.shadowing import Shadow
from seewhy.serving.tracing import Tracing
from seewhy.serving.uploads import Memory, Upload


class Service:
    """A server without its HTTP."""

    def __init__(self, names: dict[str, str], settings: ServeSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.tracing = Tracing(settings.traces)
        self.challenge = challenge_of(names, settings)
        self.models = Models(
            self.challenge.served(names),
            settings,
            runners=settings.runners or workers(),
            on_batch=lambda name, count: self.metrics.batch.labels(name).observe(count),
        )
        self.drift = self._watched()
        self.decoders = Decoders(settings, self.stop_for_crashes)
        self.room = Room(settings.queue)
        self.memory = Memory(settings.upload_memory)
        self.keeper: Keeper | None = None
        self.closing: list[Callable[[], None]] = [self.models.close, self.tracing.close]
        self.recorder: Recorder | None = None
        if settings.feedback or settings.challenger is not None:
            self.recorder = Recorder(settings, self.metrics, admin_token())
            self.closing.append(self.recorder.close)
            if settings.keep_images:
                days = settings.keep_days
                self.keeper = Keeper(self.decoders, self.recorder, self.metrics, days)
        self.shadow: Shadow | None = None
        if self.challenge.shadowed:
            assert self.recorder is not None
            record = self.recorder.shadowed
            self.shadow = Shadow(self.challenge.source, settings, self.metrics, record)
        self.draining = False
        self.broken = asyncio.Event()

    async def start(self) -> None:
        """Starts the decoders and loads the models. Raises as `seewhy.load`, and `RegistryError`."""
        if self.recorder is not None:
            await asyncio.to_thread(self.recorder.start)
        if self.shadow is not None:
            await self.shadow.start()
        await asyncio.gather(self.decoders.start(), asyncio.to_thread(self.models.load))
        if self.drift is not None:
            self.drift.states()  # looks for the references
            self.closing.append(self.drift.close)

    def _watched(self) -> DriftWatch | None:
        """What compares the images that are answered, where that was asked for. Raises `UsageError`."""
        settings = self.settings
        if settings.drift is None:
            if settings.alert_command or settings.alert_url:
                raise UsageError("--alert-command and --alert-url tell of drift: add --drift")
            return None
        alerts = Alerts(settings, self.metrics.drift)
        return DriftWatch(settings, self.models, self.metrics.drift, alerts)

    async def close(self) -> None:
        """Ends processes and threads."""
        if self.shadow is not None:  # first: the answers that wait for it are to be recorded
            await self.shadow.close()
        if self.keeper is not None:
            await self.keeper.close()
        await self.decoders.close()
        for close in self.closing:
            close()

    def stop_for_crashes(self) -> None:
        """Decoders that end one after the other: the server does not become ready, and ends."""
        self.broken.set()

    @property
    def ready(self) -> bool:
        """Whether requests are answered now."""
        return self.models.ready and not self.draining and not self.broken.is_set()

    def require_models(self) -> None:
        """Raises `Refusal` until all models are loaded."""
        if not self.models.ready or self.broken.is_set():
            raise not_ready("the server is starting: try again in a few seconds")

    def model(self, name: str | None, unit: str | None = None) -> Served:
        """The model of a name [the first], for a unit where they are split. Raises `Refusal`."""
        self.require_models()
        try:
            return self.challenge.shown(self.models, self.models.get(name), unit)
        except KeyError:
            raise Refusal(404, "unknown_model", "no such model: GET /models lists them") from None

    def classes(self) -> dict[str, tuple[str, ...]]:
        """The classes that a label may name, by the name of the model: its challenger may know more."""
        known = {model.name: model.classifier.classes for model in self.models}
        if self.challenge.name in known:
            beside = self.shadow.classes if self.shadow else known.get(self.challenge.other, ())
            both = dict.fromkeys((*known[self.challenge.name], *beside))
            known[self.challenge.name] = tuple(both)
        return known

    async def decode(self, upload: Upload, model: Served) -> Decoded:
        """The stored pixels of an image. Raises `ImageError`."""
        data = upload.checked(self.settings.image_bytes)
        with self.tracing.part("decode"):
            return await self.decoders.decode(data, model.classifier.rule)

    async def answer(
        self, upload: Upload, model: Served, top_k: int, name: str
    ) -> dict[str, Any] | Refusal:
        """The result for one image, as it is sent, or why there is none; `name` is how drift names it."""
        classes = model.classifier.classes
        try:
            decoded = await self.decode(upload, model)
            upload.stored = decoded.pixels
            with self.tracing.part("model", **{"seewhy.model": model.name}):
                answer = await model.batcher.answer(decoded.pixels)
        except (ImageError, Refusal) as error:
            refusal = of_image(error) if isinstance(error, ImageError) else error
            self.metrics.image_errors.labels(refusal.code).inc()
            return refusal
        order = np.argsort(-answer.probabilities, kind="stable")[:top_k]
        top = [
            {"label": classes[k], "confidence": round(float(answer.probabilities[k]), 6)}
            for k in order
        ]
        if self.drift is not None:
            self.drift.add(model, answer, name)
        label, confidence = top[0]["label"], top[0]["confidence"]
        self.metrics.predicted(model.name, len(classes), label, answer.answer, confidence)
        result = {
            "file": upload.name,
            "status": "ok",
            **top[0],
            "answer": answer.answer,
            "top": top,
        }
        return result | ({"frames_ignored": True} if decoded.frames_ignored else {})

    def record(
        self,
        request_id: str,
        model: Served,
        uploads: Sequence[Upload],
        results: Sequence[dict[str, Any] | Refusal],
        asker: Asker | None = None,
    ) -> None:
        """Records answers, keeps images and asks the challenger, where each is wanted.

        What the challenger says is added to the record: it may come seconds later, and a label before it.
        """
        if self.recorder is None:
            return
        shadow = self.shadow if model.name == self.challenge.name else None
        loop = asyncio.get_running_loop()
        for number, (upload, result) in enumerate(zip(uploads, results, strict=True)):
            if isinstance(result, Refusal):
                continue
            self.recorder.answered(request_id, number, model, result, asker)
            if self.keeper is not None:
                self.keeper.keep(request_id, number, upload.data)
            if shadow is not None and upload.stored is not None:  # when the answer is on its way
                seen = (upload.stored, model.classifier.rule, upload.data)
                loop.call_soon(shadow.ask, request_id, number, *seen)

    def status(self) -> dict[str, Any]:
        """What the operator sees."""
        return {
            "ready": self.ready,
            "draining": self.draining,
            "models": self.models.digests,
            **({"challenger": self.shadow.status} if self.shadow else {}),
            "images": self.room.taken,
            "upload_bytes": self.memory.taken,
            "decoders": self.decoders.processes,
            "decoders_replaced": self.decoders.replaced,
        }
