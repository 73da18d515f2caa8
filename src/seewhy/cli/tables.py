"""Metrics and analyses as plain text."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isnan
from typing import TYPE_CHECKING, Any

from seewhy.text import counted, visible

if TYPE_CHECKING:
    from seewhy.analysis.causes import Causes
    from seewhy.analysis.overview import Analysis
    from seewhy.analysis.slices import Slices
    from seewhy.evaluation.stats.intervals import Interval

WEAK = 5  # slices on the terminal; the report has more


def metrics_table(metrics: dict[str, Any], about: str) -> str:
    """The metrics of a split, as in `metrics.json`, for a terminal."""
    intervals = {"accuracy": metrics["accuracy"], **metrics["intervals"]}

    def line(title: str, name: str, write: Callable[[float | None], str], note: str = "") -> str:
        interval = intervals[name]
        return f"  {title:<18} {write(interval['value']):>7}   {_span(interval, write)}{note}"

    lines = [
        f"{metrics['split']}: {counted(metrics['n'], 'image')}, {about}",
        "",
        f"  {'':<18} {'':>7}   95% interval",
        line("accuracy", "accuracy", _percent),
        line("balanced accuracy", "balanced_accuracy", _percent),
        *([line("top-5 accuracy", "top5", _percent)] if metrics["top5"] is not None else []),
        line("macro F1", "macro_f1", _percent),
        line("Matthews corr.", "mcc", _number),
        line("log loss", "nll", _number),
        line("calibration error", "ece", _percent, "   (ECE, 15 bins)"),
        line("ROC AUC", "auroc", _number, "   (one vs. rest)"),
        "",
    ]
    width = max(12, *(len(name) for name in metrics["classes"][:50]))
    lines.append(f"  {'class':<{width}}  precision   recall       F1   95% interval of F1   images")
    for name, row in list(metrics["per_class"].items())[:50]:
        span = _span(row["intervals"]["f1"], _percent)
        lines.append(_row(name, row, width, f"{span:<18}{row['support']:>9,}"))
    if len(metrics["classes"]) > 50:
        lines.append(
            f"  ... and {counted(len(metrics['classes']) - 50, 'more class')} (see --json)"
        )
    for name in ("macro", "weighted"):
        lines.append(_row(f"{name} mean", metrics[name], width, ""))
    if absent := [name for name, row in metrics["per_class"].items() if not row["support"]]:
        shown = ", ".join(map(visible, absent[:10])) + (" ..." if len(absent) > 10 else "")
        lines.append(f"  no images of {shown}: the means are of the other classes")
    return "\n".join(lines)


def analysis_table(analysis: "Analysis") -> str:
    """The mistakes and the confidence of a split, for a terminal."""
    mistakes, confidence = analysis.mistakes, analysis.confidence
    width = max(12, *(len(name) for name in mistakes.missed))
    lines = [
        f"misclassified: {mistakes.count:,} of {mistakes.n:,}, {with_interval(mistakes.rate)}",
        *(
            f"  {name:<{width}}  {with_interval(row.rate):<26} ({row.count:,}/{row.support:,})"
            for name, row in mistakes.missed.items()
        ),
        "",
        "confidence",
        f"  mean, correct      {with_interval(confidence.right)}",
        f"  mean, wrong        {with_interval(confidence.wrong)}",
        _named("least sure correct", confidence.least_right, confidence.least_right_id),
        _named("most sure wrong", confidence.most_wrong, confidence.most_wrong_id),
        f"  wrong above 90%    {counted(confidence.sure_mistakes, 'image')}, "
        f"{with_interval(confidence.sure_mistake_rate)} of all",
        f"  risk-coverage area {confidence.risk_coverage.aurc:.4f}   (mean error rate over all coverages)",
        *(["", "most confused"] if mistakes.pairs else []),
    ]
    for pair in mistakes.pairs[:5]:
        names = f"{pair.true} -> {pair.predicted}"
        lines.append(f"  {names:<26}  {pair.count:>5,}   {with_interval(pair.rate)} of {pair.true}")
    return "\n".join([*lines, *_causes(analysis.causes), *_weak(analysis.slices)])


def _causes(causes: "Causes | None") -> Iterator[str]:
    """The likeliest causes of the most confident mistakes."""
    if causes is None or not causes.mistakes:
        return
    yield f"\nlikeliest cause of the {len(causes.mistakes)} most confident mistakes"
    for name, count in causes.named.items():
        yield f"  {name:<32}  {'unknown' if count is None else count}"


def _weak(slices: "Slices | None") -> Iterator[str]:
    """The slices whose error rate is significantly higher than that of the rest."""
    if slices is None:
        return
    yield f"\nweak slices: {len(slices.weak) or 'none'} of {slices.tested:,} tested"
    for part in slices.weak[:WEAK]:
        wrong = f"{part.rate.value:.1%} wrong, the rest {part.rest.value:.1%}"
        yield f"  {visible(part.name)}: {wrong} ({counted(part.n, 'image')})"


def with_interval(interval: "Interval", style: str = ".1%") -> str:
    """A value with its interval, or with the reason why it has none."""
    value, low, high = (f"{x:{style}}" for x in (interval.value, interval.low, interval.high))
    if isnan(interval.value):
        return "-"
    if isnan(interval.low):
        return f"{value} ({interval.reason})"
    return f"{value} ({low} to {high})"


def _span(interval: Mapping[str, Any], write: Callable[[float | None], str]) -> str:
    """The bounds of a stored interval, or why there are none."""
    if interval["low"] is None:
        return str(interval.get("reason", "-"))
    return f"{write(interval['low'])} to {write(interval['high'])}"


def _named(title: str, confidence: float, image: str) -> str:
    """A line on one image; a dash if there is none."""
    return f"  {title:<18} " + (
        "-" if isnan(confidence) else f"{confidence:.1%}   {visible(image)}"
    )


def _row(name: str, row: dict[str, Any], width: int, tail: str) -> str:
    cells = "  ".join(f"{_percent(row[key]):>7}" for key in ("precision", "recall", "f1"))
    return f"  {name:<{width}}    {cells}   {tail}".rstrip()


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def value(number: float, metric: str) -> str:
    """A metric as it is usually written: a rate in percent, a loss as a number."""
    if isnan(number):
        return "-"
    return f"{number:.4f}" if metric == "loss" else f"{number:.2%}"


def ends(low: float, high: float, metric: str) -> str:
    """The bounds of an interval, a dash without one."""
    return "-" if isnan(low) else f"{value(low, metric)} to {value(high, metric)}"


def summary_table(summaries: Mapping[str, Any]) -> str:
    """Mean and std of each metric, with the confidence interval of the mean where it has one."""
    interval = any(hasattr(one, "low") for one in summaries.values())
    header = ("", "mean", "std", "95% interval of the mean" if interval else "")
    rows = []
    for name, one in summaries.items():
        span = ends(one.low, one.high, name) if interval else ""
        rows.append((name.replace("_", " "), value(one.mean, name), value(one.sd, name), span))
    return table([header, *rows])


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns, the first aligned left and the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
