"""The index page of runs: a table that links their reports, and figures that draw them side by side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import PurePath

from markupsafe import Markup

from seewhy.analysis.runs import RunSummary, sorted_runs
from seewhy.page.template import page
from seewhy.plots.runs import cost_of_runs, curves_of_runs
from seewhy.plots.style import duration
from seewhy.plots.themed import themed


@dataclass(frozen=True)
class ListedRun:
    """A run on the page: its name there, the address of its report, if it has one, and its epochs."""

    summary: RunSummary
    name: str
    report: str
    history: Sequence[Mapping[str, float]]


@dataclass(frozen=True)
class Group:
    """The runs on the same data, the best on validation first, and their figures."""

    data: str
    runs: Sequence[ListedRun]
    figures: Sequence[Markup]

    @property
    def title(self) -> str:
        return PurePath(self.data).name or self.data

    @property
    def best(self) -> ListedRun | None:
        first = self.runs[0]
        return first if first.summary.accuracy else None

    @property
    def lowest(self) -> float:
        """Where the axis of accuracies begins: a round number below all intervals."""
        lows = [_low(run.summary) for run in self.runs if run.summary.accuracy]
        return int(10 * min(lows, default=0)) / 10

    @property
    def longest(self) -> float:
        return max((run.summary.seconds or 0 for run in self.runs), default=0)


def render_runs(runs: Iterable[ListedRun], folder: str) -> str:
    """The page as HTML, which loads nothing; runs on other data have a table of their own."""
    listed = list(runs)
    return page(
        "runs.html.jinja",
        ["report.css", "runs.css"],
        "runs.js",
        folder=folder,
        duration=duration,
        total=len(listed),
        groups=_groups(listed),
        unreadable=[run for run in listed if run.summary.data is None],
    )


def _groups(runs: Sequence[ListedRun]) -> list[Group]:
    by_path = {run.summary.path: run for run in runs}
    groups: dict[str, list[ListedRun]] = {}
    for summary in sorted_runs((run.summary for run in runs), "accuracy"):
        if summary.data is not None:
            key = summary.fingerprint or summary.data
            groups.setdefault(key, []).append(by_path[summary.path])
    largest_first = sorted(groups.values(), key=len, reverse=True)
    return [
        Group(str(group[0].summary.data), group, _figures(group, str(number)))
        for number, group in enumerate(largest_first)
    ]


def _figures(runs: Sequence[ListedRun], name: str) -> list[Markup]:
    histories = {run.name: run.history for run in runs if run.history}
    ends = {
        run.name: (run.summary.seconds, run.summary.accuracy)
        for run in runs
        if run.summary.seconds is not None and run.summary.accuracy is not None
    }
    drawn = [curves_of_runs.svg(histories)] if histories else []
    if len(ends) > 1:
        drawn.append(cost_of_runs.svg(ends))
    return [Markup(themed(svg, f"runs-{name}-{place}")) for place, svg in enumerate(drawn)]


def _low(summary: RunSummary) -> float:
    assert summary.accuracy is not None
    bounds = (summary.accuracy.low, summary.accuracy.value)
    return min(0.0 if isnan(bound) else bound for bound in bounds)
