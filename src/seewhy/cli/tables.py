"""Figures as plain text."""

from collections.abc import Callable
from typing import Any


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


def _row(name: str, row: dict[str, Any], width: int, tail: str) -> str:
    cells = "  ".join(f"{_percent(row[key]):>7}" for key in ("precision", "recall", "f1"))
    return f"  {name:<{width}}    {cells}   {tail}".rstrip()


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
