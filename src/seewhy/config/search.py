"""Search spaces of tuning: a range or choices for a recipe field, checked against the field."""

import typing
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from seewhy.config.options import first_fault

# Fields that change how a trial is measured, or its random numbers, but not the model.
_FIXED = ("train.seed", "train.monitor", "train.monitor_mode", "train.device")


class Space(BaseModel):
    """The values that a field may take: all from `low` to `high`, or one of `choices`."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)

    low: int | float | None = Field(None, description="smallest value")
    high: int | float | None = Field(None, description="largest value")
    log: bool = Field(False, description="uniform on a logarithmic scale, as for learning rates")
    choices: tuple[bool | int | float | str | None, ...] | None = Field(
        None, min_length=2, description="values without an order"
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        ends = (self.low, self.high)
        if (self.choices is None) == (None in ends) or (self.choices and (ends != (None, None))):
            raise ValueError("a search space needs low and high, or choices")
        if self.choices is not None and self.log:
            raise ValueError("log has no effect on choices")
        if self.low is not None and self.high is not None:
            if self.low >= self.high:
                raise ValueError(f"low ({self.low}) must be below high ({self.high})")
            if self.log and self.low <= 0:
                raise ValueError(f"log needs low above 0, this is {self.low}")
        return self


def check(name: str, space: Space, field: FieldInfo) -> None:
    """Raises `ValueError` unless every end or choice of `space` is valid for the field `name`."""
    if name in _FIXED or (name.startswith("data.") and name != "data.size"):
        raise ValueError(f"search {name}: trials that differ in it cannot be compared")
    if space.choices is None and not {int, float} & _types(field.annotation):
        raise ValueError(f"search {name}: the field is not a number: give choices")
    kind: Any = Annotated[field.annotation, field]
    adapter = TypeAdapter[Any](kind)
    for value in space.choices or (space.low, space.high):
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            reason = first_fault(error)[1]
            raise ValueError(f"search {name}: {value!r} does not fit: {reason}") from None


def is_whole(field: FieldInfo) -> bool:
    """Whether the field takes whole numbers only."""
    return float not in _types(field.annotation)


def _types(annotation: Any) -> set[Any]:
    return {annotation, *typing.get_args(annotation)}
