"""Makes a ResNet-18 with the parameter names of commit ebaff20, which later versions read for ever.

    python tests/pinned/make_resnet18.py tests/pinned/resnet18

`unfinished/` is a run stopped after its first epoch, `model.safetensors` and `whole.parquet` are the bundle
and the validation predictions of the same run trained to its end, all on `digits()`.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

import seewhy
from seewhy.events import Epoch

RECIPE = {
    "data.size": 16,
    "model.name": "resnet18",
    "model.width": 0.125,
    "train.epochs": 2,
    "train.batch_size": 64,
    "train.optimizer": "sgd",
    "train.momentum": 0.9,
    "train.lr": 0.05,
    "train.amp": "fp32",
    "train.gradient_norms": 4,
}


def digits() -> tuple[np.ndarray, np.ndarray]:
    """600 digits of scikit-learn, enlarged to 16x16 pixels, and their labels."""
    images, labels = load_digits(return_X_y=True)
    grey = np.kron(images[:600].reshape(-1, 8, 8), np.ones((2, 2)))
    return np.stack([(grey * 15).astype(np.uint8)] * 3, axis=-1), labels[:600]


def main(home: Path) -> None:
    whole = seewhy.train(digits(), "digits", out=home / "whole", overrides=RECIPE)
    stopped = home / "unfinished"
    with seewhy.training_events(digits(), "digits", out=stopped, overrides=RECIPE) as events:
        next(event for event in events if isinstance(event, Epoch))
    shutil.move(whole.model, home / "model.safetensors")
    shutil.move(whole.predictions("val"), home / "whole.parquet")
    for litter in (whole.path, *stopped.glob("*.lock"), stopped / "environment.json"):
        shutil.rmtree(litter) if litter.is_dir() else litter.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
