"""Metrics and analyses as lines and tables."""

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from math import isnan
from typing import TYPE_CHECKING, Any

from seewhy.cli.screen import Part, Rows, facts
from seewhy.text import counted

if TYPE_CHECKING:
    from seewhy.analysis.causes import Causes
    from seewhy.analysis.overview import Analysis
    from seewhy.analysis.slices import Slices
    from seewhy.evaluation.stats.intervals import Interval

WEAK = 5  # slices on the terminal; the report has more
MOST = 50  # classes in a table; --json has all


def metrics_table(metrics: dict[str, Any], about: str) -> Iterator[Part]:
    """The metrics of a split, as in `metrics.json`."""
    intervals = {"accuracy": metrics["accuracy"], **metrics["intervals"]}

    def row(title: str, name: str, write: Callable[[float | None], str]) -> tuple[str, ...]:
        interval = intervals[name]
        return title, write(interval["value"]), _span(interval, write)

    yield f"{metrics['split']}: {counted(metrics['n'], 'image')}, {about}"
    yield ""
    rows = [
        ("", "", "95% interval"),
        row("accuracy", "accuracy", _percent),
        row("balanced accuracy", "balanced_accuracy", _percent),
        *([row("top-5 accuracy", "top5", _percent)] if metrics["top5"] is not None else []),
        row("macro F1", "macro_f1", _percent),
        row("Matthews corr.", "mcc", _number),
        row("log loss", "nll", _number),
        row("calibration error (ECE, 15 bins)", "ece", _percent),
        row("AUROC (one vs. rest)", "auroc", _number),
    ]
    yield Rows(rows, "lrl")
    yield ""
    classes = metrics["per_class"]
    rows = [("class", "precision", "recall", "F1", "95% interval of F1", "images")]
    for name, one in islice(classes.items(), MOST):
        span = _span(one["intervals"]["f1"], _percent)
        rows.append((name, *_rates(one), span, f"{one['support']:,}"))
    if len(classes) > MOST:
        rows.append((more_classes(len(classes)), *[""] * 5))
    rows += [(f"{name} mean", *_rates(metrics[name]), "", "") for name in ("macro", "weighted")]
    yield Rows(rows, "lrrrlr")
    if absent := [name for name, one in classes.items() if not one["support"]]:
        names = ", ".join(absent[:10]) + (" ..." if len(absent) > 10 else "")
        yield f"no images of {names}: the means are of the other classes"


def more_classes(count: int) -> str:
    """Stands for the classes that a table leaves out."""
    return f"... and {counted(count - MOST, 'more class')} (see --json)"


def analysis_table(analysis: "Analysis") -> Iterator[Part]:
    """The mistakes and the confidence of a split."""
    mistakes, confidence = analysis.mistakes, analysis.confidence
    rate = with_interval(mistakes.rate)
    yield f"misclassified (95% interval): {mistakes.count:,} of {mistakes.n:,}, {rate}"
    yield ""
    rows = [("class", "misclassified", "of", "error rate (95%)")]
    for name, row in islice(mistakes.missed.items(), MOST):
        rows.append((name, f"{row.count:,}", f"{row.support:,}", with_interval(row.rate)))
    if len(mistakes.missed) > MOST:
        rows.append((more_classes(len(mistakes.missed)), "", "", ""))
    yield Rows(rows, "lrrl")
    yield ""
    yield "confidence (95% interval)"
    sure = counted(confidence.sure_mistakes, "image")
    yield facts(
        [
            ("mean, correct", with_interval(confidence.right)),
            ("mean, wrong", with_interval(confidence.wrong)),
            ("least sure correct", _named(confidence.least_right, confidence.least_right_id)),
            ("most sure wrong", _named(confidence.most_wrong, confidence.most_wrong_id)),
            ("wrong above 90%", f"{sure}, {with_interval(confidence.sure_mistake_rate)} of all"),
            (
                "risk-coverage area",
                f"{confidence.risk_coverage.aurc:.4f}   (mean error rate over all coverages)",
            ),
        ]
    )
    if mistakes.pairs:
        yield ""
        pairs = [
            (pair.true, pair.predicted, f"{pair.count:,}", with_interval(pair.rate))
            for pair in mistakes.pairs[:5]
        ]
        yield Rows(
            [("most confused: true", "predicted", "images", "of the class (95%)"), *pairs], "llrl"
        )
    yield from _causes(analysis.causes)
    yield from _weak(analysis.slices)


def _causes(causes: "Causes | None") -> Iterator[Part]:
    """The likeliest causes of the most confident mistakes."""
    if causes is None or not causes.mistakes:
        return
    yield ""
    mistakes = counted(len(causes.mistakes), "most confident mistake")
    yield f"likeliest cause of the {mistakes}"
    yield facts(
        (name, "not checked" if count is None else str(count))
        for name, count in causes.named.items()
    )
    if "label" in causes.unknown:
        yield "labels are checked by `seewhy data labels`, then `evaluate --full --labels FOLDER`"


def _weak(slices: "Slices | None") -> Iterator[Part]:
    """The slices whose error rate is significantly higher than that of the rest."""
    if slices is None:
        return
    yield ""
    if not slices.tested:
        yield "weak slices: none tested, since no slice has enough images"
        return
    yield f"weak slices: {len(slices.weak) or 'none'} of {slices.tested:,} tested"
    for part in slices.weak[:WEAK]:
        wrong = f"{part.rate.value:.1%} wrong, the rest {part.rest.value:.1%}"
        yield f"  {part.name}: {wrong} ({counted(part.n, 'image')})"


def with_interval(interval: "Interval", style: str = ".1%") -> str:
    """A value with its interval, or with the reason why it has none."""
    value, low, high = (f"{x:{style}}" for x in (interval.value, interval.low, interval.high))
    if isnan(interval.value):
        return "-"
    if isnan(interval.low):
        return f"{value} ({interval.reason})"
    return f"{value} ({low} to {high})"


def stored_interval(interval: Mapping[str, Any]) -> str:
    """A rate with its interval, as stored."""
    return f"{_percent(interval['value'])} ({_span(interval, _percent)})"


def _span(interval: Mapping[str, Any], write: Callable[[float | None], str]) -> str:
    """The bounds of a stored interval, or why there are none."""
    if interval["low"] is None:
        return str(interval.get("reason", "-"))
    return f"{write(interval['low'])} to {write(interval['high'])}"


def _named(confidence: float, image: str) -> str:
    """The confidence in one image; a dash if there is none."""
    return "-" if isnan(confidence) else f"{confidence:.1%}   {image}"


def _rates(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(_percent(row[key]) for key in ("precision", "recall", "f1"))


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


def summary_table(summaries: Mapping[str, Any]) -> Rows:
    """Mean and std of each metric, with the confidence interval of the mean where it has one."""
    interval = any(hasattr(one, "low") for one in summaries.values())
    rows = [("", "mean", "std", *["95% interval of the mean"] * interval)]
    for name, one in summaries.items():
        span = [ends(one.low, one.high, name)] if interval else []
        rows.append((name.replace("_", " "), value(one.mean, name), value(one.sd, name), *span))
    return Rows(rows)
