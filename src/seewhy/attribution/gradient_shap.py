"""Gradient SHAP: integrated gradients, expected over many starting points."""

import torch
from torch import Tensor, nn

from seewhy.attribution.baseline import training_colours
from seewhy.attribution.method import explanation
from seewhy.attribution.saliency import gradients

SAMPLES = 64
SEED = 0


@explanation
def gradient_shap(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps Shapley values by expected gradients (Erion 2021, arXiv:1906.10670; Lundberg & Lee 2017).

    `M = sum over colours of E[(x - b) * d logit / d pixel at b + a (x - b)]`, over flat images `b`
    in colours as the training images have them and `a` uniform in [0, 1]; 64 draws, one in each
    64th of [0, 1]. Positive: the pixel speaks for the target. A map adds up to the logit of the
    image less the mean logit of the flat ones, as far as the draws go. They are the same for
    every image, so a map depends on nothing but the image; Captum's GradientShap draws for a
    whole batch, from numpy's global generator.
    """
    generator = torch.Generator().manual_seed(SEED)
    baselines = training_colours(model, SAMPLES, generator).to(images)
    places = (torch.arange(SAMPLES) + torch.rand(SAMPLES, generator=generator)) / SAMPLES
    total = torch.zeros_like(images)
    for baseline, place in zip(baselines, places.tolist(), strict=True):
        difference = images - baseline
        total += difference * gradients(model, baseline + place * difference, targets)
    return total.sum(1) / SAMPLES
