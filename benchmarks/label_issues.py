"""Wrong labels: 10% of the labels are made wrong, then searched for by out-of-fold predictions.

    python benchmarks/label_issues.py ../shared/data/cifar10 [--quick] [--seeds N] [--epochs N]
                                      [--cleanlab PYTHON]

Three kinds of noise on 10,000 images of CIFAR-10 and 1,000 of scikit-learn's digits: `uniform`, to any other
class; `class_wise`, each class to the one that a weak network takes it for most; `instance_dependent`, labels
drawn from the weak network's answers, mostly where it errs, as people err on hard images. The weak network
(`simple-cnn`, few epochs) is trained on other images. `fast` (for digits: `digits`) is trained on all folds
but one, with the wrong labels. With `--quick`, one narrow network is trained by `fast` on other images, and
only a last layer is fitted in each fold (for the digits: on the pixels): minutes, not hours. All rankings get
the same out-of-fold probabilities.

cleanlab is not a dependency: `python -m venv CL && CL/bin/pip install cleanlab`, and pass
`--cleanlab CL/bin/python`. Precision and recall are of the planted labels; CIFAR-10 has wrong labels of its
own, which count as false alarms. Writes `benchmarks/results/label-issues-networks.json`, with `--quick`
`label-issues.json`. The trainings are kept in build/label-issues; the same command continues them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from machine import describe
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

import seewhy
from seewhy.analysis.labels.issues import label_issues, true_class_chances
from seewhy.events import RunFinished

ROOT = Path(__file__).parent
KEPT = ROOT.parent / "build" / "label-issues"
RATE = 0.1
FOLDS = 5
KINDS = ("uniform", "class_wise", "instance_dependent")
FIRST = (100, 300, 500)
WEAK_IMAGES = 10_000  # at most, of the other images
NARROW = {"model.width": 0.5, "train.epochs": 3, "views": ["identity"]}
Rankings = dict[str, np.ndarray]


@dataclass(frozen=True)
class Bed:
    """Images to search for wrong labels in, others to train networks on, and how."""

    name: str
    images: seewhy.ImageSet
    others: seewhy.ImageSet
    recipe: str
    weak_epochs: int

    @property
    def home(self) -> Path:
        return KEPT / self.name


def with_noise(labels: np.ndarray, weak: np.ndarray, kind: str, seed: int) -> np.ndarray:
    """The labels (N,), a tenth of them wrong; `weak` (N, K) are the weak network's probabilities."""
    rng = np.random.default_rng(seed)
    n, k = weak.shape
    rows = np.arange(n)
    right = weak[rows, labels]
    others = weak.copy()
    others[rows, labels] = 0
    count = round(RATE * n)
    noisy = labels.copy()
    if kind == "instance_dependent":
        chosen = rng.choice(n, count, replace=False, p=(1 - right) / (1 - right).sum())
        shares = others[chosen] / others[chosen].sum(axis=1, keepdims=True)
        noisy[chosen] = [rng.choice(k, p=share) for share in shares]
        return noisy
    chosen = rng.choice(n, count, replace=False)
    if kind == "uniform":
        noisy[chosen] = (labels[chosen] + rng.integers(1, k, count)) % k
    else:
        confused = np.array([others[labels == c].mean(axis=0).argmax() for c in range(k)])
        noisy[chosen] = confused[labels[chosen]]
    return noisy


def bed(name: str, data: str, count: int, recipe: str, weak_epochs: int) -> Bed:
    """Takes `count` images outside test, and all others outside test."""
    splits = seewhy.load_data(data)
    images = splits.train.joined(splits.val)
    order = np.random.default_rng(0).permutation(len(images))
    return Bed(name, images.take(order[:count]), images.take(order[count:]), recipe, weak_epochs)


def saved(images: seewhy.ImageSet, path: Path) -> Path:
    """The images and labels as a file to train on."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            path,
            train_images=np.asarray(images.images),
            train_labels=images.labels,
            classes=np.array(images.classes),
        )
    return path


def weak_probabilities(bed: Bed) -> np.ndarray:
    """What a weak network, trained on some of the other images, gives each class (N, K)."""
    kept = bed.home / "weak.npy"
    if not kept.exists():
        some = bed.others.take(np.arange(min(len(bed.others), WEAK_IMAGES)))
        data = saved(some, bed.home / "others.npz")
        changes = {"train.epochs": bed.weak_epochs}
        run = seewhy.train(data, "simple-cnn", out=bed.home / "weak", overrides=changes)
        network = seewhy.load(run.path)
        columns = [network.classes.index(name) for name in bed.images.classes]
        np.save(kept, network.predict_set(bed.images).probabilities()[:, columns])
    return np.load(kept)


def features(bed: Bed) -> np.ndarray:
    """Features (N, D) of the images: pixels of the digits, else of a network that others trained."""
    if bed.name == "digits":
        return np.asarray(bed.images.images)[..., 0].reshape(len(bed.images), -1) / 255
    kept = bed.home / "features.npy"
    if not kept.exists():
        others = bed.others.take(np.arange(WEAK_IMAGES, len(bed.others)))
        data = saved(others, bed.home / "others-of-features.npz")
        run = seewhy.train(data, bed.recipe, out=bed.home / "features", overrides=NARROW)
        np.save(kept, seewhy.load(run.path).predict_set(bed.images, embed=True).embeddings)
    return np.load(kept)


def by_last_layer(x: np.ndarray, labels: np.ndarray, seed: int) -> np.ndarray:
    """Probabilities (N, K) by last layers that were not fitted to the image."""
    probabilities = np.zeros((len(x), labels.max() + 1))
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-3)
    for known, judged in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, labels):
        layer = LogisticRegression(C=0.01, max_iter=300).fit(x[known], labels[known])
        probabilities[judged] = layer.predict_proba(x[judged])
    return probabilities


def by_folds(bed: Bed, labels: np.ndarray, home: Path, changes: dict[str, object]) -> np.ndarray:
    """Probabilities (N, K) by networks not trained on the image; nan for a copy of another one."""
    data = saved(replace(bed.images, labels=labels), home / "images.npz")
    folds = seewhy.folds(
        data, bed.recipe, FOLDS, out=home / "folds", overrides=changes, on_event=show
    )
    predictions = seewhy.Predictions.from_parquet(folds.predictions)
    # A row's id ends in its place in the file.
    places = [int(str(name).rsplit("/", 1)[-1]) for name in predictions.ids]
    columns = [predictions.classes.index(name) for name in bed.images.classes]
    probabilities = np.full((len(labels), len(columns)), np.nan)
    probabilities[places] = predictions.probabilities()[:, columns]
    return probabilities


def show(event: object) -> None:
    if isinstance(event, RunFinished):
        print(f"  {event.name}: {event.value:.1%}, {event.seconds:,.0f} s", flush=True)


def rankings(labels: np.ndarray, probabilities: np.ndarray) -> Rankings:
    """By each ranking a score (N,): the higher, the likelier the label is wrong."""
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = 0
    return {
        "seewhy": -true_class_chances(labels, probabilities)[rows, labels],
        "self_confidence": -own,
        "normalized_margin": others.max(axis=1) - own,
    }


def ranked(scores: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    """Average precision, and the precision of the first labels."""
    hits = wrong[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    firsts = {f"first_{n}": float(precision[n - 1]) for n in FIRST if n <= wrong.sum()}
    return {"average_precision": float(precision[hits].mean()), **firsts}


def named(rows: np.ndarray, wrong: np.ndarray) -> dict[str, float]:
    hits = int(wrong[rows].sum())
    precision, recall = hits / max(len(rows), 1), hits / int(wrong.sum())
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    return {"named": len(rows), "precision": precision, "recall": recall, "f1": f1}


CLEANLAB = """
import json, sys, numpy, cleanlab
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
given = numpy.load(sys.argv[1], allow_pickle=False)
labels, probabilities = given["labels"], given["probabilities"]
found = find_label_issues(labels, probabilities, n_jobs=1)
rankings = {
    "cleanlab_default": get_label_quality_scores(labels, probabilities),
    "cleanlab_adjusted": get_label_quality_scores(labels, probabilities, adjust_pred_probs=True),
    "cleanlab_margin_adjusted": get_label_quality_scores(
        labels, probabilities, method="normalized_margin", adjust_pred_probs=True
    ),
    "cleanlab_entropy": get_label_quality_scores(
        labels, probabilities, method="confidence_weighted_entropy"
    ),
}
print(json.dumps({
    "version": cleanlab.__version__,
    "rows": numpy.flatnonzero(found).tolist(),
    "rankings": {name: (-scores).tolist() for name, scores in rankings.items()},
}))
"""


def cleanlab(python: str, labels: np.ndarray, probabilities: np.ndarray) -> dict | None:
    """What cleanlab reports and how it ranks, in its own environment; None where it is not installed."""
    with tempfile.TemporaryDirectory() as home:
        given = Path(home, "probabilities.npz")
        np.savez(given, labels=labels, probabilities=probabilities)
        done = subprocess.run([python, "-c", CLEANLAB, str(given)], capture_output=True, text=True)
    if done.returncode:
        print(f"without cleanlab: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def measured(
    true: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, python: str
) -> dict[str, dict]:
    """All rankings, and the labels that are named, of one search."""
    kept = ~np.isnan(probabilities).any(axis=1)  # identical images count once
    true, labels, probabilities = true[kept], labels[kept], probabilities[kept]
    wrong = labels != true
    ours = label_issues(labels, probabilities)
    scores = rankings(labels, probabilities)
    found = {"seewhy": named(ours.rows, wrong)}
    right = (ours.suggested == true[ours.rows])[wrong[ours.rows]]
    facts = {
        "accuracy_out_of_fold": float((probabilities.argmax(1) == true).mean()),
        "noise": float(wrong.mean()),
        "noise_estimated": ours.noise,
        "suggestion_right": float(right.mean()),
    }
    theirs = cleanlab(python, labels, probabilities)
    if theirs is not None:
        scores |= {name: np.array(values) for name, values in theirs["rankings"].items()}
        found[f"cleanlab {theirs['version']}"] = named(np.array(theirs["rows"], np.int64), wrong)
    return {
        "facts": facts,
        "rankings": {name: ranked(values, wrong) for name, values in scores.items()},
        "named": found,
    }


def mean(results: list) -> object:
    """The means over seeds, at every leaf, with the values themselves for rankings' first number."""
    if isinstance(results[0], dict):
        return {name: mean([one[name] for one in results]) for name in results[0]}
    return {"mean": float(np.mean(results)), "seeds": results}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cifar10", type=Path)
    parser.add_argument("--quick", action="store_true", help="fit only last layers in the folds")
    parser.add_argument("--epochs", type=int, help="of each training of `fast` [the recipe's]")
    parser.add_argument("--seeds", type=int, default=3, help="of noise, folds and trainings")
    parser.add_argument("--cleanlab", default=sys.executable, help="a Python that has cleanlab")
    given = parser.parse_args()
    results: dict[str, object] = {
        "folds": FOLDS,
        "trained": "last layers" if given.quick else "networks",
        "epochs": given.epochs,
        "planted": RATE,
        "machine": describe(),
    }
    for one in (
        bed("digits", "digits", 1_000, "digits", 20),
        bed("cifar10", str(given.cifar10), 10_000, "fast", 2),
    ):
        weak = weak_probabilities(one)
        true = one.images.labels
        print(f"{one.name}: the weak network is right on {(weak.argmax(1) == true).mean():.1%}")
        kinds = {}
        for kind in KINDS:
            searches = []
            for seed in range(given.seeds):
                labels = with_noise(true, weak, kind, seed)
                if given.quick:
                    found = by_last_layer(features(one), labels, seed)
                else:
                    changes: dict[str, object] = {"train.seed": seed}
                    if one.recipe == "fast" and given.epochs is not None:
                        changes["train.epochs"] = given.epochs
                    home = one.home / f"{kind}-{seed}-{given.epochs}"
                    found = by_folds(one, labels, home, changes)
                searches.append(measured(true, labels, found, given.cleanlab))
            kinds[kind] = mean(searches)
            print(json.dumps({kind: kinds[kind]}, indent=1), flush=True)
        results[one.name] = kinds
    name = "label-issues.json" if given.quick else "label-issues-networks.json"
    (ROOT / "results" / name).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
