"""Checks a data set for all known problems at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from seewhy.analysis.shortcuts import Telling, numbers, shortcut_findings, shortcuts
from seewhy.data.inspect.duplicates import alike_findings, group_findings, identical_findings
from seewhy.data.inspect.findings import Example, Finding, described, is_wrong
from seewhy.data.inspect.gathered import Gathered, gather
from seewhy.data.inspect.names import name_findings
from seewhy.data.inspect.quality import elongated_findings, measure_all, quality_findings
from seewhy.data.split import Splits, check_classes_trained, check_names
from seewhy.errors import UntrainableError
from seewhy.events import OnEvent, ignore

_ORDER = ("error", "warning", "note")


@dataclass(frozen=True, eq=False)
class Report:
    """The findings, the most severe first, and their evidence.

    `values` are numbers `(N,)` of the images outside test, and `shortcuts` those that reveal a class.
    """

    findings: tuple[Finding, ...]
    gathered: Gathered
    values: dict[str, np.ndarray]
    shortcuts: tuple[Telling, ...]

    @property
    def wrong(self) -> bool:
        """Whether the data has problems."""
        return is_wrong(self.findings)

    def json_form(self) -> dict[str, Any]:
        """The findings without their evidence."""
        return {
            "wrong": self.wrong,
            "n": len(self.gathered),
            "findings": [described(finding, self.gathered) for finding in self.findings],
        }


def find_faults(splits: Splits, on_event: OnEvent = ignore) -> Report:
    """Checks a data set, loaded with `trainable=False`, for all known problems.

    Test images are compared by their hashes only; their pixels and labels are not used.
    """
    images = gather(splits)
    measures = measure_all(images.opened)
    values = numbers(images.opened, measures)
    telling = shortcuts(images.opened, values)
    findings = [
        *_unusable(splits, images),
        *identical_findings(images),
        *group_findings(images),
        *name_findings(splits.classes, splits.merged),
        *quality_findings(images.opened, measures, splits.rule),
        *elongated_findings(images.opened, splits.rule),
        *shortcut_findings(telling, splits.classes),
        *alike_findings(images, on_event),
    ]
    findings.sort(key=lambda finding: _ORDER.index(finding.severity))
    return Report(tuple(findings), images, values, tuple(telling))


def _unusable(splits: Splits, images: Gathered) -> Iterator[Finding]:
    """Finds what makes training refuse the data: unreadable files and untrainable classes."""
    if splits.bad:
        flags = " ".join(splits.skip_flags)
        yield Finding(
            "unreadable",
            "error" if flags else "warning",
            "files that are not usable images",
            f"replace or remove them; {flags + ' trains' if flags else 'training goes on'} without them",
            [Example(f"{file.code}: {file.error}", name=file.path) for file in splits.bad],
        )
    try:
        check_names(splits.classes)
        check_classes_trained(images.opened, images.splits[: len(images.opened)])
    except UntrainableError as error:
        yield Finding(
            "untrainable",
            "error",
            "training refuses these data",
            error.remedy,
            [Example(str(error), name="all")],
        )
