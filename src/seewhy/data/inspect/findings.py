"""Findings: what is wrong with a data set, how severe it is, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from seewhy.data.bad_files import write_csv
from seewhy.data.inspect.gathered import Gathered

Severity = Literal["error", "warning", "note"]
SHOWN = 10  # examples in a JSON object; the CSV has all


class Example(NamedTuple):
    """One case of a finding: one image or two, by their rows in `Gathered`, or else a name."""

    detail: str
    rows: tuple[int, ...] = ()
    name: str = ""


@dataclass(frozen=True)
class Finding:
    """One kind of problem.

    An `error` makes training fail or metrics wrong, a `warning` may do so, a `note` is information.
    """

    kind: str
    severity: Severity
    what: str
    advice: str
    examples: Sequence[Example]

    @property
    def count(self) -> int:
        return len(self.examples)


def with_examples(*findings: Finding) -> list[Finding]:
    """Returns the findings that have examples."""
    return [finding for finding in findings if finding.examples]


def is_wrong(findings: Sequence[Finding]) -> bool:
    """Says whether any finding is more than a note."""
    return any(finding.severity != "note" for finding in findings)


def described(finding: Finding, images: Gathered) -> dict[str, Any]:
    """A finding with its first `SHOWN` examples, each with its path, split and label."""
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "count": finding.count,
        "what": finding.what,
        "advice": finding.advice,
        "examples": [_cells(example, images) for example in finding.examples[:SHOWN]],
    }


def write_findings(findings: Sequence[Finding], images: Gathered, path: Path) -> None:
    """Writes `findings.csv`, one row per example; both images of a pair are in one row."""
    header = ("path", "split", "label", "path_2", "split_2", "label_2", "detail")
    rows = []
    for finding in findings:
        for cells in (_cells(example, images) for example in finding.examples):
            rows.append([finding.kind, finding.severity, *(cells.get(n, "") for n in header)])
    write_csv(("kind", "severity", *header), rows, path)


def _cells(example: Example, images: Gathered) -> dict[str, str]:
    """Returns the cells of an example; `path` is its name if it is not about an image."""
    if not example.rows:
        return {"path": example.name, "detail": example.detail}
    cells = {}
    for suffix, row in zip(("", "_2"), example.rows, strict=False):
        cells[f"path{suffix}"] = str(images.ids[row])
        cells[f"split{suffix}"] = str(images.splits[row])
        cells[f"label{suffix}"] = images.label(row)
    return cells | {"detail": example.detail}
