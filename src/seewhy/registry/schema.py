"""The tables of a registry: one schema for SQLite and Postgres.

A model has versions 1, 2, 3, ...; an alias is a name for one of them; every change of a model is an event
with the next number. The bytes of a version are rows, too, so that a registry is one file or one database,
and nothing of an addition that was killed remains.

What a server answered is a row an image (`answers`), whose right class may follow (`labels`), and the image
itself where that is allowed (`kept_images`).
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    and_,
    or_,
)

# Rises with each change: 2 has the answers, labels and images of servers, 3 until when an image is kept.
SCHEMA = 3
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

answers = Table(
    "answers",
    tables,
    Column("request_id", String(64), primary_key=True),
    Column("image", Integer, primary_key=True, autoincrement=False),  # in its request, from 0
    Column("name", String(100), nullable=False),  # of the model in requests
    Column("digest", String(64), nullable=False),
    Column("at", String(32), nullable=False),  # UTC, ISO 8601 with milliseconds
    Column("unit", String(128)),  # who or what asked: what a split by unit keeps together
    Column("label", Text, nullable=False),  # the most probable class
    Column("answer", Text, nullable=False),  # the same, "not sure" or "out of distribution"
    Column("confidence", Float, nullable=False),
    Column("top", Text, nullable=False),  # JSON: the most probable classes, best first
    Column("audit", Boolean, nullable=False),  # drawn to be labelled, whatever was answered
    Column("shadow_digest", String(64)),  # the challenger's, where one answered too
    Column("shadow_label", Text),
    Column("shadow_confidence", Float),
    Index("answers_by_name", "name", "at"),
)

# An answer that a person should look at.
reviewable = or_(
    answers.c.audit,
    answers.c.answer != answers.c.label,
    answers.c.shadow_label != answers.c.label,
)
Index("answers_to_review", answers.c.at, sqlite_where=reviewable, postgresql_where=reviewable)


def _of_an_answer() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["request_id", "image"], [answers.c.request_id, answers.c.image])


def of_its_answer(table: Table) -> ColumnElement[bool]:
    """That a label or a kept image is that of an answer, to join them."""
    return and_(table.c.request_id == answers.c.request_id, table.c.image == answers.c.image)


labels = Table(
    "labels",
    tables,
    Column("request_id", String(64), primary_key=True),
    Column("image", Integer, primary_key=True, autoincrement=False),
    Column("label", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("source", String(16), nullable=False),  # who said it
    _of_an_answer(),
)

kept_images = Table(
    "kept_images",
    tables,
    Column("request_id", String(64), primary_key=True),
    Column("image", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False),
    Column("size", Integer, nullable=False),  # bytes
    Column("bytes", LargeBinary, nullable=False),  # a JPEG or PNG without metadata
    Column("until", String(32)),  # as `at`; None of what was kept before schema 3
    _of_an_answer(),
    Index("kept_images_by_age", "at", "size"),
)
kept_until = Index("kept_images_by_until", kept_images.c.until)
