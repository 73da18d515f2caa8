"""The texts of a report, derived from stored results: summary, headlines and next steps."""

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np

from seewhy.analysis.causes import NAMES
from seewhy.analysis.slices import is_weak
from seewhy.analysis.training_curves import kept_row
from seewhy.evaluation.collapse import collapse
from seewhy.page.robustness import hardest
from seewhy.page.settings import review_command, settings, train_command
from seewhy.page.stored import Stored
from seewhy.text import counted

MUCH = 0.1  # share of all mistakes between two classes that is worth an advice of its own
MISCALIBRATED = 0.03  # calibration error from which confidence is misleading
FALLING = (
    0.01,
    0.01,
)  # fall within the last two epochs, of the loss, and the loss, of that of guessing
COVERAGE = 0.8  # share of images answered, in the advice to abstain from the others
# What to do about mistakes, by their cause.
CURES: dict[str, str] = {
    "duplicate": "Keep the correct label.",
    "label": "Check the label and correct it.",
    "picture": "Replace the image, or remove it if a human could not label it.",
    "scope": "If such images are expected in use, collect some.",
    "confusion": "Collect more images that show the difference between the two classes.",
}


@dataclass(frozen=True)
class Advice:
    """A next step: the finding, the action, and the command for it, if there is one."""

    finding: str
    action: str
    command: str = ""


def verdict(stored: Stored) -> tuple[str, str, str]:
    """Accuracy, weakest classes and calibration: one sentence each."""
    return _how_good(stored), _where(stored), _how_sure(stored)


def _how_good(stored: Stored) -> str:
    val, test = stored.val, stored.metrics.get("test")
    accuracy = val["accuracy"]
    text = (
        f"The {stored.model['network']} has an accuracy of {accuracy['value']:.1%} on "
        f"{counted(val['n'], 'validation image')} (95% confidence interval {accuracy['low']:.1%} to "
        f"{accuracy['high']:.1%})"
    )
    if test is None:
        if stored.test_readings:
            return f"{text}; the test split was evaluated by a model of fewer epochs."
        sealed = any(stored.counts["test"].values())
        return (
            f"{text}; {'the test split is still sealed' if sealed else 'there is no test split'}."
        )
    return f"{text}, and of {test['accuracy']['value']:.1%} on {counted(test['n'], 'test image')}."


def _where(stored: Stored) -> str:
    for diagnostic in collapse(np.array(stored.val["confusion"]), stored.classes):
        return f"It has {diagnostic.finding}."
    recalls = stored.recalls
    best, worst = max(recalls, key=recalls.__getitem__), min(recalls, key=recalls.__getitem__)
    if recalls[worst] == 1:
        return "It makes no mistake on them: check for leaks and try harder images before you trust it."
    text = f"It recognises {best} best (recall {recalls[best]:.1%}) and {worst} worst ({recalls[worst]:.1%})"
    pair = _most_confused(stored)
    if pair is None:
        return f"{text}."
    return (
        f"{text}. Its most frequent confusion: {pair[0]} predicted as {pair[1]} "
        f"({counted(pair[2], 'time')})."
    )


def _how_sure(stored: Stored) -> str:
    val = stored.val
    error = f"expected calibration error {100 * val['ece']:.1f} percentage points"
    low = val.get("intervals", {}).get("ece", {"low": val["ece"]})["low"]  # None: too few images
    if val["ece"] <= MISCALIBRATED and low is None:
        text = (
            f"Its confidence seems reliable ({error}), but there are too few images to be certain"
        )
    elif val["ece"] <= MISCALIBRATED:
        text = f"Its confidence is reliable ({error})"
    elif low:
        text = f"Its confidence is misleading ({error})"
    else:
        text = f"Its confidence may be misleading ({error}), but there are too few images to be certain"
    sure = stored.analysis.get("confidence")
    if sure is None or not sure["sure_mistakes"]:
        return f"{text}."
    return f"{text}; {counted(sure['sure_mistakes'], 'mistake')} had more than 90% confidence."


def _most_confused(stored: Stored) -> tuple[str, str, int] | None:
    """True class, prediction and count of the most frequent confusion."""
    table, names = stored.val["confusion"], stored.classes
    cells = [
        (n, t, p) for t, row in enumerate(table) for p, n in enumerate(row) if t != p and n > 0
    ]
    if not cells:
        return None
    n, true, predicted = max(cells, key=lambda cell: cell[0])
    return names[true], names[predicted], n


def advice(stored: Stored, data: str) -> list[Advice]:
    """The next steps, the most important first. `data` is the path of the dataset, for the commands."""
    commands = _Commands(str(stored.path), data)
    steps = [
        *(Advice(f"{_capital(d.finding)}.", f"{_capital(d.advice)}.") for d in stored.diagnostics),
        *_labels(stored, commands),
        *_sure_mistakes(stored, commands),
        *_confused(stored),
        *_weakest(stored),
        *_hardest(stored, commands),
        *_unfinished(stored),
        *_unsure(stored, commands),
    ]
    if stored.bad_files:
        finding = f"{counted(stored.bad_files, 'file')} could not be used."
        steps.append(
            Advice(finding, "Repair or remove them: bad_files.csv lists them with reasons.")
        )
    if "mistakes" not in stored.analysis:
        finding = "The mistakes and the confidence of this run have not been analysed yet."
        steps.append(Advice(finding, "Run the analysis.", commands("evaluate", "--full")))
    if not any(stored.counts["test"].values()):
        finding = "There is no test split, and the model was selected on validation."
        action = "Collect new images in test/, one folder per class, and evaluate on them."
        steps.append(Advice(finding, action))
    elif "test" not in stored.metrics and not stored.test_readings:
        finding = "The test split has not been evaluated."
        action = "When all decisions are final, evaluate on it once: report that result."
        steps.append(Advice(finding, action, commands("evaluate", "--split", "test")))
    return steps


@dataclass(frozen=True)
class _Commands:
    """The commands for one run and its dataset."""

    run: str
    data: str

    def __call__(self, verb: str, *options: str) -> str:
        return shlex.join(["seewhy", verb, self.run, "--data", self.data, *options])

    def judge(self, recipe: Mapping[str, Any]) -> str:
        """Checks the labels, then finds the causes of this run's mistakes; empty for a recipe of a file."""
        known = settings(recipe)
        folds = shlex.join(["seewhy", "data", "labels", self.data, *known, "--out", "folds"])
        return f"{folds} && {self('evaluate', '--full', '--labels', 'folds')}" if known else ""


def _sure_mistakes(stored: Stored, commands: _Commands) -> list[Advice]:
    sure = stored.analysis.get("confidence")
    if not sure or not sure["sure_mistakes"]:
        return []
    finding = f"{counted(sure['sure_mistakes'], 'mistake')} had more than 90% confidence."
    causes = stored.analysis.get("causes")
    if causes is None:
        action = (
            "See them below: wrong labels, poor images and real confusions need different actions."
        )
        return [Advice(finding, action)]
    if "label" in causes["unknown"]:
        action = "Their labels have not been checked: use networks that were not trained on these images."
        return [Advice(finding, action, commands.judge(stored.config["recipe"]))]
    kinds = [f"{n:,} {NAMES[cause]}" for cause, n in causes["counts"].items() if n]
    return [
        Advice(finding, f"Causes of the most confident ones: {'; '.join(kinds)}. See them below.")
    ]


def _labels(stored: Stored, commands: _Commands) -> list[Advice]:
    """Training labels that look wrong, if they were checked."""
    suspects = stored.analysis.get("causes", {}).get("labels")
    if not suspects or not suspects["train"]:
        return []
    n = suspects["train"]
    finding = f"{counted(n, 'training label', 'look')} wrong."
    folder = PurePath(suspects["folder"])
    page = folder / "review.html"
    action = f"Review them first: open {page}, save review.csv, and create a corrected version."
    command = review_command(commands.data, stored.config["recipe"], str(folder / "review.csv"))
    return [Advice(finding, action, command)]


def cause_rows(stored: Stored) -> list[dict[str, Any]]:
    """Each cause of the most confident mistakes: name, action, and count (None if not known)."""
    causes = stored.analysis.get("causes")
    if not causes or not causes["mistakes"]:
        return []
    return [
        {
            "cause": cause,
            "name": NAMES[cause].capitalize(),
            "action": CURES[cause],
            "count": None if cause in causes["unknown"] else n,
        }
        for cause, n in causes["counts"].items()
    ]


def _confused(stored: Stored) -> list[Advice]:
    """The pair of classes with the most confusions, in both directions together."""
    table, names = stored.val["confusion"], stored.classes
    k = len(names)
    pairs = [(table[a][b] + table[b][a], a, b) for a in range(k) for b in range(a)]
    mistakes = sum(n for n, _, _ in pairs)
    if not mistakes:
        return []
    n, b, a = max(pairs)
    if k == 2 or n < MUCH * mistakes:
        return []
    finding = (
        f"{names[a]} and {names[b]} are confused {counted(n, 'time')}: {n / mistakes:.0%} of "
        f"all mistakes."
    )
    return [Advice(finding, "More images that show their difference would help most.")]


def weak_slices(stored: Stored) -> list[dict[str, Any]]:
    """The slices that are significantly worse than the other images, strongest evidence first."""
    slices = stored.analysis.get("slices", {"slices": []})["slices"]
    return [part for part in slices if is_weak(part)]


def _weakest(stored: Stored) -> list[Advice]:
    """The weakest slice that is not just a class: the table of classes shows those."""
    weak = [part for part in weak_slices(stored) if part["factors"] != ["class"]]
    if not weak:
        return []
    part = weak[0]
    finding = (
        f"{part['name']}: error rate {part['rate']['value']:.1%} on {counted(part['n'], 'image')}, "
        f"{part['rest']['value']:.1%} on the others."
    )
    return [Advice(finding, "Collect more such images, or use augmentation that produces them.")]


def _hardest(stored: Stored, commands: _Commands) -> list[Advice]:
    """The most harmful corruption and transformation, each with the closest augmentation."""
    if "robustness" not in stored.analysis:
        return []
    recipe, steps = stored.config["recipe"], []
    for finding, field, value in hardest(stored.analysis["robustness"]):
        if recipe.get("augment", {}).get(field) is None:
            action = f"Train again with the augmentation {field}, and compare."
            command = train_command(stored.config, commands.data, {f"augment.{field}": value})
            steps.append(Advice(finding, action, command))
        else:
            action = f"The augmentation {field} is on already: increase it, or collect such images."
            steps.append(Advice(finding, action))
    return steps


def _unfinished(stored: Stored) -> list[Advice]:
    """Advice to train longer if the validation loss still falls at a high learning rate, far from 0."""
    history = stored.history
    losses = [row["val_loss"] for row in history]
    rates = [row["lr"] for row in history]
    if len(history) < 3 or min(losses) < losses[-1] or rates[-1] < 0.5 * max(rates):
        return []
    fall, left = FALLING
    slow = losses[-3] - losses[-1] < fall * losses[-3]
    if slow or losses[-1] < left * math.log(len(stored.classes)):
        return []
    epochs = int(history[-1]["epoch"])
    finding = f"The validation loss was still falling at the last epoch, {epochs}."
    return [Advice(finding, f"Train longer: --epochs {2 * epochs}.")]


def _unsure(stored: Stored, commands: _Commands) -> list[Advice]:
    """The gain in accuracy if the model abstains from images of low confidence."""
    sure = stored.analysis.get("confidence")
    if not sure or stored.model["threshold"] is not None:
        return []
    curve = sure["risk_coverage"]
    points = zip(curve["coverage"], curve["risk"], strict=True)
    coverage, risk = next((c, r) for c, r in points if c >= COVERAGE)
    if coverage > 0.95 or curve["chance"] - risk < 0.01:
        return []
    finding = f"On the most confident {coverage:.0%} of the images, the accuracy is {1 - risk:.1%}."
    action = 'If errors are costly, let the model abstain: it answers "not sure" for the others.'
    out = str(stored.path / "calibrated.safetensors")
    command = commands("calibrate", "--coverage", f"{COVERAGE}", "--out", out)
    return [Advice(finding, action, command)]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _when(stored: Stored, kept: Mapping[str, float]) -> str:
    if not kept["epoch"]:
        return "by the last layer alone, on features of a frozen network"
    last = stored.history[-1]["epoch"]
    return f"in epoch {kept['epoch']:.0f} of {last:.0f}: the {stored.keep}, which is kept"


def headlines(stored: Stored) -> dict[str, str]:
    """The headline of each chart: its main message."""
    val, confidence = stored.val, stored.analysis.get("confidence")
    kept = stored.history[kept_row(stored.history, stored.keep)]
    pair = _most_confused(stored)
    recalls = stored.recalls.values()
    texts = {
        "curves": f"Validation accuracy {kept['val_accuracy']:.1%} {_when(stored, kept)}",
        "confusion": "No class was confused with another"
        if pair is None
        else f"Most frequent: {pair[0]} predicted as {pair[1]}, {counted(pair[2], 'time')}",
        "classes": f"Recall from {min(recalls):.1%} to {max(recalls):.1%}",
    }
    if confidence:
        sure = counted(confidence["sure_mistakes"], "mistake")
        texts["confidence"] = f"{sure} with more than 90% confidence"
        texts["reliability"] = f"Expected calibration error (ECE) {val['ece']:.1%}"
        texts["risk"] = "Error rate if the model abstains when unsure"
    return texts
