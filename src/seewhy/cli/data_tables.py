"""A data set's statistics and findings as plain text."""

from collections.abc import Sequence
from itertools import islice
from textwrap import indent
from typing import TYPE_CHECKING

from seewhy.text import counted, visible

if TYPE_CHECKING:
    import numpy as np

    from seewhy.data.inspect import Example, Statistics
    from seewhy.workflows.check import Report

MOST = 50  # classes in a table; --json has all
SHOWN = 3  # examples of a finding


def splits_table(statistics: "Statistics") -> str:
    """The number of images of each class in each split."""
    width = max(12, *(len(visible(name)) for name in statistics.classes[:MOST]))
    names = list(statistics.counts)
    counts = list(statistics.counts.values())

    def line(name: str, counts: Sequence[int]) -> str:
        return f"{visible(name):<{width}}" + "".join(f"{count:>10,}" for count in counts)

    lines = [" " * width + "".join(f"{name:>10}" for name in names)]
    rows = zip(statistics.classes, *counts, strict=True)
    lines += [line(name, row) for name, *row in islice(rows, MOST)]
    if len(statistics.classes) > MOST:
        lines.append(
            f"... and {counted(len(statistics.classes) - MOST, 'more class')} (see --json)"
        )
    return "\n".join([*lines, line("all", [count.sum() for count in counts])])


def statistics_table(statistics: "Statistics") -> str:
    """Counts, sizes and colours."""
    import numpy as np  # here, so that help does not load it

    sizes, times = np.unique(statistics.sizes, axis=0, return_counts=True)
    facts = {}
    if len(sizes) == 1:
        facts["size"] = f"{_size(sizes[0])}, all"
    elif len(sizes):
        area = sizes.prod(1)
        facts["size"] = (
            f"{_size(sizes[area.argmin()])} to {_size(sizes[area.argmax()])}, {len(sizes):,} in all; "
            f"most common {_size(sizes[times.argmax()])}"
        )
    facts |= {
        "stored at": f"{statistics.stored}x{statistics.stored}",
        "mean": f"{_rgb(statistics.mean)}   red, green, blue of the training images, 0 to 1",
        "std": _rgb(statistics.std),
    }
    if statistics.bad:
        facts["unusable"] = counted(statistics.bad, "file")
    lines = [f"{name:<12}{text}" for name, text in facts.items()]
    return splits_table(statistics) + "\n\n" + "\n".join(lines)


def findings_text(report: "Report") -> str:
    """Each finding with some examples and advice."""
    if not report.findings:
        return f"{counted(len(report.gathered), 'image')}: no problems found"
    parts = []
    for finding in report.findings:
        examples = [_example(example, report) for example in finding.examples[:SHOWN]]
        if finding.count > SHOWN:
            examples.append(f"and {finding.count - SHOWN:,} more")
        lines = [*examples, f"-> {finding.advice}"]
        head = f"{finding.severity}  {finding.kind}  {finding.count:,}: {finding.what}"
        parts.append(head + "\n" + indent("\n".join(lines), "    "))
    return "\n\n".join(parts)


def _example(example: "Example", report: "Report") -> str:
    images = report.gathered
    named = " = ".join(
        f"{visible(str(images.ids[row]))} ({images.splits[row]}"
        + (f", {visible(images.label(row))})" if images.label(row) else ")")
        for row in example.rows
    )
    return ": ".join(
        text for text in (named or visible(example.name), visible(example.detail)) if text
    )


def _size(size: "np.ndarray") -> str:
    return f"{size[0]}x{size[1]}"


def _rgb(values: "np.ndarray") -> str:
    return " ".join(f"{value:.3f}" for value in values)
