"""Figures as plain text."""

from collections.abc import Callable, Iterator
from math import isnan
from typing import TYPE_CHECKING, Any

from seewhy.text import visible

if TYPE_CHECKING:
    from seewhy.analysis.causes import Causes
    from seewhy.analysis.overview import Analysis
    from seewhy.analysis.slices import Slices
    from seewhy.evaluation.stats.intervals import Interval

WEAK = 5  # slices on the terminal; the report has more


def metrics_table(figures: dict[str, Any], about: str) -> str:
    """The figures of a split, as in `metrics.json`, for a terminal."""
    intervals = {"accuracy": figures["accuracy"], **figures["intervals"]}

    def line(title: str, name: str, write: Callable[[float | None], str], note: str = "") -> str:
        found = intervals[name]
        span = f"{write(found['low'])} to {write(found['high'])}"
        return f"  {title:<18} {write(found['value']):>7}   {span}{note}"

    lines = [
        f"{figures['split']}: {figures['n']:,} pictures, {about}",
        "",
        f"  {'':<18} {'':>7}   95% interval",
        line("accuracy", "accuracy", _percent),
        line("balanced accuracy", "balanced_accuracy", _percent),
        *([line("top-5 accuracy", "top5", _percent)] if figures["top5"] is not None else []),
        line("macro F1", "macro_f1", _percent),
        line("Matthews corr.", "mcc", _number),
        line("log loss", "nll", _number),
        line("calibration error", "ece", _percent, "   (ECE, 15 bins)"),
        line("ROC AUC", "auroc", _number, "   (one against the rest)"),
        "",
    ]
    width = max(12, *(len(name) for name in figures["classes"][:50]))
    lines.append(f"  {'class':<{width}}  precision   recall       F1   95% interval     pictures")
    for name, row in list(figures["per_class"].items())[:50]:
        f1 = row["intervals"]["f1"]
        span = f"{_percent(f1['low'])} to {_percent(f1['high'])}"
        lines.append(_row(name, row, width, f"{span:<16}{row['support']:>9,}"))
    if len(figures["classes"]) > 50:
        lines.append(f"  ... and {len(figures['classes']) - 50} more classes (see --json)")
    for name in ("macro", "weighted"):
        lines.append(_row(f"{name} mean", figures[name], width, ""))
    return "\n".join(lines)


def analysis_table(analysis: "Analysis") -> str:
    """The mistakes and the confidence of a split, for a terminal."""
    found, sure = analysis.mistakes, analysis.confidence
    width = max(12, *(len(name) for name in found.missed))
    lines = [
        f"misclassified: {found.count:,} of {found.n:,}, {with_interval(found.rate)}",
        *(
            f"  {name:<{width}}  {with_interval(row.rate):<26} ({row.count:,}/{row.support:,})"
            for name, row in found.missed.items()
        ),
        "",
        "confidence",
        f"  average, right     {with_interval(sure.right)}",
        f"  average, wrong     {with_interval(sure.wrong)}",
        f"  least sure right   {_finite(sure.least_right)}   {visible(sure.least_right_id)}",
        f"  most sure wrong    {_finite(sure.most_wrong)}   {visible(sure.most_wrong_id)}",
        f"  wrong above 90%    {sure.sure_mistakes:,} pictures, "
        f"{with_interval(sure.sure_mistake_rate)} of all",
        f"  risk-coverage area {sure.risk_coverage.aurc:.4f}   (mean error when only the surest are "
        "answered)",
        "",
        "most confused",
    ]
    for pair in found.pairs[:5]:
        names = f"{pair.true} -> {pair.predicted}"
        lines.append(f"  {names:<26}  {pair.count:>5,}   {with_interval(pair.rate)} of {pair.true}")
    return "\n".join([*lines, *_causes(analysis.causes), *_weak(analysis.slices)])


def _causes(causes: "Causes | None") -> Iterator[str]:
    """The likeliest causes of the surest mistakes."""
    if causes is None or not causes.mistakes:
        return
    yield f"\nlikeliest cause of the {len(causes.mistakes)} surest mistakes"
    for name, count in causes.named.items():
        yield f"  {name:<32}  {'not known' if count is None else count}"


def _weak(slices: "Slices | None") -> Iterator[str]:
    """The parts of the pictures that are worse than the rest beyond doubt."""
    if slices is None:
        return
    yield f"\nweak slices: {len(slices.weak) or 'none'} of {slices.tested:,} tested"
    for part in slices.weak[:WEAK]:
        wrong = f"{part.rate.value:.1%} wrong, the rest {part.rest.value:.1%}"
        yield f"  {visible(part.name)}: {wrong} ({part.n:,} pictures)"


def with_interval(interval: "Interval") -> str:
    if isnan(interval.value):
        return "-"
    return f"{interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def _finite(value: float) -> str:
    return "-" if isnan(value) else f"{value:.1%}"


def _row(name: str, row: dict[str, Any], width: int, tail: str) -> str:
    cells = "  ".join(f"{_percent(row[key]):>7}" for key in ("precision", "recall", "f1"))
    return f"  {name:<{width}}    {cells}   {tail}".rstrip()


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def value(figure: float, metric: str) -> str:
    """A figure as its metric is read: a rate in percent, a loss as a number."""
    if isnan(figure):
        return "-"
    return f"{figure:.4f}" if metric == "loss" else f"{figure:.2%}"
