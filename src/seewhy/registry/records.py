"""What a registry tells: versions, aliases, events and answers, as records."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from seewhy.errors import UsageError

CHAMPION, CHALLENGER = "champion", "challenger"  # what is used, and what is tried beside it
CLIENT = "client"  # source of labels that whoever sends images says
PREFIX = "registry:"
KEEP_DAYS = 30  # of an image, where nothing else is said

Kind = Literal["add", "promote", "rollback", "collect"]
Outcome = Literal["recorded", "unchanged", "replaced", "withdrawn"]  # of a label

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
class ServedAnswer:
    """What a server answered to an image: the `image`th of its request, from 0.

    `name` is the model's in requests, `unit` who asked, where that is known; `label` is the most probable
    class, `answer` the same, "not sure" or "out of distribution"; `top` are the most probable classes, best
    first. `audit`: drawn at random to be labelled. `shadow_*` is what the challenger said, if there is one.
    """

    request_id: str
    image: int
    name: str
    digest: str
    at: str
    label: str
    answer: str
    confidence: float
    top: tuple[str, ...]
    audit: bool = False
    unit: str | None = None
    shadow_digest: str | None = None
    shadow_label: str | None = None
    shadow_confidence: float | None = None


@dataclass(frozen=True)
class ShadowAnswer:
    """What a challenger says, unseen, of the `image`th image of a request that was answered."""

    request_id: str
    image: int
    digest: str
    label: str
    confidence: float


@dataclass(frozen=True)
class KeptImage:
    """The image of a served answer: a JPEG or PNG file without metadata, kept for some days."""

    request_id: str
    image: int
    bytes: bytes
    days: float = KEEP_DAYS


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
        if at.isascii() and at.isdigit() and len(at) <= 64:
            return cls(name, int(at), None)
        alias = at or CHAMPION
        require_alias(alias)
        return cls(name, None, alias)


def require_unicode(text: str) -> None:
    """Raises `UsageError` for text that no database has: of an argument in another encoding than UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{text!r} is not UTF-8, so that no registry has it: write it anew"
        ) from None


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


def now(days: float = 0) -> str:
    """The time, or that in some days: UTC, ISO 8601 with milliseconds; it sorts as text."""
    return (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="milliseconds")
