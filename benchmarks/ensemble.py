"""Ensembles and averaged weights against their best member, on the validation images of a data set.

    python benchmarks/ensemble.py DATA [--runs build/ensemble]

Trains `fast` with three seeds (`alone`), then three models of 2 epochs with these seeds that all start from
the first of them (`tuned`). Each three are combined in both ways. Test is not read. Finished runs
in --runs and results in `benchmarks/results/ensemble.json`, which it writes, are used again, and an
unfinished run is continued.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from machine import describe

import seewhy

ROOT = Path(__file__).parent
RESULT = ROOT / "results" / "ensemble.json"
SEEDS = range(3)
SETTINGS: dict[str, dict[str, Any]] = {
    "alone": {},
    "tuned": {"train.epochs": 2, "train.lr": 0.05, "train.progressive": None},
}


def trained(data: Path, home: Path, kind: str, seed: int) -> Path:
    """The run of one training, which is made or continued if it is not finished."""
    out = home / f"{kind}-{seed}"
    run = seewhy.Run(out)
    if run.finished:
        return out
    if run.started:
        return seewhy.train(out=out, resume=True).path
    settings = {**SETTINGS[kind], "train.seed": seed}
    init = None if kind == "alone" else home / "alone-0"
    return seewhy.train(data, "fast", out=out, overrides=settings, init=init).path


def combined(data: Path, runs: list[Path], average_weights: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "combined.safetensors"
        result = seewhy.ensemble(runs, out=out, average_weights=average_weights, data=data)
    assert result.measured is not None
    difference = result.measured.difference
    return {
        "accuracy": {name: one.accuracy for name, one in result.measured.metrics.items()},
        "nll": {name: one.nll for name, one in result.measured.metrics.items()},
        "ece": {name: one.ece for name, one in result.measured.metrics.items()},
        "best": result.measured.best,
        "difference": difference.accuracy,
        "p": difference.p,
        "warning": result.warning,
        "megabytes": result.bytes / 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--runs", type=Path, default=ROOT.parent / "build" / "ensemble")
    given = parser.parse_args()
    record: dict[str, Any] = {"data": given.data.name, "settings": SETTINGS, "machine": describe()}
    if RESULT.is_file():
        record = json.loads(RESULT.read_text())
    for kind in SETTINGS:
        runs = [trained(given.data, given.runs, kind, seed) for seed in SEEDS]
        for form in ("average", "ensemble"):
            name = f"{kind}: {form}"
            if name not in record:
                record[name] = combined(given.data, runs, form == "average")
                RESULT.write_text(
                    json.dumps(seewhy.to_json(record), indent=1, allow_nan=False) + "\n"
                )
                print(name, json.dumps(seewhy.to_json(record[name])), flush=True)


if __name__ == "__main__":
    main()
