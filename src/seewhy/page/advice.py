"""The next steps that a report advises, derived from stored results."""

import math
import shlex
from dataclasses import dataclass
from pathlib import PurePath

from seewhy.analysis.causes import NAMES
from seewhy.config.recipe import Recipe
from seewhy.evaluation.stats.intervals import exact
from seewhy.page.robustness import hardest
from seewhy.page.settings import review_command, settings, train_command
from seewhy.page.stored import Stored
from seewhy.page.story import COVERAGE, answered, collapsed, weak_slices
from seewhy.text import counted

MUCH = 0.1  # share of all mistakes between two classes that is worth an advice of its own
WIDE = 0.2  # width of the 95% interval of the accuracy from which images are too few to judge by
# Fall within the last two epochs, of the loss, and the loss, of that of guessing.
FALLING = (0.01, 0.01)


@dataclass(frozen=True)
class Advice:
    """A next step: the finding, the action, and the command for it, if there is one."""

    finding: str
    action: str
    command: str = ""


@dataclass(frozen=True)
class _Commands:
    """The commands for one run and its dataset."""

    run: str
    data: str

    def __call__(self, verb: str, *options: str) -> str:
        return shlex.join(["seewhy", verb, self.run, "--data", self.data, *options])

    def judge(self, recipe: Recipe) -> str:
        """Checks the labels, then finds the causes of this run's mistakes; empty for a recipe of a file."""
        known = settings(recipe)
        folds = shlex.join(["seewhy", "data", "labels", self.data, *known, "--out", "folds"])
        return f"{folds} && {self('evaluate', '--full', '--labels', 'folds')}" if known else ""


def advice(stored: Stored, data: str) -> list[Advice]:
    """The next steps, the most important first. `data` is the path of the dataset, for the commands."""
    commands = _Commands(str(stored.path), data)
    return [
        *(Advice(f"{_capital(d.finding)}.", f"{_capital(d.advice)}.") for d in stored.diagnostics),
        *_few_images(stored),
        *_other_labels(stored, commands),
        *_labels(stored, commands),
        *_sure_mistakes(stored, commands),
        *_confused(stored),
        *_weakest(stored),
        *_hardest(stored, commands),
        *_unfinished(stored),
        *_unsure(stored, commands),
        *_bad_files(stored),
        *_unanalysed(stored, commands),
        *_test(stored, commands),
    ]


def _few_images(stored: Stored) -> list[Advice]:
    """Advice to collect more where validation, or else test, is too small to judge by."""
    judged = [("validation", stored.val), ("test", stored.test)]
    wide = [
        (name, one.metrics.n, one.metrics.accuracy)
        for name, one in judged
        if one is not None and one.metrics.accuracy.high - one.metrics.accuracy.low > WIDE
    ]
    if not wide:
        return []
    name, n, accuracy = wide[0]
    finding = (
        f"{counted(n, f'{name} image', 'are')} too few to judge by: the accuracy may be anything from "
        f"{accuracy.low:.0%} to {accuracy.high:.0%}."
    )
    action = (
        "Collect more labelled images: with four times as many, this range is half as wide. Until then, a "
        "difference between two models may be chance."
    )
    return [Advice(finding, action)]


def _sure_mistakes(stored: Stored, commands: _Commands) -> list[Advice]:
    sure, causes = stored.confidence, stored.causes
    if not sure or not sure.sure_mistakes:
        return []
    if causes and sure.sure_mistakes <= causes.counts["duplicate"]:
        return []
    finding = f"{counted(sure.sure_mistakes, 'mistake')} had more than 90% confidence."
    if causes is None:
        action = (
            "See them below: wrong labels, poor images and real confusions need different actions."
        )
        return [Advice(finding, action)]
    if "label" in causes.unknown:
        action = "No label has been checked: use networks that were not trained on these images."
        return [Advice(finding, action, commands.judge(stored.recipe))]
    kinds = [f"{n:,} {NAMES[cause]}" for cause, n in causes.counts.items() if n]
    return [
        Advice(finding, f"Causes of the most confident ones: {'; '.join(kinds)}. See them below.")
    ]


def _other_labels(stored: Stored, commands: _Commands) -> list[Advice]:
    """Mistakes whose image has another label elsewhere in the data: one of the two labels is wrong."""
    count = stored.causes.counts["duplicate"] if stored.causes else 0
    if not count:
        return []
    finding = f"{counted(count, 'mistake', 'are')} on an image that has another label elsewhere in the data."
    action = (
        "Each is named below, beside its copy: keep the right one of the two, and train again. "
        "The check of the data lists all such images."
    )
    return [Advice(finding, action, shlex.join(["seewhy", "data", "check", commands.data]))]


def _labels(stored: Stored, commands: _Commands) -> list[Advice]:
    """Training labels that look wrong, if they were checked."""
    suspects = stored.causes.labels if stored.causes else None
    if not suspects or not suspects.train:
        return []
    finding = f"{counted(suspects.train, 'training label', 'look')} wrong."
    folder = PurePath(suspects.folder)
    page = folder / "review.html"
    action = (
        f"Review them first: open {page}, save review.csv, move it to {folder}, and create a corrected "
        "version."
    )
    command = review_command(commands.data, stored.recipe.data, str(folder / "review.csv"))
    return [Advice(finding, action, command)]


def _confused(stored: Stored) -> list[Advice]:
    """The pair of classes with the most confusions, in both directions together."""
    table, names = stored.val.metrics.confusion, stored.classes
    k = len(names)
    pairs = [(int(table[a, b] + table[b, a]), a, b) for a in range(k) for b in range(a)]
    mistakes = sum(n for n, _, _ in pairs)
    if k == 2 or not mistakes or collapsed(stored):
        return []
    n, b, a = max(pairs)
    if n < 2 or n < MUCH * mistakes:
        return []
    finding = (
        f"{names[a]} and {names[b]} are confused {counted(n, 'time')}: {n / mistakes:.0%} of "
        f"all mistakes."
    )
    return [Advice(finding, "More images that show their difference would help most.")]


def _weakest(stored: Stored) -> list[Advice]:
    """The weakest slice that is not just a class: the table of classes shows those."""
    weak = [part for part in weak_slices(stored) if part.factors != ("class",)]
    if not weak:
        return []
    part = weak[0]
    finding = (
        f"{part.name}: error rate {part.rate.value:.1%} on {counted(part.n, 'image')}, "
        f"{part.rest.value:.1%} on the others."
    )
    return [Advice(finding, "Collect more such images, or use augmentation that produces them.")]


def _hardest(stored: Stored, commands: _Commands) -> list[Advice]:
    """The most harmful corruption and transformation, each with the closest augmentation."""
    if stored.robustness is None:
        return []
    steps = []
    for finding, field, value in hardest(stored.robustness):
        if getattr(stored.recipe.augment, field) is None:
            action = f"Train again with the augmentation {field}, and compare."
            changes = {f"augment.{field}": value}
            command = train_command(stored.recipe, stored.init, commands.data, changes)
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
    finding = f"The validation loss was still falling at the last epoch, {stored.epochs}."
    return [Advice(finding, f"Train longer: --epochs {2 * stored.epochs}.")]


def _unsure(stored: Stored, commands: _Commands) -> list[Advice]:
    """The gain in accuracy if the model abstains from images of low confidence."""
    sure = stored.confidence
    if not sure or stored.abstains:
        return []
    coverage, risk = answered(sure)
    if coverage > 0.95 or sure.risk_coverage.chance - risk < 0.01:
        return []
    n = round(coverage * sure.n)
    accuracy = exact(n - round(risk * n), n)
    finding = (
        f"On the most confident {n:,} of {counted(sure.n, 'image')}, the accuracy is {accuracy.value:.1%} "
        f"({accuracy.low:.1%} to {accuracy.high:.1%})."
    )
    action = 'If errors are costly, let the model abstain: it answers "not sure" for the others.'
    out = str(stored.path / "calibrated.safetensors")
    command = commands("calibrate", "--coverage", f"{COVERAGE}", "--out", out)
    return [Advice(finding, action, command)]


def _bad_files(stored: Stored) -> list[Advice]:
    if not stored.bad_files:
        return []
    finding = f"{counted(stored.bad_files, 'file')} could not be used."
    return [Advice(finding, "bad_files.csv says why: repair or remove what it lists.")]


def _unanalysed(stored: Stored, commands: _Commands) -> list[Advice]:
    if stored.val.analysis:
        return []
    finding = "The mistakes and the confidence of this run have not been analysed yet."
    return [Advice(finding, "Run the analysis.", commands("evaluate", "--full"))]


def _test(stored: Stored, commands: _Commands) -> list[Advice]:
    if stored.test or stored.test_readings:
        return []
    if not stored.images("test"):
        finding = "There is no test split, and the model was selected on validation."
        action = "Collect new images in test/, one folder per class, and evaluate on them."
        return [Advice(finding, action)]
    finding = "The test split has not been evaluated."
    action = "When all decisions are final, evaluate on it once: report that result."
    return [Advice(finding, action, commands("evaluate", "--split", "test"))]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
