"""A bundle's network as a predictor."""

import copy
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from seewhy.inference import bundle as bundles
from seewhy.inference.bundle import Bundle
from seewhy.inference.device import place
from seewhy.inference.ensemble_network import EnsembleNetwork
from seewhy.inference.forward import full_precision, outputs_of, to_input
from seewhy.inference.predictor import Outputs, Predictor, require_finite
from seewhy.models.network import Network


@dataclass(frozen=True, eq=False, kw_only=True)
class PyTorchPredictor(Predictor):
    """A bundle on a device; its network is a private copy in evaluation mode that nobody mutates."""

    runtime = "torch"

    bundle: Bundle
    device: torch.device

    @staticmethod
    def of(bundle: Bundle, device: torch.device) -> "PyTorchPredictor":
        """The predictor of a bundle, which stays as it is."""
        own = replace(bundle, network=place(copy.deepcopy(bundle.network).eval(), device))
        shared = {field.name for field in fields(Predictor)} - {"parameters", "mean"}
        return PyTorchPredictor(
            bundle=own,
            device=device,
            parameters=sum(tensor.numel() for tensor in own.network.parameters()),
            mean=own.network.mean.cpu().numpy() if isinstance(own.network, Network) else None,
            **{name: getattr(own, name) for name in shared},
        )

    def outputs(self, images: NDArray[np.uint8], embed: bool = False) -> Outputs:
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            x = to_input(images, self.device)
            logits, embeddings = outputs_of(self.bundle.network, x, self.views, embed)
        require_finite(logits)
        return logits, embeddings

    def in_full_precision(self) -> AbstractContextManager[None]:
        return full_precision()

    def differentiable(self) -> nn.Module | None:
        network = self.bundle.network
        return None if isinstance(network, EnsembleNetwork) else copy.deepcopy(network)

    def save(self, path: Path) -> None:
        bundles.save(self.bundle, path)
