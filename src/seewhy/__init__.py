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
    from seewhy.files import to_json
    from seewhy.inference.classifier import Classifier
    from seewhy.inference.loading import load
    from seewhy.run import Run
    from seewhy.workflows.analyse import analyse
    from seewhy.workflows.calibrate import calibrate
    from seewhy.workflows.compare import compare
    from seewhy.workflows.data import check_data, data_statistics, split_data
    from seewhy.workflows.evaluate import evaluate
    from seewhy.workflows.experiments.ablation import ablate
    from seewhy.workflows.experiments.learning_curve import learning_curve
    from seewhy.workflows.experiments.lr_range import find_lr
    from seewhy.workflows.experiments.repetition import folds, seeds
    from seewhy.workflows.experiments.tuning import tune
    from seewhy.workflows.explain import explain
    from seewhy.workflows.labels import apply_review, find_label_issues
    from seewhy.workflows.predict import label_images, predict
    from seewhy.workflows.preview import preview
    from seewhy.workflows.report import report
    from seewhy.workflows.robustness import robustness
    from seewhy.workflows.train import train, training_events

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
    "analyse",
    "apply_review",
    "calibrate",
    "check_data",
    "compare",
    "data_statistics",
    "evaluate",
    "explain",
    "explain_pictures",
    "faithfulness",
    "find_label_issues",
    "find_lr",
    "folds",
    "grad_cam",
    "label_images",
    "learning_curve",
    "load",
    "load_data",
    "load_recipe",
    "metrics",
    "predict",
    "preview",
    "report",
    "robustness",
    "seeds",
    "split_data",
    "to_json",
    "train",
    "training_events",
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
    "ablate": "workflows.experiments.ablation",
    "analyse": "workflows.analyse",
    "apply_review": "workflows.labels",
    "calibrate": "workflows.calibrate",
    "check_data": "workflows.data",
    "compare": "workflows.compare",
    "data_statistics": "workflows.data",
    "evaluate": "workflows.evaluate",
    "explain": "workflows.explain",
    "explain_pictures": "attribution.explanations",
    "faithfulness": "attribution.faithfulness",
    "find_label_issues": "workflows.labels",
    "find_lr": "workflows.experiments.lr_range",
    "folds": "workflows.experiments.repetition",
    "grad_cam": "attribution.grad_cam",
    "label_images": "workflows.predict",
    "learning_curve": "workflows.experiments.learning_curve",
    "load": "inference.loading",
    "load_data": "data",
    "load_recipe": "config.recipe",
    "metrics": "evaluation.metrics",
    "predict": "workflows.predict",
    "preview": "workflows.preview",
    "report": "workflows.report",
    "robustness": "workflows.robustness",
    "seeds": "workflows.experiments.repetition",
    "split_data": "workflows.data",
    "to_json": "files",
    "train": "workflows.train",
    "training_events": "workflows.train",
    "tune": "workflows.experiments.tuning",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'seewhy' has no attribute {name!r}")
    return getattr(importlib.import_module(f"seewhy.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
