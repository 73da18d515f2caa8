"""The report: one page of a run, that asks nothing of a network and shows any name as text."""

import shlex
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from seewhy.analysis.training_curves import best_row
from seewhy.page import charts, robustness, story
from seewhy.page.pictures import MOST_CLASSES, Pictures, packed, thumbnail
from seewhy.page.settings import flat, settings
from seewhy.page.stored import Stored
from seewhy.page.template import embedded, page
from seewhy.plots.style import duration
from seewhy.text import visible

MOST_SLICES = 12  # rows of the table of weak slices
SHADES = 9  # of a cell in the confusion matrix
FIGURES = {
    "accuracy": "of the pictures, right",
    "balanced_accuracy": "mean over the classes of the share found",
    "top5": "right among the five likeliest",
    "macro_f1": "precision and recall in one, mean over the classes",
    "mcc": "correlation of answer and truth: 0 is chance, 1 perfect",
    "nll": "log loss in nats: less is better",
    "ece": "how far confidence is from the share right: less is better",
    "auroc": "how well probabilities rank the classes: 0.5 is chance, 1 perfect",
}
NAMES = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "top5": "Top-5 accuracy",
    "macro_f1": "Macro F1",
    "mcc": "Matthews correlation",
    "nll": "Log loss",
    "ece": "Calibration error",
    "auroc": "ROC area",
}
PLAIN = {"mcc", "nll", "auroc"}  # no percentages


def render(stored: Stored, data: str, pictures: Pictures | None, *, figures: str = "") -> str:
    """The page as HTML. It draws what is stored, and computes nothing.

    `data` is where the pictures lie, for the commands on the page; `figures` the folder of the same
    drawings as files, seen from the page, or empty. Without `pictures` none can be opened.
    """
    return page(
        "report.html.jinja",
        ["report.css"],
        "report.js",
        figures_at=figures,
        pictures=None if pictures is None else _shown(stored, pictures),
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
        best=best_row(stored.history),
        key_figures=_key_figures(stored),
        figure_rows=_figure_rows(stored),
        class_rows=_class_rows(stored.val),
        matrix=_matrix(stored.val) if len(stored.classes) <= MOST_CLASSES else None,
        pairs=_pairs(stored),
        commands=_commands(stored, data),
        recipe={k: v for k, v in flat(stored.config["recipe"]).items() if v is not None},
    )


def _shown(stored: Stored, pictures: Pictures) -> Markup:
    """The pictures for the script, as JSON in which no markup can begin."""
    place = {int(row): number for number, row in enumerate(pictures.rows)}
    mistakes = stored.analysis.get("mistakes", {}).get("worst", [])
    found = {
        "classes": [visible(name) for name in stored.classes],
        "pictures": packed(pictures),
        "mistakes": [place[found["row"]] for found in mistakes if found["row"] in place],
        "causes": {place[row]: cause for row, cause in _causes(stored).items() if row in place},
        "near": {row: thumbnail(image) for row, image in pictures.near.items()},
    }
    return embedded(found)


def _causes(stored: Stored) -> dict[int, list[Any]]:
    """Of each explained mistake, by row: its cause, the reasons, and the nearest as [row, label, same]."""
    return {
        one["row"]: [
            one["cause"],
            [visible(reason) for reason in one["reasons"]],
            [[near["row"], visible(near["label"]), near["same"]] for near in one["nearest"]],
        ]
        for one in stored.analysis.get("causes", {"mistakes": []})["mistakes"]
    }


def _key_figures(stored: Stored) -> list[dict[str, Any]]:
    """The few figures at the head of the page."""
    found = [
        {
            "name": "of validation right",
            **stored.val["accuracy"],
            "note": f"{stored.val['n']:,} pictures",
        }
    ]
    test = stored.metrics.get("test")
    if test:
        note = f"{test['n']:,} pictures, reading {test['reading']}"
        found.append({"name": "of test right", **test["accuracy"], "note": note})
    rows = {name: row for name, row in stored.val["per_class"].items() if row["recall"] is not None}
    worst = min(rows, key=lambda name: rows[name]["recall"])
    recall = _recall(rows[worst])
    found.append({"name": f"of {worst} found", **recall, "note": "the weakest class"})
    return found


def _recall(row: Mapping[str, Any]) -> dict[str, Any]:
    bare = {"value": row["recall"], "low": None, "high": None}
    found: dict[str, Any] = row.get("intervals", {}).get("recall", bare)
    return found


def _figure_rows(stored: Stored) -> list[dict[str, Any]]:
    """Each figure over all classes, of validation and of test where that was read."""
    rows = []
    for name, about in FIGURES.items():
        cells = [
            _written(name, stored.metrics[split])
            for split in ("val", "test")
            if split in stored.metrics
        ]
        if any(value for value, _ in cells):
            rows.append({"name": NAMES[name], "about": about, "cells": cells})
    return rows


def _written(name: str, metrics: Mapping[str, Any]) -> tuple[str, str]:
    """A figure and its 95% interval as text; empty where they are not known."""

    def write(number: float | None) -> str:
        if number is None:
            return ""
        return f"{number:.3f}" if name in PLAIN else f"{number:.1%}"

    if name == "accuracy":
        found = metrics["accuracy"]
    else:
        alone = metrics["macro"]["f1"] if name == "macro_f1" else metrics.get(name)
        found = metrics.get("intervals", {}).get(name, {"value": alone, "low": None, "high": None})
    low, high = write(found["low"]), write(found["high"])
    return write(found["value"]), f"{low} to {high}" if low and high else ""


def _class_rows(val: Mapping[str, Any]) -> dict[str, Any]:
    """The classes, the worst found first, and where their common axis begins."""
    rows = [
        {"name": name, **row, "interval": _recall(row)}
        for name, row in val["per_class"].items()
        if row["recall"] is not None
    ]
    rows.sort(key=lambda row: row["recall"])
    lowest = min(row["interval"]["low"] or row["recall"] for row in rows)
    return {"rows": rows, "floor": min(0.9, int(lowest * 10) / 10)}


def _matrix(val: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The confusion matrix by rows, each cell with its share of the class and its shade."""
    table, names = val["confusion"], val["classes"]
    shares = [[n / (sum(row) or 1) for n in row] for row in table]
    k = len(names)
    most = max((shares[t][p] for t in range(k) for p in range(k) if t != p), default=0) or 1
    found = []
    for true, name in enumerate(names):
        cells = []
        for said, n in enumerate(table[true]):
            share = shares[true][said]
            shade = share if true == said else (share / most) ** 0.5
            level = (
                round(SHADES * shade) if true == said else -(-int(1e6 * SHADES * shade) // 10**6)
            )
            cells.append({"count": n, "share": share, "right": true == said, "shade": level})
        found.append({"name": name, "cells": cells})
    return found


def _pairs(stored: Stored) -> list[dict[str, Any]]:
    """The most frequent confusions, with their classes' places."""
    places = {name: place for place, name in enumerate(stored.classes)}
    pairs = stored.analysis.get("mistakes", {}).get("pairs", [])
    return [{**p, "cell": (places[p["true"]], places[p["predicted"]])} for p in pairs]


def _commands(stored: Stored, data: str) -> list[str]:
    """What makes this run, its figures and this page again; the first is empty where it is not known."""
    known, run = settings(stored.config["recipe"]), str(stored.path)
    lines = [
        ["seewhy", "train", "--data", data, *known] if known else [],
        ["seewhy", "evaluate", run, "--data", data, "--full"],
        ["seewhy", "report", run, "--data", data],
    ]
    return [shlex.join(line) for line in lines]
