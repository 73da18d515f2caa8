"""How often each 95% interval holds the truth, and how wide it is, by simulation; thresholds likewise.

    python benchmarks/intervals.py [--quick]

Data are drawn from models whose true metrics are known, n images at a time; for each kind of interval, n and
model it is counted how often the interval holds the truth and how wide it is in the mean, over the data
sets for which one is given. The intervals of rates are summed over all outcomes, without chance. Ten
minutes on one core; `--quick` draws a tenth, to the terminal only. Finished parts are kept in
build/intervals; the same command continues. Writes `benchmarks/results/intervals.json` and `.md`.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe

from seewhy.errors import UsageError
from seewhy.evaluation.counts import ClassCounts
from seewhy.evaluation.decision.threshold import threshold_for_precision
from seewhy.evaluation.metrics import (
    confidence_bins,
    log_loss,
    log_loss_interval,
    reliability,
)
from seewhy.evaluation.predictions import Predictions
from seewhy.evaluation.ranking import areas
from seewhy.evaluation.stats.bootstrap import area_intervals, ece_interval
from seewhy.evaluation.stats.intervals import FEWEST_OF_A_CLASS, exact_bounds, wilson
from seewhy.evaluation.stats.over_classes import bounds_over_classes, over_classes
from seewhy.evaluation.stats.significance import mcnemar, mcnemar_interval

RESULTS = Path(__file__).parent / "results"
KEPT = Path(__file__).parents[1] / "build" / "intervals"
SIZES = (10, 30, 100, 300, 1000)
RATES = (0.5, 0.9, 0.97, 0.99, 1.0)
Row = dict[str, Any]


def row(kind: str, model: str, n: int, low: Any, high: Any, truth: float, given: float = 1) -> Row:
    """The coverage and mean width of intervals (S,) of one kind; `given` is the share that has one."""
    held = (low <= truth + 1e-9) & (high >= truth - 1e-9)
    numbers = {"coverage": held.mean(), "width": np.mean(high - low), "given": given}
    return {"interval": kind, "model": model, "n": n} | {k: float(v) for k, v in numbers.items()}


def rates(draws: int, rng: np.random.Generator) -> Iterator[Row]:
    """Accuracy, recall, precision, and a class's F1 by the rate that it follows from; Wilson beside it."""
    from scipy.stats import binom

    for n in SIZES:
        counts = np.arange(n + 1)
        rules = {
            "rate (exact)": exact_bounds(counts, n),
            "rate (Wilson, not used)": np.array(
                [[i.low, i.high] for i in (wilson(c, n) for c in counts)]
            ).T,
        }
        for rate in RATES:
            weights = binom.pmf(counts, n, rate)
            for kind, (low, high) in rules.items():
                held = (low <= rate + 1e-12) & (high >= rate - 1e-12)
                yield {
                    "interval": kind, "model": f"rate {rate:.0%}", "n": n, "given": 1.0,
                    "coverage": float(weights @ held), "width": float(weights @ (high - low)),
                }  # fmt: skip


def confusions(k: int, balanced: bool) -> Iterator[tuple[str, np.ndarray]]:
    """True shares (K, K) of the cells of models of k classes."""
    share = np.full(k, 1.0) if balanced else np.linspace(1, 0.25, k)
    share /= share.sum()
    name = f"{k} classes, {'balanced' if balanced else '4 to 1'}"
    off = (1 - np.eye(k)) / (k - 1)
    for rate in RATES:
        yield f"{name}, recall {rate:.0%}", share[:, None] * (rate * np.eye(k) + (1 - rate) * off)
    recall = np.append(np.full(k - 1, 0.97), 0.5)[:, None]
    yield f"{name}, one class at 50%", share[:, None] * (recall * np.eye(k) + (1 - recall) * off)
    pairs = np.roll(np.eye(k), 1, axis=1)
    yield f"{name}, confused in pairs", share[:, None] * (0.9 * np.eye(k) + 0.1 * pairs)
    yield f"{name}, collapsed", share[:, None] * np.eye(k)[[0] * k]


def fitting(
    n: int, shares: np.ndarray, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Confusion matrices (draws, K, K) that have intervals, and their share of all that were drawn."""
    kept, drawn = [], 0
    while sum(map(len, kept)) < draws and drawn < 30 * draws:
        tables = rng.multinomial(n, shares.ravel(), draws).reshape(draws, *shares.shape)
        kept.append(tables[(tables.sum(2) >= FEWEST_OF_A_CLASS).all(1)])
        drawn += draws
    found = np.concatenate(kept)
    return found[:draws], len(found) / drawn if len(found) >= draws / 2 else 0.0


def means_over_classes(draws: int, rng: np.random.Generator) -> Iterator[Row]:
    for n in (30, 100, 300, 1000):
        for k in (2, 3, 10):
            for name, shares in (*confusions(k, True), *confusions(k, False)):
                tables, given = fitting(n, shares, draws, rng)
                if given == 0:
                    continue
                truths = over_classes(
                    ClassCounts(np.diagonal(shares), shares.sum(1), shares.sum(0))
                )
                for metric, (low, high) in bounds_over_classes(tables).items():
                    if metric != "weighted_recall":
                        yield row(metric, name, n, low, high, float(truths[metric]), given)


def scored(
    k: int, margin: float, sharpness: float, n: int, rng: np.random.Generator
) -> Predictions:
    """A model of k unequal classes whose confidence is right at sharpness 1, and too high above it."""
    share = np.linspace(1, 0.4, k)
    share /= share.sum()
    labels = rng.choice(k, n, p=share)
    evidence = rng.normal(size=(n, k))
    evidence[np.arange(n), labels] += margin
    logits = sharpness * (margin * evidence + np.log(share))
    return Predictions(
        logits.astype(np.float32), labels, tuple(map(str, range(k))), np.arange(n).astype(str)
    )


def calibration_error(p: Predictions) -> float:
    return reliability(p.confidence(), p.predicted == p.labels).ece


def models(sharpness: tuple[float, ...]) -> Iterator[tuple[int, float, float]]:
    for k in (2, 10):
        for margin in (0.5, 2.0, 5.0):
            for factor in sharpness:
                yield k, margin, factor


def named(k: int, whole: Predictions, sharpness: float) -> str:
    right = (whole.predicted == whole.labels).mean()
    return f"{k} classes, accuracy {right:.1%}, confidence x {sharpness:g}"


def scores(draws: int, rng: np.random.Generator) -> Iterator[Row]:
    """Log loss and calibration error, of models from poor to perfect, calibrated or not."""
    for k, margin, sharpness in models((0.5, 1.0, 3.0)):
        whole = scored(k, margin, sharpness, 200_000, rng)
        truths = {"nll": log_loss(whole), "ece": calibration_error(whole)}
        for n in (100, 300, 1000):
            drawn: dict[str, list[Any]] = {metric: [] for metric in truths}
            for _ in range(draws):
                p = scored(k, margin, sharpness, n, rng)
                sure, correct = p.confidence(), p.predicted == p.labels
                drawn["nll"].append(log_loss_interval(p))
                drawn["ece"].append(
                    ece_interval(calibration_error(p), correct, sure, confidence_bins(sure))
                )
            for metric, intervals in drawn.items():
                ends = np.array([(i.low, i.high) for i in intervals])
                yield row(metric, named(k, whole, sharpness), n, *ends.T, truths[metric])


def ranking_areas(draws: int, rng: np.random.Generator) -> Iterator[Row]:
    """The mean ROC area and average precision over the classes."""
    for k, margin, sharpness in models((1.0,)):
        whole = scored(k, margin, sharpness, 50_000, rng)
        assert whole.labels is not None
        truths = [float(area.mean()) for area in areas(whole.log_probabilities(), whole.labels)]
        for n in (100, 300, 1000):
            found = []
            for _ in range(draws if n < 1000 else draws // 3):
                p = scored(k, margin, sharpness, n, rng)
                assert p.labels is not None
                found.append(
                    area_intervals(p.log_probabilities(), p.labels[:, None] == np.arange(k))
                )
            both = {
                "auroc": [one.mean_auroc for one in found],
                "average_precision": [one.mean_average_precision for one in found],
            }
            for (metric, own), truth in zip(both.items(), truths, strict=True):
                ends = np.array([(i.low, i.high) for i in own if i.reason is None])
                if len(ends) >= draws / 20:
                    name, given = named(k, whole, sharpness), len(ends) / len(own)
                    yield row(metric, name, n, *ends.T, truth, given)


def pairs(draws: int, rng: np.random.Generator) -> Iterator[Row]:
    """The difference in accuracy of two models; `against` counts intervals that contradict the p-value."""
    interval, p_value = lru_cache(None)(mcnemar_interval), lru_cache(None)(mcnemar)
    for n in SIZES:
        for share in (0.02, 0.1, 0.5):
            for part in (0.5, 0.8, 1.0):
                cells = [share * part, share * (1 - part), 1 - share]
                first, second, _ = rng.multinomial(n, cells, draws).T.tolist()
                both = list(zip(first, second, strict=True))
                found = [interval(a, b, n) for a, b in both]
                low, high = np.array([(i.low, i.high) for i in found]).T
                real = np.array([p_value(a, b) < 0.05 for a, b in both])
                name = (
                    f"{share:.0%} answered differently, {part:.0%} of them in favour of the first"
                )
                truth = share * (2 * part - 1)
                against = float((real == ((low <= 0) & (high >= 0))).mean())
                yield row("accuracy difference", name, n, low, high, truth) | {"against": against}


CORRECT = {  # the chance to be right by the place in the order of confidence, from 0 to 1
    "flat, just too low": lambda u, p: np.full_like(u, p - 1e-4),
    "just attainable at the top": lambda u, p: np.where(u > 0.8, p + 0.002, p - 0.05),
    "rises slowly": lambda u, p: p - 0.05 + 0.06 * u,
    "rises": lambda u, p: 1 - 2 * (1 - p) * (1 - u),
    "mostly above": lambda u, p: 1 - 4 * (1 - p) * (1 - u) ** 3,
}


def thresholds(draws: int, rng: np.random.Generator) -> Iterator[Row]:
    """How often the promised precision is broken by the threshold, and the coverage that it keeps."""
    places = (np.arange(20_000) + 0.5) / 20_000
    for promised in (0.9, 0.95):
        for name, correct in CORRECT.items():
            right = correct(places, promised)
            above = np.cumsum(right[::-1])[::-1] / np.arange(20_000, 0, -1)
            reached = np.flatnonzero(above >= promised)
            best = 1 - places[reached[0]] if len(reached) else 0.0
            for n in (100, 300, 1000):
                broken, kept = 0, []
                for _ in range(draws):
                    sure = rng.random(n)
                    answers = rng.random(n) < correct(sure, promised)
                    try:
                        found = threshold_for_precision(sure, answers, promised).confidence
                    except UsageError:
                        kept.append(0.0)
                        continue
                    kept.append(1 - found)
                    broken += bool(above[min(int(20_000 * found), 19_999)] < promised)
                yield {
                    "promised": promised, "model": name, "n": n, "broken": broken / draws,
                    "given": float(np.mean(np.array(kept) > 0)), "coverage": float(np.mean(kept)),
                    "best_coverage": float(best),
                }  # fmt: skip


def table(found: list[Row], threshold: list[Row]) -> str:
    """By interval and n: the worst and the mean coverage over the models, and the mean width."""
    lines = [
        "# Coverage and width of the 95% intervals",
        "",
        "Made by `python benchmarks/intervals.py`; each model's row is in `intervals.json`. Widths are in",
        "the metric's own unit (0.1 is ten points of a rate).",
        "",
        "| interval | n | models | lowest coverage | mean coverage | mean width | where lowest |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(one["interval"] for one in found):
        for n in SIZES:
            rows = [one for one in found if one["interval"] == kind and one["n"] == n]
            if rows:
                worst = min(rows, key=lambda one: one["coverage"])
                mean = {key: np.mean([one[key] for one in rows]) for key in ("coverage", "width")}
                lines.append(
                    f"| {kind} | {n} | {len(rows)} | {worst['coverage']:.1%} | {mean['coverage']:.1%} | "
                    f"{mean['width']:.3f} | {worst['model']} |"
                )
    against = max(one["against"] for one in found if "against" in one)
    lines += [
        "",
        f"Accuracy differences that contradict their p-value: {against:.1%}.",
        "",
        "# Thresholds for a precision",
        "",
        "| promised | confidence | n | broken | given | coverage kept | best possible |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one['promised']:.0%} | {one['model']} | {one['n']} | {one['broken']:.1%} | {one['given']:.0%} | "
        f"{one['coverage']:.0%} | {one['best_coverage']:.0%} |"
        for one in threshold
    ]
    return "\n".join(lines) + "\n"


PARTS: dict[str, tuple[Callable[[int, np.random.Generator], Iterator[Row]], int]] = {
    "rates": (rates, 1),
    "thresholds": (thresholds, 1000),
    "pairs": (pairs, 3000),
    "means": (means_over_classes, 1000),
    "scores": (scores, 200),
    "areas": (ranking_areas, 60),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    found: dict[str, list[Row]] = {}
    for name, (simulate, draws) in PARTS.items():
        kept = KEPT / f"{name}.json"
        if kept.is_file() and not quick:
            found[name] = json.loads(kept.read_text())
            continue
        found[name] = list(
            simulate(max(1, draws // 10) if quick else draws, np.random.default_rng(0))
        )
        if not quick:
            KEPT.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(found[name]))
    threshold = found.pop("thresholds")
    intervals = [one for rows in found.values() for one in rows]
    text = table(intervals, threshold)
    print(text)
    if not quick:
        record = {
            "draws": {name: draws for name, (_, draws) in PARTS.items()},
            "intervals": intervals,
            "thresholds": threshold,
            "machine": describe(),
        }
        (RESULTS / "intervals.json").write_text(json.dumps(record, indent=1) + "\n")
        (RESULTS / "intervals.md").write_text(text)


if __name__ == "__main__":
    main()
