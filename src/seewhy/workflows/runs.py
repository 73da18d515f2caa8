"""Lists the runs below a folder, and draws them side by side."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from seewhy.analysis.runs import Order, RunSummary, sorted_runs, summarise_run
from seewhy.errors import DataError, UsageError
from seewhy.files import named_path, require_writable, write_atomic
from seewhy.run import Run, runs_below

if TYPE_CHECKING:
    from seewhy.page.runs import ListedRun

DEPTH = 4  # folders below the one that is named


def list_runs(
    folder: str | Path = ".", *, sort: Order = "date", out: str | Path | None = None
) -> list[RunSummary]:
    """The runs in a folder and below it, best, newest or shortest first, or by name.

    "accuracy" is that on validation, which every finished run has; "test_accuracy" that on test. A damaged
    run is listed, with what is wrong. `out` is an HTML page to write, which draws the runs side by side and
    links their reports. Raises `UsageError` if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name one that has runs in it, such as runs")
    if out is not None:
        out = named_path(out)
        require_writable(out)
    runs = sorted_runs(map(summarise_run, runs_below(folder, DEPTH)), sort)
    if out is not None:
        _write_page(runs, folder, out)
    return runs


def _write_page(runs: Sequence[RunSummary], folder: Path, page: Path) -> None:
    from seewhy.page.runs import render_runs  # here, since a list needs no matplotlib

    listed = [_listed(run, folder, page) for run in runs]
    write_atomic(page, render_runs(listed, folder.resolve().name).encode())


def _listed(summary: RunSummary, folder: Path, page: Path) -> "ListedRun":
    from seewhy.page.runs import ListedRun

    report = summary.path / "report.html"
    link = ""
    if report.is_file():
        way = os.path.relpath(report.resolve(), page.parent.resolve())
        link = quote(Path(way).as_posix(), errors="surrogateescape")
    name = summary.path.relative_to(folder).as_posix()
    return ListedRun(
        summary,
        name=summary.path.resolve().name if name == "." else name,
        report=link,
        history=_history(summary),
    )


def _history(summary: RunSummary) -> list[dict[str, float]]:
    """The epochs of a run; none of one that is damaged."""
    if summary.state == "damaged":
        return []
    try:
        return [row for row in Run(summary.path).history if "val_accuracy" in row]
    except DataError:  # damaged meanwhile
        return []
