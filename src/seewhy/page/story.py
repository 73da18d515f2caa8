"""What a report says in words: the verdict and what to do next, derived from stored results."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from seewhy.analysis.causes import NAMES
from seewhy.analysis.slices import is_weak
from seewhy.analysis.training_curves import best_row
from seewhy.page.robustness import hardest
from seewhy.page.settings import review_command, settings
from seewhy.page.stored import Stored

MUCH = 0.1  # of all mistakes between two classes: worth a look of its own
DOUBTED = 0.03  # calibration error from which confidence misleads
COVERAGE = 0.8  # of the pictures answered, in the advice to leave the unsure ones
# What to do about mistakes, by their cause.
CURES: dict[str, str] = {
    "duplicate": "Keep the label that is right.",
    "label": "Look, and correct it.",
    "picture": "Mend it, or leave out what a person could not tell either.",
    "scope": "If such pictures will come, collect some.",
    "confusion": "More pictures that tell the two classes apart.",
}


@dataclass(frozen=True)
class Advice:
    """Something to do: why, what, and the command for it, where there is one."""

    finding: str
    action: str
    command: str = ""


def verdict(stored: Stored) -> tuple[str, str, str]:
    """How good, where it fails, and what its confidence is worth: a sentence each."""
    return _how_good(stored), _where(stored), _how_sure(stored)


def _how_good(stored: Stored) -> str:
    val, test = stored.val, stored.metrics.get("test")
    said = (
        f"The {stored.model['net']} gets {_percent(val['accuracy']['value'])} of {val['n']:,} "
        f"validation pictures right ({_span(val['accuracy'])})"
    )
    if test is None:
        sealed = any(stored.counts["test"].values())
        return f"{said}; {'the test pictures are still sealed' if sealed else 'there is no test split'}."
    return f"{said}, and {_percent(test['accuracy']['value'])} of {test['n']:,} test pictures."


def _where(stored: Stored) -> str:
    recalls = {
        name: row["recall"]
        for name, row in stored.val["per_class"].items()
        if row["recall"] is not None
    }
    best, worst = max(recalls, key=recalls.__getitem__), min(recalls, key=recalls.__getitem__)
    if recalls[worst] == 1:
        return "It makes no mistake on them, so look for leaks and harder pictures before you trust it."
    said = (
        f"It knows {best} best ({_percent(recalls[best])} found) and {worst} least "
        f"({_percent(recalls[worst])})"
    )
    pair = _most_confused(stored)
    if pair is None:
        return f"{said}."
    return f"{said}, and most often takes {pair[0]} for {pair[1]} ({pair[2]:,} times)."


def _how_sure(stored: Stored) -> str:
    val = stored.val
    off = f"{100 * val['ece']:.1f} points"
    low = val.get("intervals", {}).get("ece", {"low": val["ece"]})["low"]
    if val["ece"] > DOUBTED and not low:
        said = f"Its confidence may mislead, by {off} on average, or by none: the pictures are few"
    elif val["ece"] > DOUBTED:
        said = f"Its confidence misleads, by {off} on average"
    else:
        said = f"Its confidence can be believed, to {off} on average"
    sure = stored.analysis.get("confidence")
    if sure is None or not sure["sure_mistakes"]:
        return f"{said}."
    return (
        f"{said}, yet {_counted(sure['sure_mistakes'], 'mistake')} came with more than 90% of it."
    )


def _most_confused(stored: Stored) -> tuple[str, str, int] | None:
    """True class, answer and count of the commonest confusion."""
    table, names = stored.val["confusion"], stored.classes
    cells = [
        (n, t, p) for t, row in enumerate(table) for p, n in enumerate(row) if t != p and n > 0
    ]
    if not cells:
        return None
    n, true, said = max(cells, key=lambda cell: cell[0])
    return names[true], names[said], n


def advice(stored: Stored, data: str) -> list[Advice]:
    """What to do next, what matters most first. `data` is where the pictures lie, for the commands."""
    commands = _Commands(str(stored.path), data)
    found: list[Advice] = []
    for look in (
        _diagnostics,
        _labels,
        _sure_mistakes,
        _confused,
        _weakest,
        _hardest,
        _unfinished,
        _unsure,
    ):
        found += look(stored, commands)
    if stored.bad_files:
        finding = f"{_counted(stored.bad_files, 'file')} could not be used."
        found.append(Advice(finding, "Mend or remove them: bad_files.csv names them and says why."))
    if "mistakes" not in stored.analysis:
        finding = "Mistakes and confidence of this run are not worked out yet."
        found.append(Advice(finding, "Let SeeWhy look.", commands("evaluate", "--full")))
    if not any(stored.counts["test"].values()):
        finding = "There is no test split, and validation chose the model."
        action = "Gather pictures that no choice has seen, in test/ by class, and evaluate on them."
        found.append(Advice(finding, action))
    elif "test" not in stored.metrics:
        finding = "No test picture was looked at yet."
        action = "When every choice is made, read them once: that is the figure to publish."
        found.append(Advice(finding, action, commands("evaluate", "--split", "test")))
    return found


@dataclass(frozen=True)
class _Commands:
    """Writes commands on one run and its data."""

    run: str
    data: str

    def __call__(self, verb: str, *options: str) -> str:
        return shlex.join(["seewhy", verb, self.run, "--data", self.data, *options])

    def train(self, recipe: Mapping[str, Any], field: str, value: float) -> str:
        """Trains as a run was, with one field set otherwise; empty where its recipe is not shipped."""
        known = settings(recipe, {field: value})
        return shlex.join(["seewhy", "train", "--data", self.data, *known]) if known else ""

    def judge(self, recipe: Mapping[str, Any]) -> str:
        """Judges the labels, and tells the causes of this run's mistakes; empty as `train`."""
        known = settings(recipe)
        folds = shlex.join(["seewhy", "data", "labels", self.data, *known, "--out", "folds"])
        return f"{folds} && {self('evaluate', '--full', '--labels', 'folds')}" if known else ""


def _diagnostics(stored: Stored, commands: _Commands) -> list[Advice]:
    """What the training itself noticed, and what it advised."""
    return [
        Advice(f"{_capital(one.finding)}.", f"{_capital(one.advice)}.")
        for one in stored.diagnostics
    ]


def _sure_mistakes(stored: Stored, commands: _Commands) -> list[Advice]:
    sure = stored.analysis.get("confidence")
    if not sure or not sure["sure_mistakes"]:
        return []
    finding = f"{_counted(sure['sure_mistakes'], 'mistake')} came with more than 90% confidence."
    causes = stored.analysis.get("causes")
    if causes is None:
        action = "Look at them below: a wrong label, a poor picture or a real confusion asks for other cures."
        return [Advice(finding, action)]
    if "label" in causes["unknown"]:
        action = "Whether their labels are right is not known: let networks that have not seen them judge."
        return [Advice(finding, action, commands.judge(stored.config["recipe"]))]
    kinds = [f"{n:,} {NAMES[cause]}" for cause, n in causes["counts"].items() if n]
    return [Advice(finding, f"Of the surest mistakes: {'; '.join(kinds)}. See them below.")]


def _labels(stored: Stored, commands: _Commands) -> list[Advice]:
    """Training labels that look wrong, where they were judged."""
    doubts = stored.analysis.get("causes", {}).get("labels")
    if not doubts or not doubts["train"]:
        return []
    n = doubts["train"]
    finding = f"{_counted(n, 'training label')} look{'s' * (n == 1)} wrong."
    folder = PurePath(doubts["folder"])
    page = folder / "review.html"
    action = f"Review them first: open {page}, save review.csv there, and make a corrected version."
    command = review_command(commands.data, stored.config["recipe"], str(folder / "review.csv"))
    return [Advice(finding, action, command)]


def cause_rows(stored: Stored) -> list[dict[str, Any]]:
    """Each cause of the surest mistakes: its name, how many, what to do; `count` None where not known."""
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


def _confused(stored: Stored, commands: _Commands) -> list[Advice]:
    """The pair of classes between which most mistakes are made, in both directions."""
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
        f"{names[a]} and {names[b]} are taken for each other {n:,} times: "
        f"{n / mistakes:.0%} of all mistakes."
    )
    action = "More pictures that tell these two apart would help most."
    return [Advice(finding, action)]


def weak_slices(stored: Stored) -> list[dict[str, Any]]:
    """The parts of the pictures that are worse than the rest beyond doubt, the surest first."""
    slices = stored.analysis.get("slices", {"slices": []})["slices"]
    return [part for part in slices if is_weak(part)]


def _weakest(stored: Stored, commands: _Commands) -> list[Advice]:
    """The surest weak part that is more than a class, which the classes show already."""
    weak = [part for part in weak_slices(stored) if part["factors"] != ["class"]]
    if not weak:
        return []
    part = weak[0]
    finding = (
        f"{part['name']}: {_percent(part['rate']['value'])} of {_counted(part['n'], 'picture')} are "
        f"wrong, of the rest {_percent(part['rest']['value'])}."
    )
    return [Advice(finding, "Collect more of the kind, or augment towards it.")]


def _hardest(stored: Stored, commands: _Commands) -> list[Advice]:
    """What costs most when pictures go bad or move, and the augmentation nearest to it."""
    if "robustness" not in stored.analysis:
        return []
    recipe, found = stored.config["recipe"], []
    for finding, field, value in hardest(stored.analysis["robustness"]):
        if recipe.get("augment", {}).get(field) is None:
            action = f"Add the augmentation {field} to its training, and see."
            command = commands.train(recipe, f"augment.{field}", value)
        else:
            action = (
                f"The augmentation {field} is on already: use more of it, or collect such pictures."
            )
            command = ""
        found.append(Advice(finding, action, command))
    return found


def _unfinished(stored: Stored, commands: _Commands) -> list[Advice]:
    """Whether the last epoch was the best by the validation loss, at a rate that was not yet low."""
    history = stored.history
    losses = [row["val_loss"] for row in history]
    rates = [row["lr"] for row in history]
    if len(history) < 3 or min(losses) < losses[-1] or rates[-1] < 0.5 * max(rates):
        return []
    finding = (
        f"The validation loss was still falling at epoch {history[-1]['epoch']:.0f}, the last."
    )
    return [Advice(finding, f"Train longer: --epochs {2 * len(history)}.")]


def _unsure(stored: Stored, commands: _Commands) -> list[Advice]:
    """What leaving the unsure pictures to a person would bring."""
    sure = stored.analysis.get("confidence")
    if not sure or stored.model["threshold"] is not None:
        return []
    curve = sure["risk_coverage"]
    points = zip(curve["coverage"], curve["risk"], strict=True)
    coverage, risk = next((c, r) for c, r in points if c >= COVERAGE)
    if coverage > 0.95 or curve["chance"] - risk < 0.01:
        return []
    finding = f"Of the surest {coverage:.0%} of the pictures {_percent(1 - risk)} are right."
    action = 'Where a mistake is dear, let it answer "not sure" to the rest.'
    out = str(stored.path / "calibrated.safetensors")
    return [
        Advice(finding, action, commands("calibrate", "--coverage", f"{COVERAGE}", "--out", out))
    ]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _percent(rate: float) -> str:
    return f"{rate:.1%}"


def _span(interval: Mapping[str, float]) -> str:
    return f"95% interval {_percent(interval['low'])} to {_percent(interval['high'])}"


def _counted(n: int, noun: str) -> str:
    return f"{n:,} {noun}{'s' * (n != 1)}"


def headlines(stored: Stored) -> dict[str, str]:
    """What each chart shows, as a headline over it."""
    val, confidence = stored.val, stored.analysis.get("confidence")
    best = stored.history[best_row(stored.history)]
    pair = _most_confused(stored)
    said = {
        "curves": f"Validation reached {_percent(best['val_accuracy'])} in epoch {best['epoch']:.0f} "
        f"of {len(stored.history)}",
        "confusion": "No picture was taken for another class"
        if pair is None
        else f"Most often {pair[0]} is taken for {pair[1]}: {_counted(pair[2], 'time')}",
        "classes": _spread(val),
    }
    if confidence:
        said["confidence"] = (
            f"{_counted(confidence['sure_mistakes'], 'mistake')} above 90% confidence"
        )
        said["reliability"] = f"Confidence is off by {100 * val['ece']:.1f} points on average"
        said["risk"] = "Fewer answers, fewer mistakes"
    return said


def _spread(val: Mapping[str, Any]) -> str:
    recalls = sorted(r["recall"] for r in val["per_class"].values() if r["recall"] is not None)
    if recalls[0] == recalls[-1]:
        return f"Every class is found equally often: {_percent(recalls[0])}"
    return f"From {_percent(recalls[0])} to {_percent(recalls[-1])} of a class is found"
