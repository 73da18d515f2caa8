"""Events of long work: frozen records, which the consumer shows, stores or acts on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One finished step. `loss` and `accuracy` (on augmented images) are means over the epoch so far.

    `gradient_norms` are those of this step by layer, before any clipping, if they were requested.
    """

    step: int
    total_steps: int
    epoch: int
    loss: float
    accuracy: float
    lr: float
    images_per_second: float
    seconds: float
    gradient_norms: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Epoch:
    """One finished and validated epoch. `seconds` counts from the start of the training.

    `peak_memory` is the most bytes of a GPU that the epoch took at once; None elsewhere.
    """

    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    validation: Mapping[str, float]
    best: bool
    seconds: float
    peak_memory: int | None = None

    def row(self) -> dict[str, float]:
        """The epoch as a row of `history.csv`."""
        return {
            "epoch": self.epoch,
            "lr": self.lr,
            "train_loss": self.train_loss,
            "train_accuracy": self.train_accuracy,
            **{f"val_{name}": value for name, value in self.validation.items()},
            "best": int(self.best),
            "seconds": self.seconds,
            **({} if self.peak_memory is None else {"peak_memory": self.peak_memory}),
        }


@dataclass(frozen=True)
class Progress:
    """Progress of long work: `done` of `total`, each a `unit`; "downloading" is in bytes."""

    what: str
    done: int
    total: int
    unit: str = "image"


@dataclass(frozen=True)
class Note:
    """A line for the user."""

    text: str


@dataclass(frozen=True)
class Diagnostic:
    """A problem of the training: its kind, what was observed, and what to do about it."""

    kind: str
    finding: str
    advice: str

    @property
    def text(self) -> str:
        """The finding and the advice in one line."""
        return f"{self.finding}; advice: {self.advice}"


@dataclass(frozen=True)
class RunStarted:
    """A run in the directory `path` starts or continues; `metric` chooses its best epoch.

    `keep` says which epoch's weights are kept, the "best" or the "last". In an experiment it is number
    `number` of `total`, with a `name`. `schedule` says what the learning rate does, such as "half a cosine
    from 0.1 to 0"; `patience` after how many epochs without a better `metric` the run stops.
    """

    path: str
    epochs: int
    metric: str
    name: str = ""
    number: int = 0
    total: int = 0
    keep: str = "best"
    schedule: str = ""
    patience: int | None = None


@dataclass(frozen=True)
class RunFinished:
    """A run is finished, now or earlier: the validation metric that it monitors, and its seconds."""

    path: str
    metric: str
    value: float
    seconds: float
    name: str = ""
    note: str = ""


Event = Step | Epoch | Progress | Note | Diagnostic | RunStarted | RunFinished
StoredEvent = Epoch | Note | Diagnostic | RunStarted | RunFinished  # those that a run stores
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Ignores an event: the default `on_event`."""
