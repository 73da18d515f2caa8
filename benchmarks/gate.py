"""How often the gate of `seewhy retrain` lets a worse model through, and a good one: simulated.

    python benchmarks/gate.py [--experiments 1000]

Ten classes, a champion of 90%, limits by default. Candidate and champion answer `images` images, of which one
alone gets `disagreement` right, and up to 1,000 of them corrupted in five ways, of which one alone gets twice
as many right. `gain` is the candidate's true accuracy less the champion's, in points, `robust` the same on
corrupted images, `fallen` the true loss of recall of one class, which the other nine make up for. Writes
`benchmarks/results/gate.json`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe

from seewhy.analysis.replacement import GateLimits, Trial, judge
from seewhy.evaluation.stats.intervals import exact

RESULT = Path(__file__).parent / "results" / "gate.json"
CLASSES = tuple(f"class {number}" for number in range(10))
CORRUPTED, CORRUPTIONS = 1000, 5

CASES: list[dict[str, float]] = [
    {"images": n, "disagreement": share, "gain": gain}
    for n, share in ((500, 0.08), (2000, 0.08), (5000, 0.08), (5000, 0.04))
    for gain in (-2.0, -1.0, 0.0, 1.0, 2.0)
]
CASES += [{"images": 5000, "disagreement": 0.08, "gain": 0.0, "robust": r} for r in (-4.0, -2.0)]
CASES += [
    {"images": 5000, "disagreement": 0.08, "gain": 0.0, "fallen": f} for f in (5.0, 10.0, 15.0)
]


def answers(
    rng: np.random.Generator, right: np.ndarray, disagreement: float, gain: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which images the champion and the candidate have right, by the true gain (N,) at each image."""
    drawn = rng.random(len(right))
    won = drawn < (disagreement + gain) / 2
    lost = ~won & (drawn < disagreement)
    champion = np.where(won, False, np.where(lost, True, right))
    return champion, np.where(won, True, np.where(lost, False, right))


def trial(rng: np.random.Generator, case: dict[str, float]) -> Trial:
    n, disagreement = int(case["images"]), case["disagreement"]
    labels = rng.integers(0, len(CLASSES), n)
    gain = np.full(n, case["gain"] / 100)
    if fallen := case.get("fallen", 0.0) / 100:
        gain = np.where(labels == 0, -fallen, fallen / 9)
    spread = np.maximum(disagreement, np.abs(gain))
    both = answers(rng, rng.random(n) < 0.9, spread, gain)
    some, robust = rng.permutation(n)[:CORRUPTED], case.get("robust", case["gain"]) / 100
    hard = rng.random(len(some)) < 0.7  # one image is hard, or not, in all ways
    corrupted = {
        str(number): answers(rng, hard, 2 * disagreement, np.full(len(some), robust))
        for number in range(CORRUPTIONS)
    }
    return Trial(CLASSES, labels, *both, corrupted)


def measured(case: dict[str, float], experiments: int) -> dict[str, Any]:
    rng, verdicts = np.random.default_rng(0), []
    for _ in range(experiments):
        verdicts.append(judge(trial(rng, case), GateLimits(), "val").verdict)
    passed = sum(verdict in ("better", "not worse") for verdict in verdicts)
    rate = exact(passed, experiments)
    shares = {one: verdicts.count(one) / experiments for one in ("worse", "unproven")}
    return {**case, "passed": rate.value, "low": rate.low, "high": rate.high, **shares}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=1000)
    experiments = parser.parse_args().experiments
    cases = []
    for case in CASES:
        cases.append(measured(case, experiments))
        print(json.dumps(cases[-1], allow_nan=False), flush=True)
    result = {"machine": describe(), "experiments": experiments, "cases": cases}
    RESULT.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
