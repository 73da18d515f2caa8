"""All that may be wrong with a data set, looked for in one go."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from seewhy.analysis.shortcuts import Telling, numbers, shortcut_findings, shortcuts
from seewhy.data.inspect.duplicates import alike_findings, group_findings, identical_findings
from seewhy.data.inspect.findings import Example, Finding, described, is_wrong
from seewhy.data.inspect.gathered import Gathered, gather
from seewhy.data.inspect.names import name_findings
from seewhy.data.inspect.quality import measure_all, quality_findings
from seewhy.data.split import Splits, check_classes_trained, check_names
from seewhy.errors import UntrainableError
from seewhy.events import OnEvent, ignore

_ORDER = ("error", "warning", "note")


@dataclass(frozen=True, eq=False)
class Report:
    """What was found, the gravest first, and what shows it.

    `values` are numbers `(N,)` of the pictures outside test, and `shortcuts` those that give a class away.
    """

    findings: tuple[Finding, ...]
    pictures: Gathered
    values: dict[str, np.ndarray]
    shortcuts: tuple[Telling, ...]

    @property
    def wrong(self) -> bool:
        """Whether something is wrong with the data."""
        return is_wrong(self.findings)

    def json_form(self) -> dict[str, Any]:
        """What was found, without the numbers that show it."""
        return {
            "wrong": self.wrong,
            "n": len(self.pictures),
            "findings": [described(finding, self.pictures) for finding in self.findings],
        }


def find_faults(splits: Splits, on_event: OnEvent = ignore) -> Report:
    """Looks for all that may be wrong with a data set, loaded with `trainable=False`.

    Pictures of test are compared by their hashes, and neither looked at nor judged by their labels.
    """
    pictures = gather(splits)
    measures = measure_all(pictures.opened)
    values = numbers(pictures.opened, measures)
    telling = shortcuts(pictures.opened, values)
    found = [
        *_unusable(splits, pictures),
        *identical_findings(pictures),
        *group_findings(pictures),
        *name_findings(splits.classes, splits.merged),
        *quality_findings(pictures.opened, measures, splits.rule.store),
        *shortcut_findings(telling, splits.classes),
        *alike_findings(pictures, on_event),
    ]
    found.sort(key=lambda finding: _ORDER.index(finding.severity))
    return Report(tuple(found), pictures, values, tuple(telling))


def _unusable(splits: Splits, pictures: Gathered) -> Iterator[Finding]:
    """Finds what makes training refuse the data: files, and classes in the words of the refusal."""
    if splits.bad:
        yield Finding(
            "unreadable",
            "error",
            "files that are no usable picture",
            "mend or remove them; --on-bad skip trains without them",
            [Example(f"{file.code}: {file.error}", name=file.path) for file in splits.bad],
        )
    try:
        check_names(splits.classes)
        check_classes_trained(pictures.opened, pictures.splits[: len(pictures.opened)])
    except UntrainableError as error:
        yield Finding(
            "untrainable",
            "error",
            "training refuses these data",
            error.remedy,
            [Example(str(error), name="all")],
        )
