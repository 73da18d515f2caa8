"""Which answers a person should look at, and what was said of them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Literal

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from seewhy.registry.records import CLIENT
from seewhy.registry.schema import answers, kept_images, labels, of_its_answer, reviewable

Reason = Literal["disagreement", "unsure", "audit"]

_KEY = (answers.c.request_id, answers.c.image)
_DIFFER = func.coalesce(answers.c.shadow_label, answers.c.label) != answers.c.label
_UNSURE = answers.c.answer != answers.c.label
# Each answer has one reason, the first that holds.
REASONS: dict[Reason, ColumnElement[bool]] = {
    "disagreement": _DIFFER,
    "unsure": and_(_UNSURE, ~_DIFFER),
    "audit": and_(answers.c.audit, ~_UNSURE, ~_DIFFER),
}
_LABELLED = exists().where(of_its_answer(labels))
_CONFIRMED = exists().where(of_its_answer(labels), labels.c.source != CLIENT)
# Which of two models is right, and how often one is, is not left to what clients say.
_OPEN = and_(reviewable, or_(~_LABELLED, and_(or_(_DIFFER, answers.c.audit), ~_CONFIRMED)))


@dataclass(frozen=True)
class ToReview:
    """An answer that a person should look at, and why.

    `top` are the most probable classes of what was shown, best first; `shadow_label` is what the challenger
    said. `kept`: its image is there.
    """

    request_id: str
    image: int
    name: str
    at: str
    reason: Reason
    top: tuple[str, ...]
    shadow_label: str | None
    kept: bool


def to_review(connection: Connection, most: int) -> list[ToReview]:
    """Answers without a label, the three reasons by turns; first those with an image, the oldest first."""
    parts = [_of_reason(connection, reason, most) for reason in REASONS]
    mixed = [one for one in chain.from_iterable(zip_longest(*parts)) if one is not None]
    return sorted(mixed, key=lambda one: not one.kept)[:most]


def count_to_review(connection: Connection) -> dict[Reason, int]:
    """How many answers without a label there are to look at, by reason."""
    counts = [func.count().filter(where) for where in REASONS.values()]
    row = connection.execute(select(*counts).select_from(answers).where(_OPEN)).one()
    return dict(zip(REASONS, row, strict=True))


def _of_reason(connection: Connection, reason: Reason, most: int) -> Sequence[ToReview]:
    found = connection.execute(
        select(answers, kept_images.c.size)
        .outerjoin(kept_images, of_its_answer(kept_images))
        .where(_OPEN, REASONS[reason])
        .order_by(kept_images.c.size.is_(None), answers.c.at, *_KEY)
        .limit(most)
    )
    return [
        ToReview(
            request_id=row.request_id,
            image=row.image,
            name=row.name,
            at=row.at,
            reason=reason,
            top=tuple(json.loads(row.top)),
            shadow_label=row.shadow_label,
            kept=row.size is not None,
        )
        for row in found
    ]


@dataclass(frozen=True)
class LabelledAnswer:
    """An answer and what was said to be right; `bytes` is the file of its image, None where none is kept."""

    request_id: str
    image: int
    at: str
    answer: str
    audit: bool
    label: str
    source: str
    bytes: bytes | None


def labelled(connection: Connection, name: str) -> Iterator[LabelledAnswer]:
    """The answers of a model, by its name in requests, that have a label, the oldest first."""
    columns = (*_KEY, answers.c.at, answers.c.label.label("answer"), answers.c.audit)
    found = connection.execution_options(yield_per=20).execute(
        select(*columns, labels.c.label, labels.c.source, kept_images.c.bytes)
        .join(labels, of_its_answer(labels))
        .outerjoin(kept_images, of_its_answer(kept_images))
        .where(answers.c.name == name)
        .order_by(answers.c.at, *_KEY)
    )
    for row in found:
        yield LabelledAnswer(**row._mapping)
