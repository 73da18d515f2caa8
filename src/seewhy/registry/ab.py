"""What two models answered that were served against each other, and which labels have come since."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Row, Select, and_, func, select, true

from seewhy.registry.records import CLIENT
from seewhy.registry.schema import answers, labels, of_its_answer

MOST = 100_000  # rows that are read


@dataclass(frozen=True)
class Pair:
    """Two models that were served against each other, by digest, and how many images were answered.

    Shadow: by both. Split: by either. `last` is the time of the last answer.
    """

    kind: Literal["shadow", "split"]
    champion: str
    challenger: str
    images: int
    last: str


@dataclass(frozen=True)
class Disagreement:
    """What both models said of an image, and its right class with when and by whom, if there is a label."""

    champion: str
    challenger: str
    label: str | None
    at: str | None
    source: str | None


@dataclass(frozen=True)
class Judged:
    """An answer to a unit with its label: whether the challenger gave it, and whether it was right."""

    unit: str
    challenger: bool
    right: bool


def pairs_of(connection: Connection, name: str) -> list[Pair]:
    """The models that were served against each other as `name`, those that answered last first."""
    shown = answers.c.digest == answers.c.shadow_digest  # a challenger that is shown to its share
    grouped = (answers.c.digest, answers.c.shadow_digest, answers.c.shadow_label.is_(None))
    found = connection.execute(
        select(*grouped, func.count(), func.max(answers.c.at))
        .where(answers.c.name == name, answers.c.shadow_digest.is_not(None), ~shown)
        .group_by(*grouped)
    ).all()
    made = []
    for champion, challenger, split, images, last in found:
        kind: Literal["shadow", "split"] = "split" if split else "shadow"
        if split:
            images += connection.scalar(
                select(func.count())
                .select_from(answers)
                .where(answers.c.name == name, shown, answers.c.digest == challenger)
            )
        made.append(Pair(kind, champion, challenger, images, last))
    return sorted(made, key=lambda pair: pair.last, reverse=True)


def count_disagreements(connection: Connection, name: str, pair: Pair) -> int:
    """On how many images the two said different things."""
    found = select(func.count()).select_from(answers).where(_both(name, pair), _differ())
    return connection.scalars(found).one()


def disagreements(connection: Connection, name: str, pair: Pair) -> list[Disagreement]:
    """The first `MOST` images of which the two said different things, in the order of the answers."""
    asked = (
        select(
            answers.c.label.label("champion"),
            answers.c.shadow_label.label("challenger"),
            *(labels.c.label, labels.c.at, labels.c.source),
        )
        .outerjoin(labels, of_its_answer(labels))
        .where(_both(name, pair), _differ())
    )
    return [Disagreement(**row._mapping) for row in _in_order(connection, asked)]


def audited(
    connection: Connection, name: str, pair: Pair, clients: bool
) -> tuple[int, list[tuple[bool, bool]]]:
    """How many images of the audit share both answered; of those with a label, who was right.

    Labels that clients sent count with `clients` only.
    """
    here = (_both(name, pair), answers.c.audit)
    drawn = connection.scalars(select(func.count()).select_from(answers).where(*here)).one()
    asked = select(answers.c.label, answers.c.shadow_label, labels.c.label.label("right"))
    counts = true() if clients else labels.c.source != CLIENT
    found = _in_order(connection, asked.join(labels, of_its_answer(labels)).where(*here, counts))
    return drawn, [(row.label == row.right, row.shadow_label == row.right) for row in found]


def judged(connection: Connection, name: str, pair: Pair) -> list[Judged]:
    """The last answers to units that have a label, in the order in which labels came."""
    shown = answers.c.digest == pair.challenger
    asked = (
        select(
            answers.c.unit,
            shown.label("challenger"),
            answers.c.label,
            labels.c.label.label("right"),
        )
        .join(labels, of_its_answer(labels))
        .where(
            answers.c.name == name,
            answers.c.shadow_digest == pair.challenger,
            answers.c.shadow_label.is_(None),
            answers.c.digest.in_((pair.champion, pair.challenger)),
            answers.c.unit.is_not(None),
        )
        .order_by(labels.c.at, labels.c.request_id, labels.c.image)
    )
    found = connection.execute(asked)
    return [Judged(row.unit, bool(row.challenger), row.label == row.right) for row in found]


def _both(name: str, pair: Pair) -> Any:
    return and_(
        answers.c.name == name,
        answers.c.digest == pair.champion,
        answers.c.shadow_digest == pair.challenger,
        answers.c.shadow_label.is_not(None),
    )


def _differ() -> Any:
    return answers.c.label != answers.c.shadow_label


def _in_order(connection: Connection, asked: Select[Any]) -> list[Row[Any]]:
    order = (answers.c.at, answers.c.request_id, answers.c.image)
    return list(connection.execute(asked.order_by(*order).limit(MOST)))
