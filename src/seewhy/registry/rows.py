"""What is asked of the tables of a registry."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Table, exists, func, select
from sqlalchemy.dialects import postgresql, sqlite

from seewhy.errors import RegistryError
from seewhy.registry.records import CHAMPION, RegistryEvent, Version
from seewhy.registry.schema import aliases, blobs, events, models, versions
from seewhy.text import counted, no_such


def add_new(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Adds rows, except those whose key is there, or is added by another at this moment."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    if rows:
        connection.execute(dialect.insert(table).on_conflict_do_nothing(), list(rows))


def require_model(connection: Connection, name: str) -> None:
    """Raises `RegistryError` if there is no such model."""
    names = list(connection.scalars(select(models.c.name)))
    if not names:
        raise RegistryError(
            "unknown_model", "the registry is empty: `seewhy registry add MODEL NAME` adds a model"
        )
    if name not in names:
        raise RegistryError("unknown_model", no_such("model in the registry", name, names))


def require_bytes(version: Version) -> None:
    if not version.kept:
        raise RegistryError(
            "collected",
            f"the bytes of {version.name}@{version.version} were removed by gc: add the model again",
        )


def version_of(connection: Connection, name: str, number: int) -> Version:
    stated = select(versions).where(versions.c.name == name, versions.c.version == number)
    # Larger numbers are none that a database has, and an error of their own there.
    found = connection.execute(stated).one_or_none() if 0 < number < 2**31 else None
    if found is None:
        last = connection.scalar(
            select(func.max(versions.c.version)).where(versions.c.name == name)
        )
        raise RegistryError(
            "unknown_version",
            f"{name} has no version {number}: it has {counted(last or 0, 'version')}",
        )
    pointing = select(aliases.c.alias).where(aliases.c.name == name, aliases.c.version == number)
    return Version(
        name=name,
        version=number,
        digest=found.digest,
        sha256=found.sha256,
        kind=found.kind,
        bytes=found.size,
        facts=json.loads(found.facts),
        aliases=tuple(connection.scalars(pointing.order_by(aliases.c.alias))),
        kept=bool(connection.scalar(select(exists().where(blobs.c.sha256 == found.sha256)))),
    )


def pointed_at(connection: Connection, name: str, alias: str) -> int | None:
    found: int | None = connection.scalar(
        select(aliases.c.version).where(aliases.c.name == name, aliases.c.alias == alias)
    )
    return found


def event_of(row: Row[Any]) -> RegistryEvent:
    return RegistryEvent(**{**row._mapping, "evidence": json.loads(row.evidence)})


def moves_of(connection: Connection, name: str, alias: str) -> list[RegistryEvent]:
    """The moves of an alias, the oldest first."""
    here = (events.c.name == name, events.c.alias == alias)
    found = connection.execute(select(events).where(*here).order_by(events.c.number))
    return [event_of(row) for row in found]


def earlier_versions(connection: Connection, name: str, alias: str) -> list[int]:
    """The versions that an alias can be rolled back to, the next one last."""
    before: list[int] = []
    for move in moves_of(connection, name, alias):
        if move.kind == "rollback":
            before.pop()
        elif move.previous is not None:
            before.append(move.previous)
    return before


def unneeded(connection: Connection, name: str, keep: int) -> list[int]:
    """The versions that are neither new nor pointed at, now or after a rollback."""
    numbers = select(versions.c.version).where(versions.c.name == name)
    known = connection.scalars(numbers.order_by(versions.c.version)).all()
    needed = set(known[len(known) - keep :] if keep else [])
    for alias, version in connection.execute(
        select(aliases.c.alias, aliases.c.version).where(aliases.c.name == name)
    ).all():
        needed |= {version, *earlier_versions(connection, name, alias)}
    return [number for number in known if number not in needed]


def no_alias(connection: Connection, name: str, alias: str) -> RegistryError:
    known = connection.scalars(select(aliases.c.alias).where(aliases.c.name == name)).all()
    if not known:
        detail = f"{name} has no alias: `seewhy registry promote {name} VERSION` makes {CHAMPION}"
        return RegistryError("unknown_alias", detail)
    return RegistryError("unknown_alias", no_such(f"alias of {name}", alias, known))


def alias_moved(
    connection: Connection, name: str, alias: str, expected: Any, current: int | None
) -> RegistryError:
    moves = moves_of(connection, name, alias)
    last = f": {moves[-1].who} moved it at {moves[-1].at}" if moves else ""
    was, now = (
        "no version" if number is None else f"version {number}" for number in (expected, current)
    )
    return RegistryError(
        "alias_moved",
        f"{name}@{alias} points at {now}, not at {was} as expected{last}. Look at `seewhy registry history "
        f"{name}`, and promote again if it still holds",
    )
