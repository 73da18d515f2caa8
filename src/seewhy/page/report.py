"""The report of a run: one HTML page that loads nothing and shows every name as text."""

import shlex
from collections.abc import Mapping
from math import ceil
from typing import Any

from markupsafe import Markup

from seewhy.analysis.training_curves import kept_row
from seewhy.evaluation.stats.significance import SIGNIFICANT
from seewhy.page import charts, robustness, story
from seewhy.page.images import MOST_CLASSES, ShownImages, packed, thumbnail
from seewhy.page.settings import flat, train_command
from seewhy.page.stored import Stored
from seewhy.page.template import embedded, page
from seewhy.plots.style import duration
from seewhy.text import counted, visible

MOST_SLICES = 12  # rows of the table of weak slices
SHADES = 9  # levels of colour in the confusion matrix
# Metrics over all classes: name on the page, meaning.
METRICS = {
    "accuracy": ("Accuracy", "share of correct predictions"),
    "balanced_accuracy": ("Balanced accuracy", "mean recall over the classes"),
    "top5": ("Top-5 accuracy", "the true class is among the five most probable"),
    "macro_f1": ("Macro F1", "harmonic mean of precision and recall, mean over the classes"),
    "mcc": ("Matthews correlation", "correlation of prediction and truth: 0 is chance, 1 perfect"),
    "nll": ("Log loss", "negative log-likelihood in nats: lower is better"),
    "ece": ("Calibration error", "mean gap between confidence and accuracy: lower is better"),
    "auroc": ("AUROC", "how well probabilities rank the classes: 0.5 is chance, 1 perfect"),
}
PLAIN = {"mcc", "nll", "auroc"}  # not shown as percentages


def render(stored: Stored, data: str, images: ShownImages | None, *, figures: str = "") -> str:
    """The page as HTML, made from stored results alone.

    `data` is the path of the dataset, for the commands on the page; `figures` the folder of the figures as
    files, relative to the page, or empty. Without `images` the page has no images.
    """
    return page(
        "report.html.jinja",
        ["report.css"],
        "report.js",
        figures_at=figures,
        images=None if images is None else _shown(stored, images),
        charts=charts,
        robustness=robustness,
        duration=duration,
        visible=visible,
        run=stored,
        title=f"{stored.config['recipe']['name']} on {stored.config['data'].rstrip('/').split('/')[-1]}",
        verdict=story.verdict(stored),
        headlines=story.headlines(stored),
        advice=story.advice(stored, data),
        causes=story.cause_rows(stored),
        slices=story.weak_slices(stored)[:MOST_SLICES],
        kept=kept_row(stored.history, stored.keep),
        key_figures=_key_figures(stored),
        figure_rows=_metric_rows(stored),
        significant=SIGNIFICANT,
        class_rows=_class_rows(stored.val),
        matrix=_matrix(stored.val) if len(stored.classes) <= MOST_CLASSES else None,
        pairs=_pairs(stored),
        commands=_commands(stored, data),
        recipe={k: v for k, v in flat(stored.config["recipe"]).items() if v is not None},
    )


def _shown(stored: Stored, images: ShownImages) -> Markup:
    """The images for the script, as JSON that cannot contain markup."""
    place = {int(row): number for number, row in enumerate(images.rows)}
    mistakes = stored.analysis.get("mistakes", {}).get("worst", [])
    return embedded(
        {
            "classes": [visible(name) for name in stored.classes],
            "images": packed(images),
            "mistakes": [place[one["row"]] for one in mistakes if one["row"] in place],
            "causes": {place[row]: cause for row, cause in _causes(stored).items() if row in place},
            "near": {row: thumbnail(image) for row, image in images.near.items()},
        }
    )


def _causes(stored: Stored) -> dict[int, list[Any]]:
    """For each explained mistake, by row: cause, reasons, nearest images as [row, label, near-duplicate]."""
    return {
        one["row"]: [
            one["cause"],
            [visible(reason) for reason in one["reasons"]],
            [[near["row"], visible(near["label"]), near["same"]] for near in one["nearest"]],
        ]
        for one in stored.analysis.get("causes", {"mistakes": []})["mistakes"]
    }


def _key_figures(stored: Stored) -> list[dict[str, Any]]:
    """The main metrics, at the top of the page."""
    note = counted(stored.val["n"], "image")
    rows = [{"name": "validation accuracy", **stored.val["accuracy"], "note": note}]
    test = stored.metrics.get("test")
    if test:
        note = f"{counted(test['n'], 'image')}, evaluation {test['reading']}"
        rows.append({"name": "test accuracy", **test["accuracy"], "note": note})
    worst = _class_rows(stored.val)["rows"][0]
    note = "the weakest class"
    return [*rows, {"name": f"recall of {worst['name']}", **worst["interval"], "note": note}]


def _recall(row: Mapping[str, Any]) -> dict[str, Any]:
    """The recall of a class with its confidence interval, which early versions did not store."""
    bare = {"value": row["recall"], "low": None, "high": None}
    interval: dict[str, Any] = row.get("intervals", {}).get("recall", bare)
    return interval


def _metric_rows(stored: Stored) -> list[dict[str, Any]]:
    """Each metric over all classes, for validation and, if evaluated, for test."""
    splits = [stored.metrics[split] for split in ("val", "test") if split in stored.metrics]
    rows = []
    for metric, (name, about) in METRICS.items():
        cells = [_written(metric, metrics) for metrics in splits]
        if any(value for value, _ in cells):
            rows.append({"name": name, "about": about, "cells": cells})
    return rows


def _written(name: str, metrics: Mapping[str, Any]) -> tuple[str, str]:
    """A metric and its 95% confidence interval as text; empty if not known."""

    def write(number: float | None) -> str:
        if number is None:
            return ""
        return f"{number:.3f}" if name in PLAIN else f"{number:.1%}"

    if name == "accuracy":
        interval = metrics["accuracy"]
    else:
        alone = metrics["macro"]["f1"] if name == "macro_f1" else metrics.get(name)
        bare = {"value": alone, "low": None, "high": None}
        interval = metrics.get("intervals", {}).get(name, bare)
    low, high = write(interval["low"]), write(interval["high"])
    span = f"{low} to {high}" if low and high else interval.get("reason", "")
    return write(interval["value"]), span


def _class_rows(val: Mapping[str, Any]) -> dict[str, Any]:
    """The classes, lowest recall first, and the start of their common axis."""
    rows = [
        {"name": name, **row, "interval": _recall(row)}
        for name, row in val["per_class"].items()
        if row["recall"] is not None
    ]
    rows.sort(key=lambda row: row["recall"])
    lowest = min(row["interval"]["low"] or row["recall"] for row in rows)
    return {"rows": rows, "floor": min(0.9, int(lowest * 10) / 10)}


def _matrix(val: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The confusion matrix by rows; each cell has its count, share of the class and shade."""
    table, names = val["confusion"], val["classes"]
    shares = [[n / (sum(row) or 1) for n in row] for row in table]
    k = len(names)
    most = max((shares[t][p] for t in range(k) for p in range(k) if t != p), default=0) or 1
    rows = []
    for true, name in enumerate(names):
        cells = []
        for predicted, n in enumerate(table[true]):
            share, right = shares[true][predicted], true == predicted
            shade = SHADES * (share if right else (share / most) ** 0.5)
            level = round(shade) if right else ceil(round(shade, 6))
            cells.append({"count": n, "share": share, "right": right, "shade": level})
        rows.append({"name": name, "cells": cells})
    return rows


def _pairs(stored: Stored) -> list[dict[str, Any]]:
    """The most frequent confusions, with the indices of their classes."""
    places = {name: place for place, name in enumerate(stored.classes)}
    pairs = stored.analysis.get("mistakes", {}).get("pairs", [])
    return [{**p, "cell": (places[p["true"]], places[p["predicted"]])} for p in pairs]


def _commands(stored: Stored, data: str) -> list[str]:
    """The commands that reproduce the run, its metrics and this page; the first is empty if not known."""
    run = str(stored.path)
    lines = [
        ["seewhy", "evaluate", run, "--data", data, "--full"],
        ["seewhy", "report", run, "--data", data],
    ]
    return [train_command(stored.config, data), *map(shlex.join, lines)]
