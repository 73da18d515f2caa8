"""A run's stored results made by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from seewhy.analysis.overview import analyse_predictions
from seewhy.config.recipe import load_recipe
from seewhy.evaluation.metrics import metrics
from seewhy.evaluation.predictions import Predictions
from seewhy.page.images import ShownImages, choose_rows
from seewhy.page.stored import Environment, Results, Stored, StoredModel


def made(classes: tuple[str, ...], ids: Any = None, n: int = 300) -> tuple[Stored, ShownImages]:
    """A run over these classes in which about every third prediction is wrong."""
    labels = np.arange(n) % len(classes)
    logits = np.random.default_rng(0).normal(size=(n, len(classes)))
    return judged(classes, labels, logits + 1.5 * np.eye(len(classes))[labels], ids)


def judged(
    classes: tuple[str, ...], labels: Any, logits: Any, ids: Any = None
) -> tuple[Stored, ShownImages]:
    """A run that gives these logits (N, K) for validation images of these labels (N,)."""
    n = len(labels)
    names = np.array(ids if ids is not None else [f"{row}.png" for row in range(n)], object)
    predictions = Predictions(np.float32(logits), np.int64(labels), classes, names)
    stored = Stored(
        path=Path("runs/fast"),
        recipe=load_recipe("fast", {"train.epochs": 3}),
        data="photos",
        history=[
            {
                "epoch": e,
                "lr": 0.1,
                "train_loss": 1 / e,
                "train_accuracy": 0.3 * e,
                "val_loss": 1.2 / e,
                "val_accuracy": 0.25 * e,
                "seconds": e,
            }
            for e in (1, 2, 3)
        ],
        val=Results(metrics(predictions, "val"), analyse_predictions(predictions)),
        counts={split: dict.fromkeys(classes, 10) for split in ("train", "val", "test")},
        model=StoredModel(
            digest="d" * 64,
            megabytes=1.0,
            network="speednet",
            size=8,
            views=("identity",),
            fingerprint="f" * 64,
        ),
        environment=Environment("Linux", "processor", None, 1, "3.11", {"seewhy": "0.1.0"}),
    )
    assert stored.val.analysis is not None
    worst = [mistake.row for mistake in stored.val.analysis.mistakes.worst]
    rows = choose_rows(predictions, worst, None)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (len(rows), 8, 8, 3), np.uint8)
    maps = rng.normal(size=(len(rows), 8, 8)).astype(np.float32)
    return stored, ShownImages(rows, predictions, images, maps)


def with_analysis(stored: Stored, **parts: Any) -> Stored:
    """The run with these parts of its analysis of validation."""
    assert stored.val.analysis is not None
    analysis = replace(stored.val.analysis, **parts)
    return replace(stored, val=replace(stored.val, analysis=analysis))
