"""Duplicate images: identical or near-duplicates, across splits, or under two labels."""

from collections.abc import Sequence

import numpy as np

from seewhy.data.images import near_duplicates
from seewhy.data.images.near_duplicates import Pairs
from seewhy.data.inspect.findings import Example, Finding, Severity, with_examples
from seewhy.data.inspect.gathered import Gathered
from seewhy.events import OnEvent


def identical_findings(images: Gathered) -> list[Finding]:
    """Finds images with the same pixels: leaks, pairs under two labels, and other copies in one split."""
    leaks, labels, copies = [], [], []
    for rows in _same(images.hashes):
        kept = [row for row in rows if images.splits[row] != "left_out"]
        first: dict[str, int] = {}
        for row in rows:
            if images.splits[row] == "left_out" and kept:
                leaks.append(Example("identical", (row, kept[0])))
            other = first.setdefault(images.splits[row], row)
            if other != row and images.labels[other] == images.labels[row]:
                copies.append(Example("identical", (other, row)))
        opened = [row for row in rows if images.labels[row] >= 0]
        for row in opened[1:]:
            if images.labels[row] != images.labels[opened[0]]:
                labels.append(Example("identical", (opened[0], row)))
    what, advice = "copies of images in the same split", "remove the copies: they count twice"
    return with_examples(
        _leaks(leaks),
        _two_labels("two-labels", "error", "identical pairs under two labels", labels),
        Finding("duplicate", "warning", what, advice, copies),
    )


def group_findings(images: Gathered) -> list[Finding]:
    """Finds images left out of training because their group is also in another split."""
    groups = images.opened.groups
    if groups is None:
        return []
    kept = set(images.hashes[images.splits != "left_out"].tolist())
    examples = [
        Example(f"group {groups[row]}", (int(row),))
        for row in np.flatnonzero(images.splits == "left_out")
        if images.hashes[row] not in kept
    ]
    what = "images of a group (--group-from) that is also in a later split"
    return with_examples(_leaks(examples, "group-leak", what))


def alike_findings(images: Gathered, on_event: OnEvent) -> list[Finding]:
    """Finds near-duplicates that are not identical; pairs within test are not reported."""
    if not len(images.opened):
        return []
    if images.opened.images.shape[1] < (side := near_duplicates.SMALLEST):
        return [
            Finding(
                "not-compared",
                "note",
                f"images of less than {side} pixels are not searched for near-duplicates",
                "none needed: identical ones are found at any size",
                [Example(f"less than {side} pixels", name="all")],
            )
        ]
    distinct = np.unique(images.hashes, return_index=True)[1]
    distinct.sort()
    pairs = near_duplicates.near_pairs(
        images.describe()[distinct], lambda rows: images.look(distinct[rows]), on_event
    )
    if pairs.crowd is not None:
        return [_crowd(pairs.crowd, _examples(pairs, distinct))]
    leaks, labels, copies = [], [], []
    for example in _examples(pairs, distinct):
        rows = list(example.rows)
        where, shown = set(images.splits[rows]), set(images.labels[rows])
        if len(where - {"left_out"}) == 2:
            leaks.append(example)
        elif where != {"test"}:
            copies.append(example)
        if len(shown - {-1}) == 2:
            labels.append(example)
    what, extra = "near-duplicates in two splits", "remove copies that show nothing new"
    advice = "keep them in one split: put both into one group (--group-from), or remove one"
    return with_examples(
        Finding("near-leak", "warning", what, advice, leaks),
        _two_labels("near-two-labels", "warning", "near-duplicates under two labels", labels),
        Finding("near-duplicate", "warning", "near-duplicates in one split", extra, copies),
    )


def _same(hashes: np.ndarray) -> list[list[int]]:
    """Returns the rows of each content that occurs more than once."""
    order = np.argsort(hashes, kind="stable")
    ends = np.flatnonzero(hashes[order][1:] != hashes[order][:-1]) + 1
    return [rows.tolist() for rows in np.split(order, ends) if len(rows) > 1]


def _examples(pairs: Pairs, distinct: np.ndarray) -> list[Example]:
    """Returns the pairs, the most similar first."""
    return [
        Example(
            f"agreement {pairs.agreement[n]:.2f}{_difference(pairs, n)}",
            (int(distinct[pairs.rows[n, 0]]), int(distinct[pairs.rows[n, 1]])),
        )
        for n in np.argsort(-pairs.agreement, kind="stable")
    ]


def _difference(pairs: Pairs, pair: int) -> str:
    """Says how the second image of a pair differs from the first: mirrored, turned, or a part of it."""
    placement = pairs.placement
    turned, scale = round(float(placement.turned[pair])), float(placement.scale[pair])
    differences = ["mirrored"] if placement.mirrored[pair] else []
    if turned >= 2:
        differences.append(f"turned by {turned} degrees")
    if scale < 0.97:
        differences.append(f"one shows {scale:.0%} of the other's side")
    return "".join(f", {difference}" for difference in differences)


def _leaks(
    examples: Sequence[Example],
    kind: str = "leak",
    what: str = "images that are also in a later split",
) -> Finding:
    advice = "SeeWhy does not train on them, but other programs will: remove them from this split"
    return Finding(kind, "error", what, advice, examples)


def _two_labels(kind: str, severity: Severity, what: str, examples: Sequence[Example]) -> Finding:
    return Finding(kind, severity, what, "keep the one whose label is right", examples)


def _crowd(crowd: float, examples: Sequence[Example]) -> Finding:
    return Finding(
        "crowd",
        "warning",
        f"each image looks like about {crowd:,.0f} others: frames of films, copies made by "
        "augmentation, or images of one kind, such as digits; pairs of a sample are listed",
        "if they are frames or copies, keep those of one origin in one split with --group-from",
        examples,
    )
