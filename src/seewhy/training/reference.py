"""Trained models that help to train another: a teacher, or a judge of how difficult images are."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import torch
from torch import Tensor, nn

from seewhy.config.input_rule import InputRule
from seewhy.errors import UsageError
from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.device import place
from seewhy.inference.locate import find_models
from seewhy.text import counted, shortened


@dataclass(frozen=True, eq=False)
class Reference:
    """Models with their logits in the order of `classes`; several are averaged as probabilities."""

    name: str
    models: tuple[Bundle, ...]
    classes: tuple[str, ...]

    @classmethod
    def load(cls, name: str, classes: tuple[str, ...], option: str) -> Self:
        """Loads a run, a file, a shipped model or several as "A+B"; classes are matched by name.

        Raises `UsageError`, which names the recipe's option, for classes that a model does not know.
        """
        models = tuple(bundles.load(file) for file in find_models(name))
        for model in models:
            missing = [label for label in classes if label not in model.classes]
            if missing:
                raise UsageError(
                    f"{option}={name} does not know {len(missing)} of the {counted(len(classes), 'class')} "
                    f"({shortened(missing)}): choose a model that was trained on all of them"
                )
        return cls(name, models, classes)

    @property
    def digests(self) -> list[str]:
        return [model.digest for model in self.models]

    def place(self, device: torch.device) -> None:
        for model in self.models:
            place(model.network, device)

    def note(self, rule: InputRule) -> str:
        """Which model it is, and how what it sees of images by this rule differs from its training."""
        text = self.name
        sizes, fits = ({getattr(one.rule, name) for one in self.models} for name in ("size", "fit"))
        if others := sorted(sizes - {rule.size}):
            text += f", which sees the images resized to {' and '.join(map(str, others))} pixels"
        if fits := fits - {rule.fit}:
            own = " and ".join(sorted(fits))
            text += f", which was trained with data.fit {own} and here sees images by {rule.fit}"
        return text

    @cached_property
    def _columns(self) -> list[list[int]]:
        """The places of the `classes` among the logits of each model."""
        return [[model.classes.index(label) for label in self.classes] for model in self.models]

    @torch.no_grad()
    def probabilities(self, x: Tensor, temperature: float = 1.0) -> Tensor:
        """Probabilities (B, K) of images (B, 3, H, W), which each model sees at its own size."""
        answers = []
        for model, columns in zip(self.models, self._columns, strict=True):
            logits = model.network(_resized(x, model.rule.size)).float()[:, columns]
            answers.append((logits / temperature).softmax(1))
        return torch.stack(answers).mean(0)


def _resized(x: Tensor, size: int) -> Tensor:
    if x.shape[-1] == size:
        return x
    return nn.functional.interpolate(x, size=(size, size), mode="bilinear", antialias=True)
