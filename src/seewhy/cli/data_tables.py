"""A data set's figures and findings as plain text."""

from collections.abc import Sequence
from textwrap import indent
from typing import TYPE_CHECKING

import numpy as np

from seewhy.text import visible

if TYPE_CHECKING:
    from seewhy.data.inspect import Example, Statistics
    from seewhy.workflows.check import Report

MOST = 50  # classes in a table; --json has all
SHOWN = 3  # examples of a finding


def splits_table(figures: "Statistics") -> str:
    """Pictures of each class in each split."""
    width = max(12, *(len(visible(name)) for name in figures.classes[:MOST]))
    names = list(figures.counts)
    rows = np.stack(list(figures.counts.values()), axis=1)

    def line(name: str, counts: Sequence[int]) -> str:
        return f"{visible(name):<{width}}" + "".join(f"{count:>10,}" for count in counts)

    lines = [" " * width + "".join(f"{name:>10}" for name in names)]
    lines += [line(name, row) for name, row in zip(figures.classes[:MOST], rows, strict=False)]
    if len(figures.classes) > MOST:
        lines.append(f"... and {len(figures.classes) - MOST:,} more classes (see --json)")
    return "\n".join([*lines, line("all", rows.sum(0))])


def statistics_table(figures: "Statistics") -> str:
    """Counts, sizes and colours."""
    sizes, times = np.unique(figures.sizes, axis=0, return_counts=True)
    facts = {}
    if len(sizes) == 1:
        facts["size"] = f"{_size(sizes[0])}, all"
    elif len(sizes):
        area = sizes.prod(1)
        facts["size"] = (
            f"{_size(sizes[area.argmin()])} to {_size(sizes[area.argmax()])}, {len(sizes):,} in all; "
            f"most often {_size(sizes[times.argmax()])}"
        )
    facts |= {
        "stored at": f"{figures.stored}x{figures.stored}",
        "mean": f"{_rgb(figures.mean)}   red, green, blue of train, 0 to 1",
        "deviation": _rgb(figures.std),
    }
    if figures.bad:
        facts["unusable"] = f"{figures.bad:,} files"
    lines = [f"{name:<12}{text}" for name, text in facts.items()]
    return splits_table(figures) + "\n\n" + "\n".join(lines)


def findings_text(report: "Report") -> str:
    """Each finding with some examples and what to do; a line where nothing was found."""
    if not report.findings:
        return f"{len(report.pictures):,} pictures: nothing wrong found"
    parts = []
    for finding in report.findings:
        some = [_example(example, report) for example in finding.examples[:SHOWN]]
        if finding.count > SHOWN:
            some.append(f"and {finding.count - SHOWN:,} more")
        lines = [*some, f"-> {finding.advice}"]
        head = f"{finding.severity}  {finding.kind}  {finding.count:,}: {finding.what}"
        parts.append(head + "\n" + indent("\n".join(lines), "    "))
    return "\n\n".join(parts)


def _example(example: "Example", report: "Report") -> str:
    pictures = report.pictures
    named = " = ".join(
        f"{visible(str(pictures.ids[row]))} ({pictures.splits[row]}"
        + (f", {visible(pictures.label(row))})" if pictures.label(row) else ")")
        for row in example.rows
    )
    return ": ".join(
        text for text in (named or visible(example.name), visible(example.detail)) if text
    )


def _size(size: np.ndarray) -> str:
    return f"{size[0]}x{size[1]}"


def _rgb(values: np.ndarray) -> str:
    return " ".join(f"{value:.3f}" for value in values)
