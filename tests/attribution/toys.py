"""Small networks whose explanations are known on paper, and one that has all that could leave a trace."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class LinearNet(nn.Module):
    """Logits that are weighted sums of the pixels: the gradient is the weights, everywhere."""

    def __init__(self, size: int = 8, num_classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.weights = nn.Parameter(torch.randn(num_classes, 3, size, size))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("kchw,nchw->nk", self.weights, x)


class SmallNet(nn.Module):
    """Features and head, with a norm, dropout and a frozen weight: all that has state or draws.

    `head` is a pooled linear layer unless another is given. The call that `fails_at` counts raises.
    """

    def __init__(self, head: nn.Module | None = None, num_classes: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.relu1 = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(6, 5, 3, padding=1)
        self.relu2 = nn.ReLU()
        self.head = head or nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(5, num_classes)
        )
        self.norm.running_mean.uniform_(-0.3, 0.3)
        for weights in self.parameters():
            weights.data *= 4  # so that the logits differ from image to image
        self.norm.weight.requires_grad_(False)
        self.calls, self.fails_at = 0, -1

    def features(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.fails_at:
            raise RuntimeError("as asked for")
        x = self.pool(self.relu1(self.norm(self.conv(x))))
        return self.relu2(self.conv2(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def flat_head(places: int, num_classes: int = 3) -> nn.Module:
    """A head that is linear and knows each place apart."""
    return nn.Sequential(nn.Flatten(), nn.Linear(5 * places, num_classes))


def pictures(count: int = 3, size: int = 8, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def classes(count: int = 3, num_classes: int = 3) -> Tensor:
    return torch.arange(count) % num_classes


HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def traces(model: nn.Module) -> Callable[[], Any]:
    """A function that gives all that explaining could leave behind in a model, and the random states."""
    import random

    import numpy as np

    def read() -> Any:
        hooks = [len(getattr(m, kind)) for m in model.modules() for kind in HOOKS]
        weights = [(p.requires_grad, p.grad) for p in model.parameters()]
        return (
            [m.training for m in model.modules()],
            hooks,
            weights,
            [t.numpy().tobytes() for t in model.state_dict().values()],
            torch.get_rng_state().numpy().tobytes(),
            np.random.get_state()[1].tobytes(),
            random.getstate(),
            torch.is_grad_enabled(),
            torch.backends.mkldnn.matmul.fp32_precision,
        )

    return read
