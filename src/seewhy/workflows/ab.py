"""What an A/B test of two served models shows so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seewhy.analysis.ab import MARGIN, ABTest, shadow_test, split_test
from seewhy.errors import RegistryError, UsageError
from seewhy.inference.registered import open_feedback, open_registry
from seewhy.registry.records import CHALLENGER, CHAMPION, CLIENT, Version, require_unicode
from seewhy.text import command_line, registry_flags
from seewhy.workflows.ab_sentences import sentences

if TYPE_CHECKING:
    from seewhy.registry.ab import Disagreement, Judged


@dataclass(frozen=True, eq=False)
class ABStatus:
    """An A/B test of the models that are served as `name`, and what to do next.

    `champion` and `challenger` are digests, and `versions` those of them in the registry, if they are there.
    `clients` counts the labels that clients sent, `clients_count` says whether they count. `audit` is how
    many images of the audit share have a label, and how many were drawn. `text` says all of it in sentences,
    and `next` is the command that acts on it, if any does.
    """

    name: str
    champion: str
    challenger: str
    versions: tuple[int | None, int | None]
    test: ABTest
    clients: int
    clients_count: bool
    audit: tuple[int, int]
    text: tuple[str, ...]
    next: str | None


def ab_status(
    name: str,
    *,
    registry: str | Path | None = None,
    margin: float = MARGIN,
    clients: bool = False,
) -> ABStatus:
    """What the A/B test of the models served as `name` shows so far; it may be looked at at any time.

    `margin` is the difference in accuracy that does not matter. Labels that clients sent count with `clients`
    only; where units are split between the models, always. Raises `RegistryError` no_test where no two models
    were served against each other.
    """
    if not 0 < margin < 1:
        raise UsageError(
            f"a margin of {margin} is none: expected a share between 0 and 1, such as 0.01"
        )
    require_unicode(name)
    known = _known(name, registry)
    from seewhy.registry import ab as recorded  # here, since it needs the extra

    current = _digest(known, CHAMPION), _digest(known, CHALLENGER)
    with open_feedback(registry) as feedback, feedback.database.reading() as connection:
        pairs = recorded.pairs_of(connection, name)
        if not pairs:
            raise RegistryError(
                "no_test",
                f"no challenger has answered beside {name}: "
                f"`seewhy serve registry:{name}@champion --challenger registry:{name}@challenger`",
            )
        pair = min(pairs, key=lambda one: (one.champion, one.challenger) != current)
        sent, audit = 0, (0, 0)
        if pair.kind == "split":
            test = _split(recorded.judged(connection, name, pair), pair.images, margin)
        else:
            found = recorded.disagreements(connection, name, pair)
            sent = sum(one.source == CLIENT for one in found)
            differ = recorded.count_disagreements(connection, name, pair)
            drawn, right = recorded.audited(connection, name, pair, clients)
            audit = (len(right), drawn)
            outcomes, order = _outcomes(found, clients)
            audited = np.array(right, bool).reshape(-1, 2)
            test = shadow_test(pair.images, differ, outcomes, order, audited, margin=margin)
    by_digest = {one.digest: one.version for one in known}
    versions = by_digest.get(pair.champion), by_digest.get(pair.challenger)
    return ABStatus(
        name=name,
        champion=pair.champion,
        challenger=pair.challenger,
        versions=versions,
        test=test,
        clients=sent,
        clients_count=clients or pair.kind == "split",
        audit=audit,
        text=tuple(sentences(test, audit, 0 if clients else sent)),
        next=_next(name, versions, test, registry, margin, clients),
    )


def _outcomes(found: "Sequence[Disagreement]", clients: bool) -> tuple[np.ndarray, np.ndarray]:
    """Who was right in the order of the answers, as for `shadow_test`, and the order of the labels."""
    outcomes, came = np.full(len(found), np.nan), []
    for place, one in enumerate(found):
        if one.label is None or (one.source == CLIENT and not clients):
            continue
        outcomes[place] = (one.label == one.challenger) - (one.label == one.champion)
        came.append((one.at or "", place))
    order = np.array([place for _, place in sorted(came)], np.int64)
    return outcomes[: order.max() + 1 if len(order) else 0], order


def _split(found: "Sequence[Judged]", images: int, margin: float) -> ABTest:
    _, units = np.unique([one.unit for one in found], return_inverse=True)
    challenger = np.array([one.challenger for one in found], bool)
    right = np.array([one.right for one in found], bool)
    return split_test(units.astype(np.int64), challenger, right, images, margin=margin)


def _known(name: str, registry: str | Path | None) -> Sequence[Version]:
    """The versions of a registered model; none where another name is served."""
    with open_registry(registry) as opened:
        return opened.versions(name) if name in opened.names() else ()


def _digest(versions: Sequence[Version], alias: str) -> str | None:
    return next((one.digest for one in versions if alias in one.aliases), None)


def _next(
    name: str,
    versions: tuple[int | None, int | None],
    test: ABTest,
    registry: str | Path | None,
    margin: float,
    clients: bool,
) -> str | None:
    """The command that promotes a challenger that has won, with the test that says so."""
    champion, challenger = versions
    if test.verdict != "challenger" or challenger is None:
        return None
    place = registry_flags(registry)
    asked = () if margin == MARGIN else ("--margin", margin)
    status = ("ab", "status", name, "--json", *asked, *["--clients"] * clients, *place)
    expect = () if champion is None else ("--expect", champion)
    promote = ("registry", "promote", name, challenger, *expect, *place, "--evidence", "-")
    return f"{command_line(*status)} | {command_line(*promote)}"
