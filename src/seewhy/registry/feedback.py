"""Keeps what servers answered, what was right, and the images of those who allow it."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

from seewhy.errors import RegistryError
from seewhy.registry.database import Database
from seewhy.registry.records import (
    CLIENT,
    KEEP_DAYS,
    KeptImage,
    Outcome,
    ServedAnswer,
    ShadowAnswer,
    now,
)
from seewhy.registry.reviewing import (
    LabelledAnswer,
    Reason,
    ToReview,
    count_to_review,
    labelled,
    to_review,
)
from seewhy.registry.rows import add_new
from seewhy.registry.schema import answers, kept_images, labels

SHADOW = ("digest", "label", "confidence")  # of a challenger's answer


class Feedback:
    """Answers, labels and kept images in the database of a registry, by its path or address.

    What is written again, by whoever does not know whether it was written, is there once. Methods raise
    `RegistryError`. To be used in a `with`, or closed.
    """

    def __init__(self, place: str | Path, *, make: bool = False) -> None:
        self.database = Database(str(place), make=make)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections to the database."""
        self.database.close()

    def record(
        self,
        served: Sequence[ServedAnswer],
        images: Sequence[KeptImage] = (),
        shadows: Sequence[ShadowAnswer] = (),
    ) -> None:
        """Adds answers, and images of answers, that are not there yet, and what a challenger says of them.

        What belongs to an answer that is not there, any more or at all, is left out.
        """
        with self.database.writing() as connection:
            rows = [{**vars(one), "top": json.dumps(one.top, allow_nan=False)} for one in served]
            add_new(connection, answers, rows)
            add_new(
                connection,
                kept_images,
                [
                    {
                        "request_id": one.request_id,
                        "image": one.image,
                        "at": now(),
                        "size": len(one.bytes),
                        "bytes": one.bytes,
                        "until": now(one.days),
                    }
                    for one in images
                    if _model_of(connection, one.request_id, one.image)
                ],
            )
            _add_shadows(connection, shadows)

    def label(
        self,
        request_id: str,
        label: str | None,
        *,
        image: int = 0,
        source: str = CLIENT,
        classes: Mapping[str, Collection[str]] = MappingProxyType({}),
    ) -> Outcome:
        """Says which class an image of an answer has; None withdraws what was said.

        The last word holds, since whoever corrects a label knows more than before. `classes` are those of
        models, by name: others are refused for their answers. Raises `RegistryError` with the code
        unknown_request or unknown_label.
        """
        here = (labels.c.request_id == request_id, labels.c.image == image)
        said = {"label": label, "at": now(), "source": source}
        with self.database.writing() as connection:
            name = _model_of(connection, request_id, image)
            if name is None:
                raise _unknown(request_id, image)
            if label is not None and label not in classes.get(name, [label]):
                detail = f"the label is no class of the model {name}: it has those of its answers"
                raise RegistryError("unknown_label", detail)
            before = connection.scalar(select(labels.c.label).where(*here))
            if before == label:
                if source != CLIENT:  # who looked confirms what a client sent
                    connection.execute(update(labels).where(*here).values(source=source))
                return "unchanged"
            if label is None:
                connection.execute(delete(labels).where(*here))
                return "withdrawn"
            if before is None:
                key = {"request_id": request_id, "image": image}
                connection.execute(insert(labels).values(key | said))
                return "recorded"
            connection.execute(update(labels).where(*here).values(said))
            return "replaced"

    def forget(self, request_id: str) -> int:
        """Removes all that is known of a request: its answers, labels and images; returns how many images.

        Raises `RegistryError` with the code unknown_request.
        """
        with self.database.writing() as connection:
            if not connection.scalar(select(exists().where(answers.c.request_id == request_id))):
                raise _unknown(request_id)
            removed = 0
            for table in (kept_images, labels, answers):
                done = connection.execute(delete(table).where(table.c.request_id == request_id))
                removed += done.rowcount if table is kept_images else 0
            return removed

    def expire(self, *, days: float | None = None, most: int | None = None) -> int:
        """Removes images that have been kept for their days; returns how many were removed.

        Where `days` or `most` are given, also those that are older, and the oldest where all have more than
        `most` bytes together.
        """
        at, until = kept_images.c.at, kept_images.c.until
        over = [until < now(), and_(until.is_(None), at < now(-KEEP_DAYS))]
        over += [] if days is None else [at < now(-days)]
        with self.database.writing() as connection:
            removed = connection.execute(delete(kept_images).where(or_(*over))).rowcount
            if most is not None:
                removed += _remove_beyond(connection, most)
            return removed

    def to_review(self, most: int) -> list[ToReview]:
        """Answers that a person should look at: disagreements, unsure ones and the audit, by turns."""
        with self.database.reading() as connection:
            return to_review(connection, most)

    def count_to_review(self) -> dict[Reason, int]:
        """How many answers there are to look at, by reason."""
        with self.database.reading() as connection:
            return count_to_review(connection)

    def labelled(self, name: str) -> Iterator[LabelledAnswer]:
        """The answers of a model, by its name in requests, that have a label, the oldest first."""
        with self.database.reading() as connection:
            yield from labelled(connection, name)

    def image(self, request_id: str, image: int) -> bytes | None:
        """The file of a kept image; None where there is none."""
        here = (kept_images.c.request_id == request_id, kept_images.c.image == image)
        with self.database.reading() as connection:
            found: bytes | None = connection.scalar(select(kept_images.c.bytes).where(*here))
            return found


def _add_shadows(connection: Connection, shadows: Sequence[ShadowAnswer]) -> None:
    key = ("request_id", "image")
    here = (answers.c[name] == bindparam(f"its_{name}") for name in key)
    values: dict[str, Any] = {f"shadow_{name}": bindparam(f"its_{name}") for name in SHADOW}
    rows = [{f"its_{name}": value for name, value in vars(one).items()} for one in shadows]
    if rows:
        connection.execute(update(answers).where(*here).values(values), rows)


def _remove_beyond(connection: Connection, most: int) -> int:
    """Removes the oldest images where all have more than `most` bytes together; returns how many."""
    key = (kept_images.c.request_id, kept_images.c.image)
    newest_first = (kept_images.c.at.desc(), *(column.desc() for column in key))
    total = func.sum(kept_images.c.size).over(order_by=newest_first).label("total")
    counted = select(*key, total).subquery()
    beyond = select(counted.c.request_id, counted.c.image).where(counted.c.total > most)
    return connection.execute(delete(kept_images).where(tuple_(*key).in_(beyond))).rowcount


def _model_of(connection: Connection, request_id: str, image: int) -> str | None:
    """The name of the model of an answer; others who label or remove it wait until the transaction ends."""
    here = (answers.c.request_id == request_id, answers.c.image == image)
    name: str | None = connection.scalar(select(answers.c.name).where(*here).with_for_update())
    return name


def _unknown(request_id: str, image: int | None = None) -> RegistryError:
    which = "request" if not image else f"image {image} of a request"
    return RegistryError(
        "unknown_request",
        f"no answer to {which} {request_id!r} is recorded: expected the `request_id` of an answer by a "
        "server with --feedback, and the number of an image that was answered",
    )
