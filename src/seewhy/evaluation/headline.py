"""The main metrics of a split, small enough for a model file."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

WEAKEST = 5  # classes


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Bounds(_Record):
    """A value with its 95% interval; a bound is None where there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class WeakClass(_Record):
    """A class by its recall on `support` images."""

    label: str = Field(max_length=256)
    recall: Bounds
    support: int = Field(ge=0)


class Headline(_Record):
    """The main metrics of a split of `n` images, and the classes of lowest recall, the lowest first."""

    n: int = Field(ge=0)
    accuracy: Bounds
    balanced_accuracy: Bounds
    macro_f1: Bounds
    nll: Bounds = Field(description="mean log loss, in nats; lower is better")
    ece: Bounds = Field(description="expected calibration error, 0 to 1; lower is better")
    weakest: tuple[WeakClass, ...] = Field(max_length=WEAKEST)


def headline(stored: Mapping[str, Any]) -> Headline:
    """The main metrics of a split, from all of them as `metrics.json` has them.

    Early versions of it have no interval but that of accuracy.
    """
    intervals = {**stored.get("intervals", {}), "accuracy": stored["accuracy"]}
    values = {**stored, "macro_f1": stored["macro"]["f1"]}
    names = Headline.model_fields.keys() - {"n", "weakest"}
    measured = [item for item in stored["per_class"].items() if item[1]["support"]]
    measured.sort(key=lambda item: item[1]["recall"])
    weakest = (
        WeakClass(label=label, support=row["support"], recall=_bounds(row, "recall"))
        for label, row in measured[:WEAKEST]
    )
    return Headline(
        n=stored["n"],
        weakest=tuple(weakest),
        **{name: _bounds({**values, "intervals": intervals}, name) for name in names},
    )


def _bounds(stored: Mapping[str, Any], name: str) -> Bounds:
    """A metric with six decimals."""
    interval = stored.get("intervals", {}).get(name, {"value": stored[name]})
    numbers = {key: interval.get(key) for key in ("value", "low", "high")}
    return Bounds(**{k: None if v is None else round(v, 6) for k, v in numbers.items()})
