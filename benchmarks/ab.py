"""How often an A/B test of two served models is wrong, and how soon it is right: simulated.

    python benchmarks/ab.py [--experiments 1000] [--requests 20000]

Both models answer each request; `one right` are the shares that only the champion and only the challenger
gets right. Labels come for the disagreements alone, and the test is looked at after every one of them. Late:
labels come 200 requests later on average, five times later where the champion is wrong. Clients: they send
labels, five times as often where the answer that they were shown is wrong; asked: a person labels the others
200 requests later. Counted as they come: without what the test does about labels that are missing. A z-test
that is looked at every 100 requests shows what a test for a fixed number of images would do. Split: half of
the units see the challenger, each once. Writes `benchmarks/results/ab.json`.
"""

import argparse
import json
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe
from scipy.special import gammaln

from seewhy.analysis.ab import counted, evidence_for
from seewhy.evaluation.stats.intervals import exact
from seewhy.evaluation.stats.sequential import difference_half_width, log_evidence

RESULT = Path(__file__).parent / "results" / "ab.json"
ENOUGH = log(20)
BOTH_WRONG = 0.02  # the share of images that both get wrong, each with a label of its own
ACCURACY = 0.90  # of the champion in split traffic
DELAY = 200  # requests until a label comes, on average
SENT, SENT_WRONG = 0.02, 0.10  # the share of answers that clients label, right and wrong ones
WITHIN = 5000  # requests

_n = np.arange(5000)
TABLE, WHOLE = gammaln(_n + 0.5), gammaln(_n + 1) - _n * log(2) + log(np.pi)

Draws = np.random.Generator
Decision = tuple[
    float, float, int
]  # the request at which it was decided, labels until then, for whom


def never() -> Decision:
    return np.inf, np.inf, 0


def shadow(
    champion: float, challenger: float, delay: Callable[..., np.ndarray] | None = None
) -> Callable[..., Decision]:
    """An experiment in which disagreements get labels, at once or so many requests later."""

    def experiment(rng: Draws, requests: int) -> Decision:
        drawn = rng.random(requests)
        lost, won = drawn < champion, drawn > 1 - challenger
        disagreed = np.flatnonzero(lost | won | (np.abs(drawn - 0.5) < BOTH_WRONG / 2))
        outcomes = won[disagreed].astype(float) - lost[disagreed]
        if delay is None:
            wins, pairs = np.cumsum(outcomes > 0), np.cumsum(outcomes != 0)
            decided = log_evidence(wins, pairs) >= ENOUGH
            return first(decided, 2 * wins - pairs, disagreed.astype(float))
        known = disagreed + delay(rng, outcomes)
        order = np.argsort(known)
        order = order[known[order] < requests]
        return looked_at(outcomes, order, known)

    return experiment


def looked_at(outcomes: np.ndarray, order: np.ndarray, known: np.ndarray) -> Decision:
    """When labels that come in this order decide, looked at after each of them."""
    seen = np.full(len(outcomes), np.nan)
    for labels, place in enumerate(order, 1):
        seen[place] = outcomes[place]
        upto = order[:labels].max() + 1
        lost, won, missing = (one.astype(int) for one in counted(seen[:upto]))
        for side, wins, losses in ((1, won, lost), (-1, lost, won)):
            against = losses + missing
            if (TABLE[wins] + TABLE[against] - WHOLE[wins + against]).max() < ENOUGH:
                continue  # neither way round; the table is faster than the function below
            if evidence_for(wins, losses, missing).max() >= ENOUGH:
                return float(known[place]) + 1, labels, side
    return never()


def late(rng: Draws, outcomes: np.ndarray) -> np.ndarray:
    """Requests until the labels come: what the champion got wrong takes five times as long."""
    return rng.exponential(DELAY, len(outcomes)) * np.where(outcomes < 0, 1, 5)


def sent(rng: Draws, outcomes: np.ndarray) -> np.ndarray:
    """Clients send a label, at once, mostly of what the champion got wrong; the others never come."""
    some = rng.random(len(outcomes)) < np.where(outcomes < 0, SENT, SENT_WRONG)
    return np.where(some, 0.0, np.inf)


def sent_and_asked(rng: Draws, outcomes: np.ndarray) -> np.ndarray:
    """As `sent`, and a person labels what is missing later."""
    return np.minimum(sent(rng, outcomes), DELAY)


def naive(
    champion: float, challenger: float, delay: Callable[..., np.ndarray]
) -> Callable[..., Decision]:
    """As `shadow`, with labels counted as they come, as if those that are missing did not matter."""

    def experiment(rng: Draws, requests: int) -> Decision:
        drawn = rng.random(requests)
        lost, won = drawn < champion, drawn > 1 - challenger
        pairs = np.flatnonzero(lost | won)
        known = pairs + delay(rng, won[pairs].astype(float) - lost[pairs])
        order = np.argsort(known)
        order = order[known[order] < requests]
        wins, n = np.cumsum(won[pairs][order]), np.arange(1, len(order) + 1)
        return first(log_evidence(wins, n) >= ENOUGH, 2 * wins - n, known[order])

    return experiment


def z_test(champion: float, challenger: float) -> Callable[..., Decision]:
    """An experiment with all labels, and a test for a fixed number of images every 100 requests."""

    def experiment(rng: Draws, requests: int) -> Decision:
        drawn = rng.random(requests)
        lost, won = np.cumsum(drawn < champion), np.cumsum(drawn > 1 - challenger)
        at = np.arange(99, requests, 100)
        ahead = won[at] - lost[at]
        z = ahead / np.sqrt(np.maximum(won[at] + lost[at], 1))
        return first(np.abs(z) > 1.96, ahead, at.astype(float))

    return experiment


def split(ahead: float) -> Callable[..., Decision]:
    """An experiment in which half of the units see a challenger that is `ahead` in accuracy."""

    def experiment(rng: Draws, requests: int) -> Decision:
        shown = rng.random(requests) < 0.5
        right = rng.random(requests) < np.where(shown, ACCURACY + ahead, ACCURACY)
        rates, variance = [], 0.0
        for side in (~shown, shown):
            n, k = np.cumsum(side), np.cumsum(side & right)
            smoothed = (k + 1) / (n + 2)
            rates.append(k / np.maximum(n, 1))
            variance = variance + smoothed * (1 - smoothed) / (n + 2)
        both = np.arange(1, requests + 1)
        difference = rates[1] - rates[0]
        decided = np.abs(difference) > difference_half_width(variance * both, both)
        few = np.minimum(np.cumsum(shown), np.cumsum(~shown)) < 100
        return first(decided & ~few, difference, both.astype(float))

    return experiment


def first(decided: np.ndarray, ahead: np.ndarray, at: np.ndarray) -> Decision:
    """When it was decided first, after how many labels, and for whom: 1 is the challenger."""
    if not decided.any():
        return never()
    place = int(np.argmax(decided))
    return float(at[place]) + 1, place + 1, int(np.sign(ahead[place]))


def measured(experiment: Callable[..., Decision], count: int, requests: int) -> dict[str, Any]:
    """What became of so many experiments; quantiles over all, None where it was never decided."""
    decisions = [experiment(np.random.default_rng(seed), requests) for seed in range(count)]
    at, labels, side = (np.array(column, float) for column in zip(*decisions, strict=True))

    def quantile(values: np.ndarray, share: float) -> float | None:
        value = np.quantile(values, share, method="higher")
        return float(value) if np.isfinite(value) else None

    decided = int(np.isfinite(at).sum())
    return {
        "experiments": count,
        "decided": decided,
        "at most (one-sided 95%)": round(exact(decided, count, 0.90).high, 4),
        "for the challenger": int((side > 0).sum()),
        f"within {WITHIN} requests": int((at <= WITHIN).sum()),
        "requests": {f"{share:.0%}": quantile(at, share) for share in (0.5, 0.95)},
        "labels": {f"{share:.0%}": quantile(labels, share) for share in (0.5, 0.95)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=20_000)
    options = parser.parse_args()
    scenarios: dict[str, Callable[..., Decision]] = {
        "equal, one right 3% each": shadow(0.03, 0.03),
        "equal, one right 8% each": shadow(0.08, 0.08),
        "equal, labels late": shadow(0.03, 0.03, late),
        "equal, labels late, counted as they come": naive(0.03, 0.03, late),
        "equal, labels of clients": shadow(0.03, 0.03, sent),
        "equal, labels of clients, counted as they come": naive(0.03, 0.03, sent),
        "equal, labels of clients and asked": shadow(0.03, 0.03, sent_and_asked),
        "equal, z-test every 100 requests": z_test(0.03, 0.03),
        "2 points better, one right 2% and 4%": shadow(0.02, 0.04),
        "2 points better, one right 3% and 5%": shadow(0.03, 0.05),
        "2 points better, one right 5% and 7%": shadow(0.05, 0.07),
        "2 points better, labels late": shadow(0.02, 0.04, late),
        "2 points better, labels of clients and asked": shadow(0.02, 0.04, sent_and_asked),
        "8 points worse, one right 9% and 1%": shadow(0.09, 0.01),
        "8 points worse, one right 11% and 3%": shadow(0.11, 0.03),
        "8 points worse, one right 13% and 5%": shadow(0.13, 0.05),
        "split, equal": split(0.0),
        "split, 2 points better": split(0.02),
        "split, 4 points better": split(0.04),
        "split, 8 points worse": split(-0.08),
    }
    results = {}
    for name, experiment in scenarios.items():
        results[name] = measured(experiment, options.experiments, options.requests)
        print(name, results[name], flush=True)
    record = {"requests": options.requests, "scenarios": results, "machine": describe()}
    RESULT.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
