"""What is known of new images for one model, as a page and programs read it."""

from dataclasses import dataclass
from typing import Literal

from seewhy.analysis.drift import Drift

State = Literal["collecting", "same", "drifted", "no_reference"]


@dataclass(frozen=True)
class NewImage:
    """An image unlike any of the reference: its name, and how far it is, 1 being the farthest that is usual.

    `image` is the address by which a page shows it, None where that is to be asked for or it is not kept.
    """

    name: str
    distance: float
    image: str | None = None


@dataclass(frozen=True)
class Tested:
    """A window that was tested: when (UTC, ISO 8601), whether it differed, and what to expect of it.

    `p` is the smallest corrected p-value; `expected` the accuracy "at most", None without labels.
    """

    at: str
    drifted: bool
    p: float
    confidence: float
    expected: float | None

    @classmethod
    def of(cls, drift: Drift, at: str) -> "Tested":
        """What is kept of a window."""
        expected = None if drift.expected is None else drift.expected.value
        smallest = min(test.corrected for test in drift.tests)
        return cls(at, drift.drifted, smallest, drift.confidence[1], expected)


@dataclass(frozen=True)
class DriftState:
    """A model and the images that it has answered.

    `state` is "no_reference" (`detail` says why), "collecting" before the first window, then "same" or
    "drifted", that of the newest window: `drift`, whose `new` images are `new`. `collected` images of `size`
    wait for the next test. `windows` were tested in all, `alarms` of them differed; `history` has the
    newest, the oldest first.
    """

    name: str
    digest: str
    state: State
    size: int
    detail: str = ""
    collected: int = 0
    windows: int = 0
    alarms: int = 0
    drift: Drift | None = None
    new: tuple[NewImage, ...] = ()
    history: tuple[Tested, ...] = ()
