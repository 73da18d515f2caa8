"""SmoothGrad: saliency without its noise."""

import torch
from torch import Tensor, nn

from seewhy.attribution.method import explanation
from seewhy.attribution.saliency import gradients

SAMPLES = 32
NOISE = 0.15  # std as a share of each image's range; the paper finds 0.1 to 0.2 best
SEED = 0


@explanation
def smooth_grad(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Maps `saliency`, averaged over noisy copies of the image (Smilkov 2017, arXiv:1706.03825).

    The mean over 32 copies with Gaussian noise of 15% of the image's range; summed over colours.
    Positive: making the pixel brighter raises the logit. The noise is the same for every image,
    so a map depends on nothing but the image; and so Captum's NoiseTunnel, which draws noise for
    a whole batch, is not used.
    """
    generator = torch.Generator().manual_seed(SEED)
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    total = torch.zeros_like(images)
    for _ in range(SAMPLES):
        noise = torch.randn(images.shape[1:], generator=generator).to(images.device)
        total += gradients(model, images + NOISE * (high - low) * noise, targets)
    return total.sum(1) / SAMPLES
