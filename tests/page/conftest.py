"""A run's stored results made by hand."""

from pathlib import Path
from typing import Any

import numpy as np

from seewhy.analysis.overview import analyse_predictions
from seewhy.evaluation.metrics import metrics
from seewhy.evaluation.predictions import Predictions
from seewhy.files import to_json
from seewhy.page.images import ShownImages, choose_rows
from seewhy.page.stored import Stored


def made(classes: tuple[str, ...], ids: Any = None, n: int = 300) -> tuple[Stored, ShownImages]:
    """A run over these classes in which about every third prediction is wrong."""
    k = len(classes)
    rng = np.random.default_rng(0)
    labels = np.arange(n) % k
    logits = (rng.normal(size=(n, k)) + 1.5 * np.eye(k)[labels]).astype(np.float32)
    names = np.array(ids if ids is not None else [f"{row}.png" for row in range(n)], object)
    found = Predictions(logits, labels, classes, names)
    stored = Stored(
        path=Path("runs/fast"),
        config={
            "recipe": {"name": "fast", "data": {}, "train": {"seed": 0, "epochs": 3}},
            "data": "photos",
        },
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
        metrics={"val": to_json(metrics(found, "val"))},
        environment={
            "platform": "Linux",
            "processor": "processor",
            "cuda": None,
            "threads": 1,
            "python": "3.11",
            "packages": {"seewhy": "0.1.0"},
        },
        analysis={k: v for k, v in to_json(analyse_predictions(found)).items() if v is not None},
        counts={split: dict.fromkeys(classes, 10) for split in ("train", "val", "test")},
        bad_files=0,
        diagnostics=(),
        model={
            "digest": "d" * 64,
            "megabytes": 1.0,
            "network": "speednet",
            "size": 8,
            "views": ("identity",),
            "fingerprint": "f" * 64,
            "threshold": None,
        },
    )
    worst = [mistake["row"] for mistake in stored.analysis["mistakes"]["worst"]]
    rows = choose_rows(found, worst, None)
    images = rng.integers(0, 255, (len(rows), 8, 8, 3), np.uint8)
    maps = rng.normal(size=(len(rows), 8, 8)).astype(np.float32)
    return stored, ShownImages(rows, found, images, maps)
