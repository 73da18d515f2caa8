"""What every attribution method shares: input checks, batches, and leaving no trace."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

import torch
from torch import Tensor, nn

from seewhy.errors import UsageError
from seewhy.inference.forward import (
    INVERSES,
    VIEWS,
    evaluating,
    full_precision,
    network_and_views,
)

# (model, images (N, 3, H, W), targets (N,)) -> maps (N, H, W)
Method = Callable[[nn.Module, Tensor, Tensor], Tensor]

# Of the images explained at a time, which bounds memory and changes no map: at 224 pixels 10
BATCH, BATCH_PIXELS = 32, 1 << 19


def explanation(compute: Method) -> Method:
    """Makes a computation over a few images a method: `(model, images, targets) -> maps`.

    `images` are floats (N, 3, H, W) in [0, 1], `targets` the classes to explain, int64 (N,); the
    maps are float32 (N, H, W), signed and not scaled. What is explained is the target's logit, so
    that no other class's answer mixes in, as it would by softmax; of a model with several TTA views
    (`AveragedViews`) their mean, by which it answers. The batch changes no map; the model is left as
    `explaining` says. Raises `UsageError` for images or targets of another form.
    """

    @wraps(compute)
    def method(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        check(images, targets)
        if not len(images):
            return torch.zeros_like(images[:, 0])
        with explaining(model):
            views = network_and_views(model)[1]  # each has activations of its own
            batch = max(1, min(BATCH, BATCH_PIXELS // (images[0, 0].numel() * len(views))))
            parts = zip(images.detach().split(batch), targets.split(batch), strict=True)
            return torch.cat([compute(model, x, t).detach().float() for x, t in parts])

    return method


def explanation_by_view(compute: Method) -> Method:
    """As `explanation`, for a computation that opens the network into `features` and `head`.

    It is run on each TTA view of the image, each signed map carried back onto the image, and the maps
    averaged.
    """

    @explanation
    @wraps(compute)
    def method(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        network, views = network_and_views(model)
        maps = [INVERSES[view](compute(network, VIEWS[view](images), targets)) for view in views]
        return torch.stack(maps).mean(0)

    return method


def check(images: Tensor, targets: Tensor) -> None:
    """Raises `UsageError` unless these are images in [0, 1] with a class each."""
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise UsageError(
            f"images of shape {tuple(images.shape)} and type {images.dtype}: expected floats (N, 3, H, W)"
        )
    if len(images) and not (images.min() >= 0 and images.max() <= 1):
        raise UsageError("images with values outside [0, 1]: divide 8-bit pixels by 255")
    if targets.shape != images.shape[:1] or targets.dtype != torch.int64 or (targets < 0).any():
        raise UsageError(
            f"targets of shape {tuple(targets.shape)} and type {targets.dtype}: expected a class number "
            f"from 0 on for each image ({len(images):,}), int64"
        )


@contextmanager
def explaining(model: nn.Module) -> Iterator[None]:
    """Eval mode and full float32 precision, gradients of images and none of weights, for the block.

    Each module's mode, each weight's `requires_grad` and `.grad`, and the random numbers are as
    before after it, also after an exception.
    """
    wanted = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        with evaluating(model), full_precision(), torch.enable_grad():
            for parameter, _ in wanted:
                parameter.requires_grad_(False)
            yield
    finally:
        for parameter, requires_grad in wanted:
            parameter.requires_grad_(requires_grad)


def halves(model: nn.Module) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """The `features` and the `head` of a model, modules or methods.

    Raises `UsageError` where it is not made of them.
    """
    features, head = getattr(model, "features", None), getattr(model, "head", None)
    if not callable(features) or not callable(head):
        raise UsageError(
            f"{type(model).__name__} has no `features(images)` and `head` that takes its maps: give it "
            "these two, or take a method that needs pixels alone (saliency, occlusion, shap, ...)"
        )
    return features, head


def target_logits(model: Callable[[Tensor], Tensor], images: Tensor, targets: Tensor) -> Tensor:
    """The logit (N,) of each image's target, of a model or of its head and the maps."""
    return model(images).gather(1, targets[:, None])[:, 0]


def maps_and_gradients(model: nn.Module, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The maps (N, C, h, w) that `head` takes, and the gradient of the target's logit by them.

    Nothing is kept of what `features` computes, so this costs one prediction.
    """
    features, head = halves(model)
    with torch.no_grad():
        maps = features(images)
    maps.requires_grad_()
    (gradients,) = torch.autograd.grad(target_logits(head, maps, targets).sum(), maps)
    return maps.detach(), gradients
