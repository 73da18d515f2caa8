"""Guided Grad-CAM: the edges that guided backpropagation finds, where Grad-CAM sees the class."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.attribution.grad_cam import grad_cam
from seewhy.attribution.method import explanation, target_logits

# Activations that pass what is positive and hold back what is negative; gates (sigmoid) are none of them.
RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.GELU)


@explanation
def guided_grad_cam(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps fine detail inside what Grad-CAM found (Selvaraju et al. 2017, arXiv:1610.02391).

    The positive part of `grad_cam` times the gradient of the target's logit by guided backpropagation
    (Springenberg 2015, arXiv:1412.6806), summed over colours: an activation passes back positive
    gradients alone, and only where its input is positive. The paper says so of ReLU; ReLU6, SiLU, hard
    swish and GELU follow the same rule with their own slope. All else passes back the plain gradient,
    attention and gates too. Positive: brighter would be more of the detail. Handle with care: guided
    backpropagation draws the edges of an image whatever the last layers have learnt (Adebayo 2018).
    """
    images = images.detach().requires_grad_()
    with _guided(model):
        (gradients,) = torch.autograd.grad(target_logits(model, images, targets).sum(), images)
    return grad_cam(model, images.detach(), targets).clamp(min=0) * gradients.sum(1)


@contextmanager
def _guided(model: nn.Module) -> Iterator[None]:
    """Lets rectifiers pass back only positive gradients, of positive inputs, for the block."""

    def before(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        x = inputs[0].clone()  # what else is computed from the input keeps its own gradient
        if x.requires_grad:
            positive = x > 0
            x.register_hook(lambda gradient: gradient.clamp(min=0) * positive)
        return (x, *inputs[1:])

    rectifiers = [module for module in model.modules() if isinstance(module, RECTIFIERS)]
    hooks = [module.register_forward_pre_hook(before) for module in rectifiers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
