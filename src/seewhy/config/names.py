"""Names that flags and recipes accept; a test compares each list with its implementation."""

from typing import Literal

Mode = Literal["max", "min"]
View = Literal["identity", "flip", "up_left", "up_left_flip", "down_right", "down_right_flip"]

# The metrics that choose the best epoch, and which direction of each is better.
METRICS: dict[str, Mode] = {
    "accuracy": "max",
    "balanced_accuracy": "max",
    "loss": "min",
    "macro_f1": "max",
    "top5": "max",
    "ece": "min",
    "auroc": "max",
}

# The attribution methods.
METHODS = (
    *("cam", "grad_cam", "grad_cam_plus_plus", "guided_grad_cam", "saliency", "smooth_grad"),
    *("integrated_gradients", "occlusion", "shap", "gradient_shap"),
)

# Methods whose maps show how important a pixel is, not whether it is for or against the class.
UNSIGNED_METHODS = ("saliency", "smooth_grad", "guided_grad_cam")
# Methods that change pixels and need no gradient, so that they explain any model.
PERTURBATION_METHODS = ("occlusion", "shap")

# The adversarial attacks, and what each computes.
ATTACKS = {
    "fgsm": "one gradient step (FGSM)",
    "pgd": "twenty steps (PGD)",
    "square": "500 queries, no gradient (Square)",
}


def each_once(views: tuple[View, ...]) -> tuple[View, ...]:
    """TTA views as they are given. Raises `ValueError` if one is named twice."""
    if len(set(views)) < len(views):
        raise ValueError("a view is named twice")
    return views
