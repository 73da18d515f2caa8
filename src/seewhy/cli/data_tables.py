"""A data set's statistics and findings as lines and tables."""

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from seewhy.cli.screen import Part, Rows, facts
from seewhy.cli.tables import MOST, more_classes
from seewhy.text import counted

if TYPE_CHECKING:
    import numpy as np

    from seewhy.data.inspect import Example, Statistics
    from seewhy.workflows.check import Report

SHOWN = 3  # examples of a finding


def splits_table(statistics: "Statistics") -> Rows:
    """The number of images of each class in each split."""
    counts = list(statistics.counts.values())
    rows = [("", *statistics.counts)]
    for name, *row in islice(zip(statistics.classes, *counts, strict=True), MOST):
        rows.append((name, *(f"{count:,}" for count in row)))
    if len(statistics.classes) > MOST:
        rows.append((more_classes(len(statistics.classes)), *[""] * len(counts)))
    return Rows([*rows, ("all", *(f"{count.sum():,}" for count in counts))])


def statistics_table(statistics: "Statistics") -> list[Part]:
    """Counts, sizes and colours."""
    import numpy as np  # here, so that help does not load it

    sizes, times = np.unique(statistics.sizes, axis=0, return_counts=True)
    facts_of = {}
    if len(sizes) == 1:
        facts_of["size"] = f"{_size(sizes[0])}, all"
    elif len(sizes):
        area = sizes.prod(1)
        facts_of["size"] = (
            f"{_size(sizes[area.argmin()])} to {_size(sizes[area.argmax()])}, {len(sizes):,} in all; "
            f"most common {_size(sizes[times.argmax()])}"
        )
    facts_of |= {
        "stored at": f"{statistics.stored}x{statistics.stored}",
        "mean": f"{_rgb(statistics.mean)}   red, green, blue of the training images, 0 to 1",
        "std": _rgb(statistics.std),
    }
    if statistics.bad:
        facts_of["unusable"] = counted(statistics.bad, "file")
    return [splits_table(statistics), "", facts(facts_of.items())]


def findings_text(report: "Report") -> Iterator[str]:
    """Each finding with some examples and advice."""
    if not report.findings:
        yield f"{counted(len(report.gathered), 'image')}: no problems found"
    for number, finding in enumerate(report.findings):
        if number:
            yield ""
        yield f"{finding.severity}  {finding.kind}  {finding.count:,}: {finding.what}"
        for example in finding.examples[:SHOWN]:
            yield f"    {_example(example, report)}"
        if finding.count > SHOWN:
            yield f"    and {finding.count - SHOWN:,} more"
        yield f"    -> {finding.advice}"
    if report.findings and not report.wrong:
        yield ""
        yield f"{counted(len(report.gathered), 'image')}: nothing that must be mended, only notes"


def _example(example: "Example", report: "Report") -> str:
    images = report.gathered
    named = " = ".join(
        f"{images.ids[row]} ({images.splits[row]}"
        + (f", {images.label(row)})" if images.label(row) else ")")
        for row in example.rows
    )
    return ": ".join(text for text in (named or example.name, example.detail) if text)


def _size(size: "np.ndarray") -> str:
    return f"{size[0]}x{size[1]}"


def _rgb(values: "np.ndarray") -> str:
    return " ".join(f"{value:.3f}" for value in values)
