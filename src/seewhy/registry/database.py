"""Opens the database of a registry: a file of SQLite, or Postgres by its address."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import DatabaseError, InterfaceError

from seewhy.errors import RegistryError
from seewhy.files import make_directory
from seewhy.registry.postgres import PATIENCE, postgres_engine
from seewhy.registry.schema import SCHEMA, about, kept_until, tables
from seewhy.text import without_password

FILE = "registry.db"  # in a directory that is named
LOCK = 0x5EE3_0001  # Postgres's advisory lock for making the tables
NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "lustre", "glusterfs"}


class Database:
    """The database at a path or an address; with `make` a file or tables that are not there are made."""

    def __init__(self, place: str, *, make: bool = False) -> None:
        self.place = without_password(place)
        self._engine = postgres_engine(place) if "://" in place else _sqlite(Path(place), make)
        try:
            self._require_tables(make)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the tables."""
        with self._named(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all that the block writes becomes durable at its end, or nothing does."""
        with self._named(), self._engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Closes the connections."""
        self._engine.dispose()

    def _require_tables(self, make: bool) -> None:
        """Makes tables that are missing, also in a registry of an older SeeWhy; `RegistryError` otherwise."""
        with self.reading() as connection:
            there = inspect(connection).has_table(about.name)
            schema = connection.scalar(select(about.c.schema)) if there else None
        if schema is None and not make:
            raise _nothing(self.place)
        if schema is None or schema < SCHEMA:
            with self.writing() as connection:
                _make_tables(connection)
        elif schema > SCHEMA:
            raise RegistryError(
                "newer_schema",
                f"the registry was written by a newer SeeWhy (schema {schema}; this one knows {SCHEMA}): "
                "pip install --upgrade seewhy",
            )

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Turns errors of the database into a `RegistryError` that names it."""
        try:
            yield
        except (DatabaseError, InterfaceError) as error:
            reason = str(error.orig or error).strip().splitlines()[0]
            raise RegistryError(
                "unreachable",
                f"the registry {self.place} cannot be used ({without_password(reason)}): expected a "
                "file of SQLite, or postgresql://USER@HOST/DATABASE of a server that runs",
            ) from None


def _sqlite(path: Path, make: bool) -> Engine:
    path = path.expanduser().absolute()
    if path.is_dir() or not (path.suffix or path.exists()):
        path /= FILE
    if make:
        make_directory(path.parent)
    elif not path.exists():
        raise _nothing(str(path))
    if (kind := _file_system(path.parent)) in NETWORK:
        raise RegistryError(
            "unreachable",
            f"{path} is on a network file system ({kind}), where SQLite's locks do not hold: give the "
            "address of a Postgres database, or a path on a local disk",
        )
    if make:
        with suppress(OSError):  # which SQLite tells in its own words
            # Images of users are in it: for this user alone, as SQLite then makes the files beside it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_engine(
        URL.create("sqlite", database=str(path)), connect_args={"timeout": PATIENCE}
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # so that SQLAlchemy's BEGIN is the one below
        _keep_a_write_ahead_log(connection)
        # What is deleted, such as the image of someone who asks for it, is overwritten.
        for setting in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def _begins(connection: Connection) -> None:
        # At once, since a transaction that reads before it writes cannot wait for another that does.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _keep_a_write_ahead_log(connection: Any) -> None:
    """Asks until it holds: SQLite does not wait here for others that make the same file."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def _make_tables(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":  # one at a time
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    tables.create_all(connection)  # those that are missing
    schema = connection.scalar(select(about.c.schema))  # asked again: others may have been first
    if schema == 2:
        connection.execute(text("ALTER TABLE kept_images ADD COLUMN until VARCHAR(32)"))
        kept_until.create(connection)
    if schema != SCHEMA:
        connection.execute(about.delete())
        connection.execute(about.insert().values(schema=SCHEMA))


def _nothing(place: str) -> RegistryError:
    return RegistryError(
        "unknown_model",
        f"there is no registry at {place} yet: `seewhy registry add MODEL NAME` makes one",
    )


def _file_system(path: Path) -> str:
    """The type of the file system of a directory, where /proc says it; else an empty text."""
    try:
        lines = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return ""
    mounts = {line.split()[1]: line.split()[2] for line in lines}
    above = [str(one) for one in (path.resolve(), *path.resolve().parents)]
    return next((mounts[one] for one in above if one in mounts), "")
