"""Runs that have nothing in common, to look at: each with the page that a reader gets."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from page.conftest import judged, made
from plots.test_robustness import tried

import seewhy
from seewhy.page.figures import all_drawings
from seewhy.page.images import ShownImages
from seewhy.page.report import CHARTS, render
from seewhy.page.stored import Stored

Made = tuple[Stored, ShownImages]

LONG = (
    "Cherry_(including_sour)___Powdery_mildew",
    "Cherry_(including_sour)___healthy",
    "Corn_(maize)___Cercospora_leaf_spot Gray_leaf_spot",
    "Tomato___Tomato_Yellow_Leaf_Curl_Virus",
    "Tomato___Tomato_mosaic_virus",
    "a name of words that is as long as no name of a class should ever be, number one",
    "a name of words that is as long as no name of a class should ever be, number two",
)
SCRIPTS = (
    "日本語の分類名",
    "吃葡萄不吐葡萄皮的中文類別名稱",
    "한국어",
    "שלום עולם",
    "مرحبا بالعالم",
    "हिन्दी",
    "ไทย",
)


def _labels(classes: int, n: int) -> Any:
    return np.arange(n) % classes


def _sure(answers: Any, classes: int, logit: float = 12.0) -> Any:
    return logit * np.eye(classes)[answers]


def robust() -> Made:
    stored, images = made(("ant", "bee", "cow"))
    return replace(stored, robustness=tried()), images


def many() -> Made:
    return made(tuple(f"class {k:03}" for k in range(200)), n=600)


def collapsed() -> Made:
    return judged(tuple("abcdefgh"), _labels(8, 40), _sure(np.zeros(40, int), 8, 0.3))


def perfect() -> Made:
    labels = _labels(4, 200)
    return judged(("ant", "bee", "cow", "dog"), labels, _sure(labels, 4))


def one_class() -> Made:
    answers = np.array([0] * 9 + [1])
    return judged(("a", "b"), np.zeros(10, int), _sure(answers, 2, 2.0))


def five() -> Made:
    stored, images = judged(
        ("ant", "bee", "cow"), np.array([0, 0, 1, 1, 2]), _sure(np.array([0, 1, 1, 1, 0]), 3, 1.5)
    )
    return replace(stored, history=stored.history[:1]), images


def upside_down() -> Made:
    """The surest answers are wrong, and training went astray."""
    labels = _labels(3, 60)
    sure = np.linspace(6, 0.5, 60)[:, None]
    wrong = np.arange(60) < 6
    logits = sure * np.eye(3)[np.where(wrong, (labels + 1) % 3, labels)]
    stored, images = judged(("ant", "bee", "cow"), labels, logits)
    history = [{**row, "train_loss": 10.0 ** (3 * row["epoch"])} for row in stored.history]
    return replace(stored, history=history), images


BY_HAND: dict[str, Callable[[], Made]] = {
    "robust": robust,
    "200 classes": many,
    "long names": lambda: made(LONG),
    "other scripts": lambda: made(SCRIPTS),
    "collapsed": collapsed,
    "perfect": perfect,
    "one class": one_class,
    "five images": five,
    "upside down": upside_down,
}


def write_page(run: Made, folder: Path) -> Path:
    """Writes the page of a run with all its charts."""
    stored, images = run
    drawings = all_drawings(stored, None)
    drawn = {name: drawings[name][0].svg(*drawings[name][1]) for name in CHARTS if name in drawings}
    page = folder / "report.html"
    page.write_text(render(stored, "photos", images, drawn, figures="figures"), "utf-8")
    return page


def train_page(data: str | Path, recipe: str, folder: Path, **overrides: Any) -> Path:
    """Trains, analyses and reports; returns the page."""
    run = seewhy.train(data, recipe, out=folder / "run", overrides=overrides)
    seewhy.analyse(run.path, data)
    return seewhy.report(run.path, data)
