"""The challenger of a model that is served: it answers beside it, or is shown to a share of the units."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from seewhy.errors import UsageError
from seewhy.serving.models import Models, Served
from seewhy.serving.settings import ServeSettings


@dataclass(frozen=True)
class Asker:
    """Who is shown one of two models: a unit, by a keyed hash, and the digest of the challenger."""

    unit: str
    challenger: str


@dataclass(frozen=True)
class Challenge:
    """The model `source` that challenges the one served as `name`; `share` of the units see it, if any do."""

    name: str | None = None
    source: str = ""
    share: float | None = None

    @property
    def shadowed(self) -> bool:
        """Whether the challenger answers unseen."""
        return self.name is not None and self.share is None

    @property
    def other(self) -> str:
        """The name under which a challenger that is seen can be asked for by itself."""
        return f"{self.name}@challenger"

    def served(self, names: Mapping[str, str]) -> dict[str, str]:
        """The names of the models that may be shown."""
        return {**names, **({} if self.share is None else {self.other: self.source})}

    def shown(self, models: Models, champion: Served, unit: str | None) -> Served:
        """The model that a unit is shown where it asks for `champion`: always the same."""
        if self.share is None or champion.name != self.name or not unit:
            return champion
        challenger = models.get(self.other)
        if not is_drawn(unit_hash(challenger.digest, unit), self.share):
            return champion
        return replace(challenger, name=champion.name)

    def asker(self, models: Models, shown: Served, unit: str | None) -> Asker | None:
        """What is recorded of a unit that was shown one of the two."""
        if self.share is None or shown.name != self.name or not unit:
            return None
        digest = models.get(self.other).digest
        return Asker(unit_hash(digest, unit), digest)


def unit_hash(digest: str, unit: str) -> str:
    """A unit as it is drawn and recorded: 32 hexadecimal digits, others for another challenger.

    The same on every server of these models.
    """
    return hmac.digest(digest.encode(), unit.encode(), "sha256").hex()[:32]


def is_drawn(hashed: str, share: float) -> bool:
    """Whether a unit is among the share that sees the challenger."""
    return int(hashed[:13], 16) < share * 16**13


def challenge_of(names: Mapping[str, str], settings: ServeSettings) -> Challenge:
    """What `--challenger` and `--split` ask for. Raises `UsageError`."""
    if settings.challenger is None:
        if settings.split is not None:
            raise UsageError("--split needs --challenger MODEL: who is to be shown to a share?")
        return Challenge()
    name, _, source = settings.challenger.partition("=")
    if not source or Path(settings.challenger).exists():
        name, source = "", settings.challenger
    if not name and len(names) == 1:
        name = next(iter(names))
    if name not in names:
        raise UsageError(
            f"--challenger {settings.challenger}: expected NAME=MODEL, with NAME one of {', '.join(names)}"
        )
    return Challenge(name, source, settings.split)
