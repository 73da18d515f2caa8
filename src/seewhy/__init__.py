"""SeeWhy: from images to a classifier that you understand and can ship.

    seewhy.train("photos/", "photos")     images and a recipe in, a run directory out
    seewhy.load("runs/photos")            a verified model that predicts
    seewhy.evaluate("runs/photos", "photos/", "test")
    seewhy.load_data("photos/")           images, split and sealed

The names are loaded when they are first used, so that `import seewhy` takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seewhy.attribution.explanations import explain_pictures
    from seewhy.attribution.faithfulness import faithfulness
    from seewhy.attribution.grad_cam import grad_cam
    from seewhy.config.data import DataConfig
    from seewhy.config.recipe import Recipe, load_recipe
    from seewhy.data import ImageSet, Splits, load_data
    from seewhy.errors import SeeWhyError
    from seewhy.evaluation.metrics import Metrics, metrics
    from seewhy.evaluation.predictions import Predictions
    from seewhy.experiments import ablate, find_lr, folds, learning_curve, seeds, tune
    from seewhy.inference.classifier import Classifier
    from seewhy.inference.locate import load
    from seewhy.pipeline import evaluate, train
    from seewhy.run import Run

__version__ = "0.1.0"

__all__ = [
    "Classifier",
    "DataConfig",
    "ImageSet",
    "Metrics",
    "Predictions",
    "Recipe",
    "Run",
    "SeeWhyError",
    "Splits",
    "ablate",
    "evaluate",
    "explain_pictures",
    "faithfulness",
    "find_lr",
    "folds",
    "grad_cam",
    "learning_curve",
    "load",
    "load_data",
    "load_recipe",
    "metrics",
    "seeds",
    "train",
    "tune",
]

_HOME = {
    "Classifier": "inference.classifier",
    "DataConfig": "config.data",
    "ImageSet": "data",
    "Metrics": "evaluation.metrics",
    "Predictions": "evaluation.predictions",
    "Recipe": "config.recipe",
    "Run": "run",
    "SeeWhyError": "errors",
    "Splits": "data",
    "ablate": "experiments",
    "evaluate": "pipeline",
    "explain_pictures": "attribution.explanations",
    "faithfulness": "attribution.faithfulness",
    "find_lr": "experiments",
    "folds": "experiments",
    "grad_cam": "attribution.grad_cam",
    "learning_curve": "experiments",
    "load": "inference.locate",
    "load_data": "data",
    "load_recipe": "config.recipe",
    "metrics": "evaluation.metrics",
    "seeds": "experiments",
    "train": "pipeline",
    "tune": "experiments",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'seewhy' has no attribute {name!r}")
    return getattr(importlib.import_module(f"seewhy.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
