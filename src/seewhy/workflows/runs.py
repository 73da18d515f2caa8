"""Lists the runs below a folder, and draws them side by side."""

from pathlib import Path

from seewhy.analysis.runs import Order, RunSummary, sorted_runs, summarise_run
from seewhy.errors import UsageError
from seewhy.run import runs_below

DEPTH = 4  # folders below the one that is named


def list_runs(folder: str | Path = ".", *, sort: Order = "date") -> list[RunSummary]:
    """The runs in a folder and below it, best, newest or shortest first, or by name.

    "accuracy" is that on validation, which every finished run has; "test_accuracy" that on test. A damaged
    run is listed, with what is wrong. Raises `UsageError` if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder: name one that has runs in it, such as runs")
    return sorted_runs(map(summarise_run, runs_below(folder, DEPTH)), sort)
