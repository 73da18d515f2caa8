"""An ensemble as one network, so that a bundle can hold it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from seewhy.errors import UsageError
from seewhy.inference.ensemble import LEAST
from seewhy.inference.forward import answering
from seewhy.inference.metadata import EnsembleArguments
from seewhy.models.registry import LARGEST, build


class EnsembleNetwork(nn.Module):
    """The logarithms of the mean of its members' calibrated probabilities, as `inference.ensemble.Ensemble`.

    It takes floats (N, 3, size, size) in [0, 1] and returns (N, num_classes). Each member has its own TTA
    views and temperature; its logits are put into the order of the ensemble's classes. `arguments` build
    it again, with fresh weights.
    """

    def __init__(self, num_classes: int, size: int, arguments: EnsembleArguments) -> None:
        super().__init__()
        self.arguments: dict[str, Any] = arguments.model_dump(mode="json")
        self.temperatures = [member.temperature for member in arguments.members]
        self.members = nn.ModuleList()
        for number, member in enumerate(arguments.members):
            options: dict[str, Any] = member.arguments
            network = build(member.name, num_classes=num_classes, size=size, **options)
            self.members.append(answering(network, member.views))
            order = range(num_classes) if member.order is None else member.order
            if sorted(order) != list(range(num_classes)):
                raise UsageError(f"member {number + 1} does not order {num_classes} classes")
            self.register_buffer(f"order{number}", torch.tensor(order), persistent=False)
        parameters = sum(tensor.numel() for tensor in self.parameters())
        if parameters > LARGEST:
            raise UsageError(
                f"the members have {parameters:,} parameters in all, more than {LARGEST:,}: combine fewer or "
                "smaller models"
            )

    @staticmethod
    def built(arguments: Mapping[str, Any], *, num_classes: int, size: int) -> "EnsembleNetwork":
        """The network of a file's arguments. Raises `ValidationError` or `UsageError` for wrong ones."""
        return EnsembleNetwork(num_classes, size, EnsembleArguments.model_validate(arguments))

    def forward(self, x: Tensor) -> Tensor:
        answers = []
        for number, (member, temperature) in enumerate(
            zip(self.members, self.temperatures, strict=True)
        ):
            probabilities = (member(x).float() / temperature).softmax(1)
            answers.append(probabilities.index_select(1, self.get_buffer(f"order{number}")))
        return (
            (torch.stack(answers).sum(0) / len(answers)).clamp_min(LEAST).log()
        )  # (N, num_classes)
