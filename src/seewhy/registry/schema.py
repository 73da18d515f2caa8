"""The tables of a registry: one schema for SQLite and Postgres.

A model has versions 1, 2, 3, ...; an alias is a name for one of them; every change of a model is an event
with the next number. The bytes of a version are rows, too, so that a registry is one file or one database,
and nothing of an addition that was killed remains.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA = 1  # rises with each change that an older SeeWhy cannot read
PART = 2**20  # bytes of a model in one row

tables = MetaData()

about = Table("registry", tables, Column("schema", Integer, primary_key=True))

models = Table(
    "models",
    tables,
    Column("name", String(128), primary_key=True),
    Column("events", Integer, nullable=False),  # how many it has: the number of the last
)

blobs = Table(
    "blobs",
    tables,
    Column("sha256", String(64), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("bytes", LargeBinary, nullable=False),
)

versions = Table(
    "versions",
    tables,
    Column("name", ForeignKey(models.c.name), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),  # by which the model is known everywhere
    Column("sha256", String(64), nullable=False, index=True),  # of its bytes
    Column("kind", String(16), nullable=False),
    Column("size", BigInteger, nullable=False),  # bytes
    Column("facts", Text, nullable=False),  # JSON
)

aliases = Table(
    "aliases",
    tables,
    Column("name", String(128), primary_key=True),
    Column("alias", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    ForeignKeyConstraint(["name", "version"], [versions.c.name, versions.c.version]),
)

events = Table(
    "events",
    tables,
    Column("name", ForeignKey(models.c.name), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("version", Integer, nullable=False),
    Column("alias", String(64)),
    Column("previous", Integer),  # the version that the alias pointed at before
    Column("at", String(32), nullable=False),  # UTC, ISO 8601; the order is that of the numbers
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON
)
