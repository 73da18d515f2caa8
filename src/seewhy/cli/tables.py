"""Figures as plain text."""

from typing import Any


def metrics_table(figures: dict[str, Any], about: str) -> str:
    """The figures of a split, as in `metrics.json`, for a terminal."""
    accuracy = figures["accuracy"]
    lines = [
        f"{figures['split']}: {figures['n']:,} pictures, {about}",
        "",
        f"  accuracy           {_percent(accuracy['value'])}   "
        f"95% interval {_percent(accuracy['low'])} to {_percent(accuracy['high'])}",
        f"  balanced accuracy  {_percent(figures['balanced_accuracy'])}",
    ]
    if figures["top5"] is not None:
        lines.append(f"  top-5 accuracy     {_percent(figures['top5'])}")
    lines += [
        f"  log loss           {_number(figures['nll'])}",
        f"  calibration error  {_percent(figures['ece'])}   (ECE, 15 bins)",
        f"  ROC AUC            {_number(figures['auroc'])}   (one against the rest)",
        "",
    ]
    width = max(12, *(len(name) for name in figures["classes"][:50]))
    lines.append(f"  {'class':<{width}}  precision  recall     F1  pictures")
    for name, row in list(figures["per_class"].items())[:50]:
        lines.append(_row(name, row, width, f"{row['support']:>9,}"))
    if len(figures["classes"]) > 50:
        lines.append(f"  ... and {len(figures['classes']) - 50} more classes (see --json)")
    for name in ("macro", "weighted"):
        lines.append(_row(f"{name} mean", figures[name], width, ""))
    return "\n".join(lines)


def _row(name: str, row: dict[str, Any], width: int, tail: str) -> str:
    cells = "  ".join(f"{_percent(row[key]):>8}" for key in ("precision", "recall", "f1"))
    return f"  {name:<{width}}  {cells} {tail}".rstrip()


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
