"""Pictures that are there twice: identical or alike, across splits, or under two labels."""

from collections.abc import Sequence

import numpy as np

from seewhy.data.images import near_duplicates
from seewhy.data.images.near_duplicates import Pairs
from seewhy.data.inspect.findings import Example, Finding, Severity
from seewhy.data.inspect.gathered import Gathered
from seewhy.events import OnEvent


def identical_findings(pictures: Gathered) -> list[Finding]:
    """Finds pictures whose pixels are the same: each with the first of them that tells most."""
    leaks, labels, copies = [], [], []
    for rows in _same(pictures.hashes):
        kept = [row for row in rows if pictures.splits[row] != "left_out"]
        for row in rows:
            if pictures.splits[row] == "left_out" and kept:
                leaks.append(Example("identical", (row, kept[0])))
        opened = [row for row in rows if pictures.labels[row] >= 0]
        for row in opened[1:]:
            if pictures.labels[row] != pictures.labels[opened[0]]:
                labels.append(Example("identical", (opened[0], row)))
        first: dict[str, int] = {}
        for row in rows:
            other = first.setdefault(pictures.splits[row], row)
            if other != row:
                copies.append(Example("identical", (other, row)))
    return [
        finding
        for finding in (
            _leaks(leaks),
            _two_labels(
                "two-labels", "error", "pairs that are identical, under two labels", labels
            ),
            Finding(
                "duplicate",
                "warning",
                "pictures that are there already, in the same split",
                "remove the copies: they count twice",
                copies,
            ),
        )
        if finding.count
    ]


def group_findings(pictures: Gathered) -> list[Finding]:
    """Finds pictures left out of training because their group is in another split, too."""
    groups = pictures.opened.groups
    if groups is None:
        return []
    kept = set(pictures.hashes[pictures.splits != "left_out"].tolist())
    examples = [
        Example(f"group {groups[row]}", (int(row),))
        for row in np.flatnonzero(pictures.splits == "left_out")
        if pictures.hashes[row] not in kept
    ]
    what = "pictures of a group (--group-from) that is in a later split, too"
    return [_leaks(examples, "group-leak", what)] if examples else []


def alike_findings(pictures: Gathered, on_event: OnEvent) -> list[Finding]:
    """Finds pictures that look alike but are not identical; those of one test split are not compared."""
    if not len(pictures.opened):
        return []
    if pictures.opened.images.shape[1] < near_duplicates.SMALLEST:
        return [_too_small()]
    distinct = np.unique(pictures.hashes, return_index=True)[1]
    distinct.sort()
    pairs = near_duplicates.near_pairs(
        pictures.describe()[distinct], lambda rows: pictures.look(distinct[rows]), on_event
    )
    if pairs.crowd is not None:
        return [_crowd(pairs.crowd, _examples(pairs, distinct))]
    leaks, labels, copies = [], [], []
    for example in _examples(pairs, distinct):
        rows = list(example.rows)
        where, shown = set(pictures.splits[rows]), set(pictures.labels[rows])
        if len(where - {"left_out"}) == 2:
            leaks.append(example)
        elif where != {"test"}:
            copies.append(example)
        if len(shown - {-1}) == 2:
            labels.append(example)
    found = (
        Finding(
            "near-leak",
            "warning",
            "pairs that look alike, one on each side of a split",
            "keep them on one side: put both into one group (--group-from), or remove one",
            leaks,
        ),
        _two_labels(
            "near-two-labels", "warning", "pairs that look alike, under two labels", labels
        ),
        Finding(
            "near-duplicate",
            "warning",
            "pairs that look alike, in one split",
            "remove copies that show nothing new",
            copies,
        ),
    )
    return [finding for finding in found if finding.count]


def _same(hashes: np.ndarray) -> list[list[int]]:
    """Returns the rows of each content that is there more than once."""
    order = np.argsort(hashes, kind="stable")
    ends = np.flatnonzero(hashes[order][1:] != hashes[order][:-1]) + 1
    return [rows.tolist() for rows in np.split(order, ends) if len(rows) > 1]


def _examples(pairs: Pairs, distinct: np.ndarray) -> list[Example]:
    """Returns the pairs, those that agree most first."""
    return [
        Example(
            f"agreement {pairs.agreement[n]:.2f}" + (", mirrored" if pairs.mirrored[n] else ""),
            (int(distinct[pairs.rows[n, 0]]), int(distinct[pairs.rows[n, 1]])),
        )
        for n in np.argsort(-pairs.agreement, kind="stable")
    ]


def _leaks(
    examples: Sequence[Example],
    kind: str = "leak",
    what: str = "pictures that are in a later split, too",
) -> Finding:
    advice = "SeeWhy leaves them out of training; other programs will not: remove them from it"
    return Finding(kind, "error", what, advice, examples)


def _two_labels(kind: str, severity: Severity, what: str, examples: Sequence[Example]) -> Finding:
    return Finding(kind, severity, what, "keep the one whose label is right", examples)


def _crowd(crowd: float, examples: Sequence[Example]) -> Finding:
    return Finding(
        "crowd",
        "warning",
        f"each picture looks like some {crowd:,.0f} others: frames of films, copies made by "
        "augmentation, or drawings that are alike by nature; pairs of a sample are listed",
        "where they are frames or copies, keep those of one origin on one side with --group-from",
        examples,
    )


def _too_small() -> Finding:
    side = near_duplicates.SMALLEST
    return Finding(
        "not-compared",
        "note",
        f"pictures of less than {side} pixels are not searched for those that look alike",
        "none needed: identical ones are found at any size",
        [Example(f"less than {side} pixels", name="all")],
    )
