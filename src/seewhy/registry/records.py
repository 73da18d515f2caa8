"""What a registry tells: versions, aliases and events, as records."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from seewhy.errors import UsageError

CHAMPION, CHALLENGER = "champion", "challenger"  # what is used, and what is tried beside it
PREFIX = "registry:"

Kind = Literal["add", "promote", "rollback", "collect"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Version:
    """A version of a model.

    `digest` is the model's, `sha256` that of its bytes; `kind` is bundle or onnx; `facts` are what its file
    says of its training; `aliases` point at it. `kept` is False once `gc` has removed its bytes.
    """

    name: str
    version: int
    digest: str
    sha256: str
    kind: str
    bytes: int
    facts: dict[str, Any]
    aliases: tuple[str, ...]
    kept: bool


@dataclass(frozen=True)
class RegistryEvent:
    """A change of a model: the `number`th of it, with no gap.

    `kind` is add, promote, rollback or collect; `previous` is the version that `alias` pointed at before, if
    any. `at` is the time in UTC (ISO 8601), `who` user@host; `evidence` is what it was decided by.
    """

    name: str
    number: int
    kind: Kind
    version: int
    alias: str | None
    previous: int | None
    at: str
    who: str
    why: str
    evidence: dict[str, Any]


@dataclass(frozen=True)
class Reference:
    """A version by its number, or by an alias: NAME@3, NAME@champion; NAME alone is its champion."""

    name: str
    version: int | None
    alias: str | None

    @classmethod
    def parse(cls, written: str) -> "Reference":
        """Reads NAME[@VERSION_OR_ALIAS], also after "registry:". Raises `UsageError`."""
        name, _, at = written.removeprefix(PREFIX).partition("@")
        require_name(name)
        if at.isascii() and at.isdigit():
            return cls(name, int(at), None)
        alias = at or CHAMPION
        require_alias(alias)
        return cls(name, None, alias)


def require_name(name: str) -> None:
    """Raises `UsageError` unless a model may have this name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a model in a registry: expected letters, digits, dots, hyphens or "
            "underscores, 128 at most"
        )


def require_alias(alias: str) -> None:
    """Raises `UsageError` unless an alias may have this name."""
    if not _ALIAS.fullmatch(alias):
        raise UsageError(
            f"{alias!r} is no alias: expected a letter, then letters, digits, hyphens or underscores, 64 at "
            "most"
        )
