"""What a report tells of robustness, from analysis/robustness.json: where a model loses most, and a cure."""

from collections.abc import Mapping
from typing import Any

from seewhy.plots.robustness import written

HARD = 0.1  # of the accuracy lost: worth a training of its own
SHADES = 9  # of a cell, as in the confusion matrix
FULL = 0.5  # of the accuracy lost, that is shaded deepest

# The augmentation nearest to each harm that any recipe takes: a field of `augment`, a common value.
_MIXED, _ENLARGED = ("mixup", 0.2), ("zoom", 0.25)
CURES = {
    "gaussian_noise": _MIXED,
    "shot_noise": _MIXED,
    "impulse_noise": _MIXED,
    "defocus_blur": _ENLARGED,
    "glass_blur": _ENLARGED,
    "motion_blur": _ENLARGED,
    "zoom_blur": _ENLARGED,
    "snow": ("brightness", 0.3),
    "frost": ("brightness", 0.3),
    "fog": ("contrast", 0.3),
    "brightness": ("brightness", 0.3),
    "contrast": ("contrast", 0.3),
    "elastic_transform": ("shear", 10),
    "pixelate": _ENLARGED,
    "jpeg_compression": _MIXED,
    "shift": ("shift", 0.125),
    "rotation": ("rotate", 20),
    "scale": _ENLARGED,
}
# What pictures may well undergo, and how it is said: by curve, strengths and words.
MILD = {
    "shift": ((0.125,), "moved by an eighth of the side"),
    "rotation": ((-20.0, 20.0), "turned by 20 degrees"),
    "scale": ((0.8, 1.25), "a quarter larger or smaller"),
}


def corruption_rows(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The corruptions, the most harmful first: name, mean, and a cell a strength with its shade."""
    clean = found["clean"]["value"]
    rows = []
    for name in found["corruptions"]:
        values = [interval["value"] for interval in found["corruptions"][name]]
        shades = [round(SHADES * min(max(clean - value, 0) / FULL, 1)) for value in values]
        cells = [{"value": v, "shade": s} for v, s in zip(values, shades, strict=True)]
        rows.append({"name": written(name), "cells": cells, "mean": _mean(found, name)})
    return sorted(rows, key=lambda row: float(row["mean"]))


def headline(found: Mapping[str, Any]) -> str:
    """The corruption that costs most, in a line."""
    worst = found["worst"]
    return (
        f"{written(worst).capitalize()} costs most: {_mean(found, worst):.0%} right in place of "
        f"{found['clean']['value']:.0%}"
    )


def held(found: Mapping[str, Any]) -> str:
    """What a change that nobody sees leaves of the accuracy, in a sentence."""
    curve = found["attacks"]["pgd"]
    radius, left = next(
        (r, i["value"])
        for r, i in zip(curve["strengths"], curve["accuracy"], strict=True)
        if r >= 1
    )
    return (
        f"When each value may be changed by {radius:g} in 255, which nobody sees, an attack that knows "
        f"the model leaves {left:.1%} right."
    )


def hardest(found: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    """What costs much and what may help: a finding, a field of `augment` and a value, at most two.

    One of the corruptions and one of the moves, each the most costly where that is `HARD` or more.
    """
    clean, worst = found["clean"]["value"], found["worst"]
    left = _mean(found, worst)
    told = []
    if clean - left >= HARD:
        said = f"It loses most to {written(worst)}: {left:.1%} right, {clean:.1%} as they are."
        told.append((said, *CURES[worst]))
    moved = {name: _mildly(found, name) for name in MILD}
    most = min(moved, key=lambda name: moved[name])
    if clean - moved[most] >= HARD:
        words = MILD[most][1]
        said = f"Of pictures {words} it gets {moved[most]:.1%} right, {clean:.1%} as they are."
        told.append((said, *CURES[most]))
    return told


def _mean(found: Mapping[str, Any], name: str) -> float:
    """The accuracy under a corruption, mean over its strengths."""
    row = found["corruptions"][name]
    return float(sum(interval["value"] for interval in row) / len(row))


def _mildly(found: Mapping[str, Any], name: str) -> float:
    """The least accuracy at the mild strengths of a curve."""
    curve = found["transformations"][name]
    points = zip(curve["strengths"], curve["accuracy"], strict=True)
    return min(float(i["value"]) for strength, i in points if strength in MILD[name][0])
