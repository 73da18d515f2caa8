"""What a tracker is told of a run, from its files."""

from collections.abc import Mapping
from typing import Any, Protocol

from seewhy.run import Run
from seewhy.text import visible

ARTEFACTS = (
    *("config.yaml", "environment.json", "history.csv", "metrics.json"),
    *("model.safetensors", "report.html"),
)
MOST = 160  # letters of a reason
ONCE = {"epoch", "best"}  # columns of the history that are no metrics


class Tracker(Protocol):
    """Somewhere to mirror runs to."""

    def mirror(self, run: Run, last: bool) -> None:
        """Brings the tracker up to date with the run's files, whatever it missed before.

        With `last`, nothing more of this run is to come. May take long, and may raise anything.
        """

    def place(self, run: Run) -> str:
        """Where a person finds the run that was mirrored."""


def parameters(run: Run) -> dict[str, str]:
    """The recipe of a run by dotted name, and its data; without what is off."""
    config = run.config
    recipe = dict(_flat(config["recipe"]))
    return {**recipe, "data": str(config["data"]), "init": str(config.get("init") or "none")}


def _flat(values: Mapping[str, Any], before: str = "") -> list[tuple[str, str]]:
    flat: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat += _flat(value, f"{before}{name}.")
        elif value is not None:
            flat.append((f"{before}{name}", str(value)))
    return flat


def epochs(run: Run) -> list[tuple[int, float, dict[str, float]]]:
    """The epochs of a run: number, seconds since the start, and metrics by name."""
    return [
        (
            int(row["epoch"]),
            row["seconds"],
            {name: value for name, value in row.items() if name not in ONCE},
        )
        for row in run.history
    ]


def measured(run: Run) -> dict[str, float]:
    """The final metrics by split, as val/accuracy, with their bounds as val/accuracy_low and _high."""
    found: dict[str, float] = {}
    for split, metrics in run.metrics.items():
        intervals = {**metrics.get("intervals", {}), "accuracy": metrics["accuracy"]}
        for name, interval in intervals.items():
            for key, suffix in (("value", ""), ("low", "_low"), ("high", "_high")):
                if interval.get(key) is not None:
                    found[f"{split}/{name}{suffix}"] = interval[key]
    return found


def reason_of(error: Exception) -> str:
    """An error of a tracker in one line, of which a long one loses its middle."""
    text = visible(" ".join(str(error).split()))
    return text if len(text) <= MOST else f"{text[: MOST // 2]} ... {text[-MOST // 2 :]}"
