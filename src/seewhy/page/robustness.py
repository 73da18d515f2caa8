"""Robustness in a report: where accuracy drops most, and what may help."""

from dataclasses import dataclass

from seewhy.analysis.robustness_record import Robustness
from seewhy.plots.robustness import written

HARD = 0.1  # loss of accuracy from which training again is advised
SHADES = 9  # levels of colour, as in the confusion matrix
FULL = 0.5  # loss of accuracy that has the darkest colour

# What each augmentation that every recipe takes may help against: a field of `augment`, a common value.
_HELPS: dict[tuple[str, float], tuple[str, ...]] = {
    ("mixup", 0.2): ("gaussian_noise", "shot_noise", "impulse_noise", "jpeg_compression"),
    ("zoom", 0.25): ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "pixelate", "scale"),
    ("brightness", 0.3): ("snow", "frost", "brightness"),
    ("contrast", 0.3): ("fog", "contrast"),
    ("shear", 10): ("elastic_transform",),
    ("shift", 0.125): ("shift",),
    ("rotate", 20): ("rotation",),
}
CURES = {harm: cure for cure, harms in _HELPS.items() for harm in harms}
# Transformations that are common in practice, by curve: their strengths, and words for them.
MILD = {
    "shift": ((0.125,), "shifted by an eighth of the side"),
    "rotation": ((-20.0, 20.0), "rotated by 20 degrees"),
    "scale": ((0.8, 1.25), "scaled by a quarter up or down"),
}


@dataclass(frozen=True)
class CorruptionRow:
    """Accuracy under a corruption: at each severity, with its level of colour, and the mean."""

    name: str
    cells: tuple[tuple[float, int], ...]
    mean: float


def corruption_rows(results: Robustness) -> list[CorruptionRow]:
    """The corruptions, the most harmful first."""
    clean = results.clean.value
    rows = []
    for name, intervals in results.corruptions.items():
        values = [interval.value for interval in intervals]
        shades = [round(SHADES * min(max(clean - value, 0) / FULL, 1)) for value in values]
        cells = tuple(zip(values, shades, strict=True))
        rows.append(CorruptionRow(written(name), cells, _mean(results, name)))
    return sorted(rows, key=lambda row: row.mean)


def headline(results: Robustness) -> str:
    """The most harmful corruption, as a headline."""
    worst = results.worst
    return (
        f"Most harmful: {written(worst)} (accuracy {_mean(results, worst):.0%} instead of "
        f"{results.clean.value:.0%})"
    )


def held(results: Robustness) -> str:
    """The accuracy under an imperceptible adversarial change, as a sentence."""
    curve = results.attacks["pgd"]
    points = zip(curve.strengths, curve.accuracy, strict=True)
    radius, left = next((r, interval.value) for r, interval in points if r >= 1)
    return (
        f"A white-box attack (PGD) that changes each value by at most {radius:g} of 255, which is not "
        f"visible, reduces the accuracy to {left:.1%}."
    )


def doubts(results: Robustness) -> list[str]:
    """What makes these results doubtful, such as gradient masking: a finding and an advice each."""
    return [
        f"{one.finding[0].upper()}{one.finding[1:]}; {one.advice}." for one in results.diagnostics
    ]


def hardest(results: Robustness) -> list[tuple[str, str, float]]:
    """At most two weaknesses, each with an augmentation: a finding, a field of `augment`, a value.

    The most harmful corruption and the most harmful transformation, if each costs `HARD` or more.
    """
    clean, worst = results.clean.value, results.worst
    left = _mean(results, worst)
    weaknesses = []
    if clean - left >= HARD:
        finding = f"{written(worst)} is the most harmful corruption: accuracy {left:.1%}, clean {clean:.1%}."
        weaknesses.append((finding[0].upper() + finding[1:], *CURES[worst]))
    moved = {name: _mildly(results, name) for name in MILD}
    most = min(moved, key=lambda name: moved[name])
    if clean - moved[most] >= HARD:
        finding = f"Images {MILD[most][1]}: accuracy {moved[most]:.1%}, unchanged {clean:.1%}."
        weaknesses.append((finding, *CURES[most]))
    return weaknesses


def _mean(results: Robustness, name: str) -> float:
    """Accuracy under a corruption, mean over its severities."""
    row = results.corruptions[name]
    return sum(interval.value for interval in row) / len(row)


def _mildly(results: Robustness, name: str) -> float:
    """The lowest accuracy at the common strengths of a transformation."""
    curve = results.transformations[name]
    points = zip(curve.strengths, curve.accuracy, strict=True)
    return min(interval.value for strength, interval in points if strength in MILD[name][0])
