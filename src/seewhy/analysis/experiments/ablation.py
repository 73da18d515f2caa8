"""An ablation's metrics: the records, and their table as Markdown and CSV."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

from seewhy.evaluation.stats.significance import SIGNIFICANT
from seewhy.evaluation.stats.summary import Difference, Summary, verdict
from seewhy.run import Run
from seewhy.text import counted, csv_text, in_points, p_value, visible

# The columns that a brief table leaves out.
_LEFT_OUT = {"running train", "running gap", "parameters", "best epoch", "epochs"}


@dataclass(frozen=True)
class Measured:
    """The metrics of one run. Accuracies lie in [0, 1].

    `score` is the metric that the base watches. `train_accuracy` is of the finished model on the
    training images, without augmentation; `gap` is what it exceeds the validation accuracy by.
    `running_accuracy` and `running_gap` are those that tutorials draw: the mean of the epoch that was
    kept, while it trained, under augmentation and dropout. `target_epochs` and `target_seconds` are
    NaN where the target was not reached, or none was set.
    """

    score: float
    accuracy: float
    train_accuracy: float
    gap: float
    running_accuracy: float
    running_gap: float
    parameters: int
    best_epoch: int
    epochs: int
    seconds: float
    target_epochs: float
    target_seconds: float


@dataclass(frozen=True)
class ResultRow:
    """A row of an ablation: its runs by seed, their metrics, and the difference to its base.

    `difference` is of the scores, paired by seed, to the row `after`; `p` is its p-value corrected by
    Holm's method over all rows. Both are None for the base. `diverged` are seeds whose loss diverged.
    """

    name: str
    changes: str
    after: str | None
    runs: Mapping[int, Run]
    diverged: tuple[int, ...]
    figures: Mapping[str, Summary]
    difference: Difference | None = None
    p: float | None = None

    @property
    def verdict(self) -> str:
        """The conclusion: higher, lower, or no difference shown."""
        if self.difference is None or self.p is None:
            return ""
        return verdict(self.difference, self.p)


@dataclass(frozen=True)
class Ablation:
    """Rows compared; `metric` is the score that the base watches, and the larger `mode` the better."""

    path: Path
    about: str
    metric: str
    mode: str
    seeds: tuple[int, ...]
    target: float | None
    rows: tuple[ResultRow, ...]

    @property
    def heading(self) -> str:
        """What the table shows, over which seeds."""
        count, first, last = len(self.seeds), self.seeds[0], self.seeds[-1]
        seeds = f"{counted(count, 'seed')} ({first} to {last})" if count > 1 else "one seed"
        return f"Validation {self.metric} over {seeds}, mean ± sd."

    @property
    def brief(self) -> list[tuple[str, ...]]:
        """The main columns as rows of cells, the titles first."""
        columns = [[title, *cells] for title, cells in _columns(self) if title not in _LEFT_OUT]
        return list(zip(*columns, strict=True))

    @property
    def notes(self) -> list[str]:
        """How the numbers were computed, and which runs diverged."""
        return _notes(self)

    def markdown(self) -> str:
        """The table to read: a title, a row a line, and notes on how the numbers were computed."""
        about = f"{self.about}\n\n" if self.about else ""
        columns = [_column(title, cells) for title, cells in _columns(self)]
        lines = [" | ".join(cells) for cells in zip(*columns, strict=True)]
        table = "\n".join(f"| {line} |" for line in lines)
        notes = "\n".join(f"- {note}" for note in self.notes)
        return f"{about}{self.heading}\n\n{table}\n\n{notes}\n"


def _columns(result: Ablation) -> list[tuple[str, list[str]]]:
    """The columns that say something, each with its title and a cell a row."""
    rows, base = result.rows, result.rows[0].name
    percent = result.metric != "loss"

    def mean(name: str, form: str) -> list[str]:
        return [_mean(row.figures.get(name), form) for row in rows]

    columns = [
        ("row", [visible(row.name) for row in rows]),
        (result.metric, [_score(row, percent) for row in rows]),
        ("against", [row.after or "" for row in rows]),
        ("difference (95% interval)", [_points(row.difference, result.metric) for row in rows]),
        ("p (Holm)", [p_value(row.p) for row in rows]),
        ("train", mean("train_accuracy", "{:.1%}")),
        ("gap", mean("gap", "points")),
        ("running train", mean("running_accuracy", "{:.1%}")),
        ("running gap", mean("running_gap", "points")),
        ("parameters", mean("parameters", "{:,.0f}")),
        ("best epoch", mean("best_epoch", "{:.1f}")),
        ("epochs", mean("epochs", "{:.1f}")),
        ("seconds", mean("seconds", "{:,.1f}")),
    ]
    if result.target is not None:
        columns.append((f"epochs to {result.target:.4g}", mean("target_epochs", "{:.1f}")))
        columns.append((f"seconds to {result.target:.4g}", mean("target_seconds", "{:,.1f}")))
    if all(row.after in (None, base) for row in rows):
        columns = [column for column in columns if column[0] != "against"]
    return columns


def _column(title: str, cells: list[str]) -> list[str]:
    """A column of one width: text to the left, numbers to the right."""
    cells = [cell.replace("|", "\\|") for cell in cells]
    width = max(map(len, (title, *cells)))
    if title in ("row", "against"):
        return [title.ljust(width), "-" * width, *(cell.ljust(width) for cell in cells)]
    return [title.rjust(width), "-" * (width - 1) + ":", *(cell.rjust(width) for cell in cells)]


def _notes(result: Ablation) -> list[str]:
    tests = sum(row.difference is not None for row in result.rows)
    base = result.rows[0].name
    lines = [
        f"difference: to {visible(base)}, or to the row named, under the same seeds; p: paired t-test, "
        f"corrected for {counted(tests, 'row')} (Holm). Below {SIGNIFICANT} chance alone is an unlikely "
        "cause.",
        "train: accuracy of the finished model on its training images; gap: what that exceeds validation "
        "by. Running: the same by the mean of the kept epoch as it trained, under augmentation and dropout.",
    ]
    if len(result.seeds) < 3:
        lines.append(
            "With fewer than three seeds hardly any difference can be distinguished from chance."
        )
    if result.target is not None:
        lines.append("epochs and seconds to the target: (n) where only n seeds reached it.")
    for row in result.rows:
        if row.diverged:
            lost = ", ".join(map(str, row.diverged))
            lines.append(f"{visible(row.name)}: the loss diverged with seed {lost}.")
    return lines


def _score(row: ResultRow, percent: bool) -> str:
    score = row.figures.get("score")
    if score is None:
        return "diverged"
    if isnan(score.sd):
        return f"{score.mean:.2%}" if percent else f"{score.mean:.4f}"
    return f"{score.mean:.2%} ± {score.sd:.2%}" if percent else f"{score.mean:.4f} ± {score.sd:.4f}"


def _points(change: Difference | None, metric: str) -> str:
    return "" if change is None else in_points(change.mean, change.low, change.high, metric)


def _mean(summary: Summary | None, form: str) -> str:
    """The mean of the values that there are, with their number where some are missing."""
    values = [] if summary is None else [value for value in summary.values if not isnan(value)]
    if summary is None or not values:
        return "-"
    mean = sum(values) / len(values)
    text = f"{100 * mean:+.1f}" if form == "points" else form.format(mean)
    return text if len(values) == len(summary.values) else f"{text} ({len(values)})"


def as_csv(result: Ablation) -> str:
    """A line a row: mean and sd of every metric, and the difference with its interval."""
    names = list(Measured.__dataclass_fields__)
    figures = [f"{name}_{part}" for name in names for part in ("mean", "sd")]
    ends = ("difference", "low", "high", "p_holm", "verdict")
    table: list[list[object]] = [["row", "changes", "after", "seeds", *figures, *ends]]
    for row in result.rows:
        cells = [
            getattr(row.figures[name], part) if name in row.figures else nan
            for name in names
            for part in ("mean", "sd")
        ]
        change = row.difference
        cells += [change.mean, change.low, change.high] if change else [nan] * 3
        cells += [nan if row.p is None else row.p]
        known = ["" if isnan(cell) else cell for cell in cells]
        table.append([row.name, row.changes, row.after or "", len(row.runs), *known, row.verdict])
    return csv_text(table, ".6g")
