"""The models that are served, by name."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

from seewhy.config.names import METHODS, PERTURBATION_METHODS
from seewhy.errors import SeeWhyError
from seewhy.evaluation.decision.answers import decides
from seewhy.files import to_json
from seewhy.inference.classifier import Classifier
from seewhy.inference.locate import stamps_of
from seewhy.registry.records import PREFIX
from seewhy.serving.batching import Batcher
from seewhy.serving.explaining import explains
from seewhy.serving.opening import Opened, open_model
from seewhy.serving.settings import ServeSettings
from seewhy.text import visible

logger = logging.getLogger("seewhy.serving")

Stamps = list[tuple[int, ...] | str]


@dataclass(frozen=True, eq=False)
class Served:
    """A model as it is served: its name in requests, and its batcher.

    `digest` is that of the file which was asked for, whatever computes it.
    """

    name: str
    opened: Opened
    batcher: Batcher

    @property
    def classifier(self) -> Classifier:
        """The model."""
        return self.opened.classifier

    @property
    def digest(self) -> str:
        """The digest of the file that was asked for."""
        return self.opened.digest

    def listed(self) -> dict[str, Any]:
        """The model in `GET /models`."""
        return {
            "name": self.name,
            "digest": self.digest,
            "classes": list(self.classifier.classes),
            "size": self.classifier.rule.size,
            "methods": self._methods(),
            "runtime": self.opened.runtime,
            "abstains": decides(self.classifier.decision),
            "ready": True,
        }

    def _methods(self) -> list[str]:
        """The methods by which it can be explained."""
        if not explains():
            return []
        return list(METHODS if self.opened.bundle else PERTURBATION_METHODS)

    def info(self) -> dict[str, Any]:
        """The model in `GET /info`: no paths, since anyone may read it."""
        predictor = self.classifier.predictor
        facts = predictor.facts
        recipe = facts.get("recipe", {})
        public: dict[str, Any] = to_json(
            {
                "rule": predictor.rule.model_dump(),
                "decision": predictor.decision.model_dump(),
                "views": predictor.views,
                "parameters": predictor.parameters,
                "facts": {
                    "recipe": recipe.get("name"),
                    "metrics": facts.get("metrics"),
                },
                "parents": predictor.parents,
            }
        )
        return self.listed() | public


class Models:
    """The served models; each is replaced as a whole when its file changes."""

    def __init__(
        self,
        names: Mapping[str, str],
        settings: ServeSettings,
        *,
        runners: int,
        on_batch: Callable[[str, int], None],
    ) -> None:
        self._names = dict(names)
        self._settings, self._runners, self._on_batch = settings, runners, on_batch
        self._threads = ThreadPoolExecutor(runners, "model")
        self._served: dict[str, Served] = {}
        self._stamps: dict[str, Stamps | None] = {}
        self._loading = threading.Lock()
        self._stopping = threading.Event()
        self._precision = ExitStack()

    @property
    def ready(self) -> bool:
        """Whether all models are loaded."""
        return len(self._served) == len(self._names)

    def __iter__(self) -> Iterator[Served]:
        return iter(list(self._served.values()))

    def get(self, name: str | None) -> Served:
        """The model of a name [the first]. Raises `KeyError`."""
        return self._served[next(iter(self._names)) if name is None else name]

    @property
    def digests(self) -> dict[str, str]:
        """The digest of each model that is loaded."""
        return {name: model.digest for name, model in self._served.items()}

    def load(self) -> None:
        """Loads all models. Raises as `seewhy.load`."""
        with self._loading:
            for name, source in self._names.items():
                self._stamps[name] = _stamps(source)  # first, to see what changes meanwhile
                self._served[name] = self._opened(name, source)

    def reload(self) -> dict[str, str]:
        """Loads each file that has changed; what became of it by name.

        The new model answers from the next request on, once it was verified as at the start. A file that
        cannot be used leaves the old model in place, and is logged.
        """
        return {
            name: self._reloaded(name, source, _stamps(source))
            for name, source in self._names.items()
        }

    def _reloaded(self, name: str, source: str, stamps: Stamps | None) -> str:
        with self._loading:
            old = self._served[name].digest
            try:
                new = self._opened(name, source)
            except Exception as error:  # whatever it is, such as too little memory for two
                if getattr(error, "code", "") != "unreachable":  # else it is tried again
                    self._stamps[name] = stamps
                reason = visible(str(error)) or type(error).__name__
                logger.error("model kept", extra={"model": name, "reason": reason})
                return "kept: the new file cannot be used"
            self._stamps[name] = stamps
            if new.digest == old:
                return "unchanged"
            self._served[name] = new
            logger.info("model replaced", extra={"model": name, "digest": new.digest})
            return "replaced"

    def close(self) -> None:
        """Ends the threads, also where one exports a model, and restores the precision of the process."""
        self._stopping.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._precision.close()

    @property
    def changing(self) -> bool:
        """Whether a model is that of an alias, which may be moved."""
        return any(PREFIX in source for source in self._names.values())

    def reload_changed(self) -> None:
        """Loads each model again whose file was replaced or whose alias was moved since it was loaded.

        One that cannot be found stays: while it is replaced, or while the registry is away. It waits for a
        database, so it is no function for the server's loop.
        """
        for name, source in self._names.items():
            stamps = _stamps(source)
            if stamps not in (None, self._stamps[name]):
                self._reloaded(name, source, stamps)

    def _opened(self, name: str, source: str) -> Served:
        opened = open_model(source, self._settings, self._stopping)
        self._precision.enter_context(opened.classifier.in_full_precision())
        batcher = Batcher(
            opened.classifier,
            self._threads,
            runners=self._runners,
            most=self._settings.batch,
            embed=self._settings.drift is not None,
            on_batch=lambda count: self._on_batch(name, count),
        )
        return Served(name, opened, batcher)


def _stamps(source: str) -> Stamps | None:
    """What tells a changed model; None for one that cannot be found."""
    with suppress(SeeWhyError, OSError):
        return stamps_of(source)
    return None
