"""Wrong labels: 5% of CIFAR-10's training labels are flipped, then searched for by out-of-fold predictions.

    python benchmarks/label_issues.py ../shared/data/cifar10 [--recipe fast] [--folds 5] [--epochs 6]
                                      [--limit N] [--cleanlab PYTHON]

Two kinds of flips: symmetric (to any other class) and asymmetric (each class to one that it is confused with:
cat and dog, truck and automobile, ...). The recipe is trained on all folds but one, with the flipped
labels; its out-of-fold probabilities go to `label_issues`, and to cleanlab's `find_label_issues` with
its defaults. cleanlab is not a dependency: `python -m venv CL && CL/bin/pip install cleanlab`, and pass
`--cleanlab CL/bin/python`. Precision and recall are of the planted flips; CIFAR-10 has wrong labels of its
own, which count as false alarms. Writes `benchmarks/results/label-issues.json` (with --limit to the
terminal only). The trainings are kept in build/label-issues; the same command continues them.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from machine import describe

import seewhy
from seewhy.analysis.labels.issues import label_issues
from seewhy.evaluation.stats.intervals import wilson
from seewhy.events import RunFinished

ROOT = Path(__file__).parent
KEPT = ROOT.parent / "build" / "label-issues"
RATE = 0.05
# Each class and a similar one (Patrini et al. 2017 flip such pairs).
CONFUSED = {
    "airplane": "bird", "automobile": "truck", "bird": "airplane", "cat": "dog", "deer": "horse",
    "dog": "cat", "frog": "cat", "horse": "deer", "ship": "airplane", "truck": "automobile",
}  # fmt: skip


def flipped(labels: np.ndarray, classes: tuple[str, ...], kind: str) -> np.ndarray:
    """The labels, 5% of each class flipped."""
    rng = np.random.default_rng(0)
    noisy = labels.copy()
    for k, name in enumerate(classes):
        rows = np.flatnonzero(labels == k)
        chosen = rng.permutation(rows)[: round(RATE * len(rows))]
        if kind == "symmetric":
            noisy[chosen] = (k + rng.integers(1, len(classes), len(chosen))) % len(classes)
        else:
            noisy[chosen] = classes.index(CONFUSED[name])
    return noisy


def out_of_fold(images: seewhy.ImageSet, home: Path, given: argparse.Namespace) -> np.ndarray:
    """Probabilities (N, K) of images by networks not trained on them; continues where it stopped."""
    home.mkdir(parents=True, exist_ok=True)
    names = np.array(images.classes)
    data = home / "flipped.npz"
    if not data.exists():
        pixels = np.asarray(images.images)
        np.savez(data, train_images=pixels, train_labels=images.labels, classes=names)
    changes = {} if given.epochs is None else {"train.epochs": given.epochs}
    found = seewhy.folds(
        data, given.recipe, given.folds, out=home / "folds", overrides=changes, on_event=say
    )
    answers = seewhy.Predictions.from_parquet(found.predictions)
    # A row's id ends in its place in the file.
    places = [int(str(name).rsplit("/", 1)[-1]) for name in answers.ids]
    columns = [answers.classes.index(name) for name in images.classes]
    probabilities = np.full((len(images), len(columns)), np.nan)
    probabilities[places] = answers.probabilities()[:, columns]
    return probabilities


def say(event: object) -> None:
    if isinstance(event, RunFinished):
        print(f"  {event.name}: {event.value:.1%}, {event.seconds:,.0f} s", flush=True)


def scored(rows: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    hits = int(wrong[rows].sum())
    precision, recall = wilson(hits, len(rows)), wilson(hits, int(wrong.sum()))
    both = precision.value + recall.value
    return {
        "named": len(rows),
        "precision": precision.value,
        "precision_low": precision.low,
        "precision_high": precision.high,
        "recall": recall.value,
        "recall_low": recall.low,
        "recall_high": recall.high,
        "f1": 2 * precision.value * recall.value / both if both else 0.0,
    }


CLEANLAB = """
import json, sys, numpy, cleanlab
from cleanlab.filter import find_label_issues
given = numpy.load(sys.argv[1], allow_pickle=False)
found = find_label_issues(given["labels"], given["probabilities"], n_jobs=1)
print(json.dumps({"version": cleanlab.__version__, "rows": numpy.flatnonzero(found).tolist()}))
"""


def cleanlab(python: str, labels: np.ndarray, probabilities: np.ndarray, home: Path) -> dict | None:
    """The labels that cleanlab reports, in its own environment; None where it is not installed."""
    given = home / "probabilities.npz"
    np.savez(given, labels=labels, probabilities=probabilities)
    done = subprocess.run([python, "-c", CLEANLAB, str(given)], capture_output=True, text=True)
    if done.returncode:
        print(f"without cleanlab: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cifar10", type=Path)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--limit", type=int, help="training images [all]")
    parser.add_argument("--epochs", type=int, help="of each training [the recipe's]")
    parser.add_argument("--cleanlab", default=sys.executable, help="a Python that has cleanlab")
    given = parser.parse_args()
    splits = seewhy.load_data(given.cifar10, seewhy.DataConfig(limit=given.limit))
    # Without a limit, the folds are cut from all images outside test.
    images = splits.train if given.limit else splits.train.joined(splits.val)
    found: dict[str, object] = {
        "pictures": len(images),
        "recipe": given.recipe,
        "epochs": given.epochs,
        "folds": given.folds,
        "planted": RATE,
        "machine": describe(),
    }
    for kind in ("symmetric", "asymmetric"):
        labels = flipped(images.labels, images.classes, kind)
        wrong = labels != images.labels
        home = KEPT / f"{kind}-{given.recipe}-{given.epochs}-{len(images)}-{given.folds}"
        probabilities = out_of_fold(replace(images, labels=labels), home, given)
        kept = np.flatnonzero(~np.isnan(probabilities).any(axis=1))  # identical images count once
        labels, wrong, probabilities = labels[kept], wrong[kept], probabilities[kept]
        true = images.labels[kept]
        ours = label_issues(labels, probabilities)
        facts: dict[str, object] = {
            "pictures": len(kept),
            "flipped": int(wrong.sum()),
            "accuracy_out_of_fold": float((probabilities.argmax(1) == true).mean()),
            "noise_estimated": ours.noise,
            "suggestion_right": float((ours.suggested == true[ours.rows])[wrong[ours.rows]].mean()),
            "seewhy": scored(ours.rows, wrong),
        }
        theirs = cleanlab(given.cleanlab, labels, probabilities, home)
        if theirs is not None:
            rows = np.array(theirs["rows"], np.int64)
            facts["cleanlab"] = {"version": theirs["version"], **scored(rows, wrong)}
        found[kind] = facts
        print(json.dumps({kind: facts}, indent=1), flush=True)
    if given.limit is None:
        (ROOT / "results" / "label-issues.json").write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
