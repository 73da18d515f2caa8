"""Sections of a recipe with variants: each variant is one record, whose options are fields of the section.

A section names its variant in one field (`optimizer: sgd`) and has the options of all variants beside it
(`momentum: 0.9`), None if not set. `flat` derives those fields from the records; `chosen` returns
the record of the named variant.
"""

from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from seewhy.config.options import first_fault

Section = TypeVar("Section", bound=BaseModel)
Record = TypeVar("Record", bound="Variant")


class Variant(BaseModel):
    """One of several choices, with the options that only some of them have."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    def require_fit(self, section: Any) -> None:
        """Raises `ValueError` for an option that contradicts the rest of its section."""


def flat(**registries: Mapping[str, type[Variant]]) -> Callable[[type[Section]], type[Section]]:
    """Adds to a section, after each named field, the options of that field's variants.

    A field keeps unit, range and description of the record; its default is None. The section has
    `defer_build`, so that its validation is built with them.
    """

    def add(section: type[Section]) -> type[Section]:
        assert section.model_config.get("defer_build")
        fields: dict[str, FieldInfo] = {}
        for name, field in section.model_fields.items():
            fields[name] = field
            if name in registries:
                field.annotation = Literal[tuple(registries[name])]  # type: ignore[assignment]
                fields |= _options(registries[name])
        section.model_fields.clear()
        section.model_fields.update(fields)
        return section

    return add


def chosen(section: BaseModel, field: str, registry: Mapping[str, type[Record]]) -> Record:
    """The record of the variant that a section names in `field`, with the options that are set.

    Raises `ValueError` for an option of another variant, or for an invalid value.
    """
    name = getattr(section, field)
    known = registry[name].model_fields
    every = dict.fromkeys(o for record in registry.values() for o in record.model_fields)
    options = {o: getattr(section, o) for o in every if getattr(section, o) is not None}
    if foreign := [option for option in options if option not in known]:
        has = f"whose options are {', '.join(known)}" if known else "which has no options"
        verb, it = ("has", "it") if len(foreign) == 1 else ("have", "them")
        raise ValueError(
            f"{', '.join(foreign)} {verb} no effect with {field}={name}, {has}: leave {it} out "
            f"(`{foreign[-1]}: none` clears an inherited one)"
        )
    try:
        record = registry[name](**options)
    except ValidationError as error:
        raise ValueError(first_fault(error)[1]) from None
    record.require_fit(section)
    return record


def _options(registry: Mapping[str, type[Variant]]) -> dict[str, FieldInfo]:
    """The options of all variants by name, each optional; the description names its variants."""
    fields: dict[str, FieldInfo] = {}
    for record in registry.values():
        for option, field in record.model_fields.items():
            owners = [n for n, other in registry.items() if option in other.model_fields]
            flat_field = fields[option] = copy(field)
            kind: Any = field.annotation
            flat_field.annotation = kind | None
            flat_field.default = None
            flat_field.description = f"{field.description} ({', '.join(owners)})"
    return fields
