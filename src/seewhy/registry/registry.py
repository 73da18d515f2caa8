"""Keeps versions of models and moves aliases between them, safely for many processes and machines."""

import getpass
import hashlib
import io
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

from sqlalchemy import Connection, delete, exists, func, insert, select, update

from seewhy.errors import RegistryError
from seewhy.files import atomic_file, to_json
from seewhy.registry.database import Database
from seewhy.registry.records import (
    CHAMPION,
    Kind,
    Reference,
    RegistryEvent,
    Version,
    require_alias,
    require_name,
)
from seewhy.registry.rows import (
    add_new,
    alias_moved,
    earlier_versions,
    event_of,
    moves_of,
    no_alias,
    pointed_at,
    require_bytes,
    require_model,
    unneeded,
    version_of,
)
from seewhy.registry.schema import PART, about, aliases, blobs, events, models, versions

SUFFIXES = {"bundle": ".safetensors", "onnx": ".onnx"}
TRAINED_ON = "trained_on"  # among a version's facts: the sha256 of what tells its training images


class Registry:
    """A registry at a path (a file of SQLite) or at the address of a Postgres database.

    With `make` it is made where there is none. Every change is one transaction: it happens as a whole or not
    at all, whoever is killed. Methods raise `RegistryError`, whose `code` says what was wrong, and
    `UsageError` for names that no model or alias may have. To be used in a `with`, or closed.
    """

    def __init__(self, place: str | Path, *, make: bool = False) -> None:
        self._database = Database(str(place), make=make)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections to the database."""
        self._database.close()

    @property
    def place(self) -> str:
        """Where it is, without a password."""
        return self._database.place

    def add(
        self,
        name: str,
        file: Path,
        *,
        digest: str,
        kind: str,
        facts: Mapping[str, Any],
        why: str = "",
        evidence: Mapping[str, Any] | None = None,
        trained_on: bytes | None = None,
    ) -> Version:
        """Adds a model file as the next version of `name`.

        `kind` is bundle or onnx. A model that is there already, by its digest, keeps its version. The file is
        not verified: `seewhy.register` does that. `trained_on` tells its training images, where these are
        known; the registry only keeps it.
        """
        require_name(name)
        with open(file, "rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
        seen = {} if trained_on is None else {TRAINED_ON: hashlib.sha256(trained_on).hexdigest()}
        stated = {**facts, **seen}
        with self._database.writing() as connection:
            _lock_bytes(connection)
            _lock(connection, name, make=True)
            if trained_on is not None:
                _store(connection, io.BytesIO(trained_on), seen[TRAINED_ON], "the list of images")
            there = connection.scalar(
                select(versions.c.version).where(
                    versions.c.name == name, versions.c.digest == digest
                )
            )
            with open(file, "rb") as opened:
                size = _store(connection, opened, sha256, str(file))
            if there is not None and seen:  # it may have been added without
                this = (versions.c.name == name, versions.c.version == there)
                known = json.loads(connection.scalars(select(versions.c.facts).where(*this)).one())
                text = json.dumps(to_json({**known, **seen}), allow_nan=False)
                connection.execute(update(versions).where(*this).values(facts=text))
            if there is None:
                latest = select(func.max(versions.c.version)).where(versions.c.name == name)
                there = (connection.scalar(latest) or 0) + 1
                row = {"name": name, "version": there, "digest": digest, "sha256": sha256}
                row |= {
                    "kind": kind,
                    "size": size,
                    "facts": json.dumps(to_json(stated), allow_nan=False),
                }
                connection.execute(insert(versions).values(row))
                _note(connection, name, "add", there, why=why, evidence=evidence)
            return version_of(connection, name, there)

    def trained_on(self, digest: str) -> bytes | None:
        """What was added as the training images of the model of this digest; None where it is not known."""
        with self._database.reading() as connection:
            stated = select(versions.c.facts).where(versions.c.digest == digest)
            sums = [json.loads(one).get(TRAINED_ON) for one in connection.scalars(stated)]
        parts = [list(self._parts(one)) for one in sums if one is not None]
        return next((b"".join(one) for one in parts if one), None)  # gc may have removed them

    def names(self) -> list[str]:
        """The names of all models."""
        with self._database.reading() as connection:
            return list(connection.scalars(select(models.c.name).order_by(models.c.name)))

    def versions(self, name: str) -> list[Version]:
        """The versions of a model, the newest first."""
        with self._database.reading() as connection:
            require_model(connection, name)
            numbers = select(versions.c.version).where(versions.c.name == name)
            newest = connection.scalars(numbers.order_by(versions.c.version.desc())).all()
            return [version_of(connection, name, number) for number in newest]

    def find(self, reference: str | Reference) -> Version:
        """The version that NAME@VERSION_OR_ALIAS stands for; NAME alone is its champion."""
        if isinstance(reference, str):
            reference = Reference.parse(reference)
        with self._database.reading() as connection:
            number = reference.version
            if reference.alias is not None:
                number = pointed_at(connection, reference.name, reference.alias)
            if number is None or reference.alias is None:
                require_model(connection, reference.name)
            if number is None:
                raise no_alias(connection, reference.name, str(reference.alias))
            return version_of(connection, reference.name, number)

    def promote(
        self,
        name: str,
        version: int,
        alias: str = CHAMPION,
        *,
        why: str = "",
        evidence: Mapping[str, Any] | None = None,
        expected: int | Literal["any"] | None = "any",
    ) -> RegistryEvent:
        """Points an alias at a version.

        `expected` is the version that it points at now, None if there is no such alias: where it was moved
        meanwhile, nothing changes, and a `RegistryError` "alias_moved" says by whom. "any": wherever it
        points. What is promoted already stays, as its last event.
        """
        require_name(name)
        require_alias(alias)
        with self._database.writing() as connection:
            _lock(connection, name)
            require_bytes(version_of(connection, name, version))
            current = pointed_at(connection, name, alias)
            if expected != "any" and current != expected:
                raise alias_moved(connection, name, alias, expected, current)
            if current == version:
                return moves_of(connection, name, alias)[-1]
            return _move(connection, name, "promote", version, alias, current, why, evidence)

    def rollback(self, name: str, alias: str = CHAMPION, *, why: str = "") -> RegistryEvent:
        """Points an alias at the version before the one it points at; again, at the one before that."""
        require_name(name)
        require_alias(alias)
        with self._database.writing() as connection:
            _lock(connection, name)
            current = pointed_at(connection, name, alias)
            if current is None:
                raise no_alias(connection, name, alias)
            before = earlier_versions(connection, name, alias)
            if not before:
                raise RegistryError(
                    "no_earlier_version",
                    f"{name}@{alias} has pointed at no version but {current}: promote another one",
                )
            require_bytes(version_of(connection, name, before[-1]))
            return _move(connection, name, "rollback", before[-1], alias, current, why, None)

    def history(self, name: str) -> list[RegistryEvent]:
        """The events of a model, the oldest first: numbers 1, 2, 3, ... without a gap."""
        with self._database.reading() as connection:
            require_model(connection, name)
            found = connection.execute(
                select(events).where(events.c.name == name).order_by(events.c.number)
            )
            return [event_of(row) for row in found]

    def collect(self, *, keep: int = 3) -> list[Version]:
        """Removes the bytes of versions that nothing needs; returns them.

        Kept are those that an alias points at or could be rolled back to, and the newest `keep` of each
        model. Versions and events stay in the history.
        """
        with self._database.writing() as connection:
            _lock_bytes(connection, to_remove=True)
            spare, needed = [], set()
            for name in connection.scalars(select(models.c.name).order_by(models.c.name)).all():
                _lock(connection, name)
                numbers = select(versions.c.version).where(versions.c.name == name)
                old = unneeded(connection, name, keep)
                for number in connection.scalars(numbers).all():
                    version = version_of(connection, name, number)
                    if number not in old:
                        needed |= _blobs(version)
                    elif version.kept:
                        spare.append(version)
            removed = [version for version in spare if version.sha256 not in needed]
            for version in removed:
                gone = _blobs(version) - needed
                connection.execute(delete(blobs).where(blobs.c.sha256.in_(gone)))
                _note(connection, version.name, "collect", version.version)
            return removed

    def fetch(self, version: Version, folder: Path) -> Path:
        """The file of a version in a folder, read from the registry if it is not there.

        Its bytes are compared with their digest in either case: rows and files may be anyone's.
        """
        require_bytes(version)
        path = folder / f"{version.sha256}{SUFFIXES[version.kind]}"
        if path.is_file():
            with open(path, "rb") as opened:
                if hashlib.file_digest(opened, "sha256").hexdigest() == version.sha256:
                    return path
        digest = hashlib.sha256()
        with atomic_file(path, version.bytes) as file:
            for part in self._parts(version.sha256):
                digest.update(part)
                file.write(part)
            if digest.hexdigest() != version.sha256:
                raise RegistryError(
                    "damaged",
                    f"{version.name}@{version.version}: its bytes in the registry are not those that were "
                    "added: add the model again",
                )
        return path

    def _parts(self, sha256: str) -> Iterator[bytes]:
        with self._database.reading() as connection:
            found = select(blobs.c.bytes).where(blobs.c.sha256 == sha256).order_by(blobs.c.part)
            yield from connection.execution_options(yield_per=1).scalars(found)


def _blobs(version: Version) -> set[str]:
    """The sha256 of all that is kept for a version."""
    return {version.sha256, version.facts.get(TRAINED_ON, version.sha256)}


def _store(connection: Connection, opened: BinaryIO, sha256: str, what: str) -> int:
    """Stores the bytes of a file, unless they are there; returns their number."""
    size = opened.seek(0, os.SEEK_END)
    opened.seek(0)
    if connection.scalar(select(exists().where(blobs.c.sha256 == sha256))):
        return size
    digest, part = hashlib.sha256(), 0
    while data := opened.read(PART):
        digest.update(data)
        add_new(connection, blobs, [{"sha256": sha256, "part": part, "bytes": data}])
        part += 1
    if digest.hexdigest() != sha256:
        raise RegistryError("damaged", f"{what} was changed while it was added: try again")
    return size


def _lock_bytes(connection: Connection, *, to_remove: bool = False) -> None:
    """Makes who would remove bytes wait until this transaction ends; `to_remove`: also who would add any."""
    connection.execute(select(about.c.schema).with_for_update(read=not to_remove))


def _lock(connection: Connection, name: str, make: bool = False) -> None:
    """Makes other writers of a model wait until this transaction ends."""
    if make:
        add_new(connection, models, [{"name": name, "events": 0}])
    found = connection.scalar(select(models.c.name).where(models.c.name == name).with_for_update())
    if found is None:
        require_model(connection, name)


def _move(
    connection: Connection,
    name: str,
    kind: Kind,
    version: int,
    alias: str,
    current: int | None,
    why: str,
    evidence: Mapping[str, Any] | None,
) -> RegistryEvent:
    """Points an alias at a version, and notes it."""
    if current is None:
        connection.execute(insert(aliases).values(name=name, alias=alias, version=version))
    else:
        here = (aliases.c.name == name, aliases.c.alias == alias)
        connection.execute(update(aliases).where(*here).values(version=version))
    return _note(
        connection, name, kind, version, alias=alias, previous=current, why=why, evidence=evidence
    )


def _note(
    connection: Connection,
    name: str,
    kind: Kind,
    version: int,
    *,
    alias: str | None = None,
    previous: int | None = None,
    why: str = "",
    evidence: Mapping[str, Any] | None = None,
) -> RegistryEvent:
    """Adds the next event of a model."""
    here = models.c.name == name
    connection.execute(update(models).where(here).values(events=models.c.events + 1))
    event = RegistryEvent(
        name=name,
        number=connection.scalars(select(models.c.events).where(here)).one(),
        kind=kind,
        version=version,
        alias=alias,
        previous=previous,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        who=_who(),
        why=why.encode(errors="backslashreplace").decode(),  # a path in it may be no UTF-8
        evidence=dict(evidence or {}),
    )
    row = {**vars(event), "evidence": json.dumps(to_json(event.evidence), allow_nan=False)}
    connection.execute(insert(events).values(row))
    return event


def _who() -> str:
    user = "unknown"
    with suppress(OSError, KeyError):  # a user number without a name, as in some containers
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"
