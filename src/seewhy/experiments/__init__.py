"""Many trainings that answer one question, each over `pipeline.train`, none of which opens test."""

from seewhy.experiments.ablation import ablate
from seewhy.experiments.ablation_table import Ablation
from seewhy.experiments.data_curve import LearningCurve, learning_curve
from seewhy.experiments.lr_range import LrRange, find_lr
from seewhy.experiments.repetition import Folds, Seeds, folds, seeds
from seewhy.experiments.tuning import Tuning, tune

__all__ = [
    "Ablation",
    "Folds",
    "LearningCurve",
    "LrRange",
    "Seeds",
    "Tuning",
    "ablate",
    "find_lr",
    "folds",
    "learning_curve",
    "seeds",
    "tune",
]
