"""Compares a network with timm's: its weights by the names of the card, and its logits."""

import torch
from models.conftest import TimmOutputs
from torch import Tensor

from seewhy.config.networks import NETWORKS
from seewhy.models.registry import build


def logits_of_both(
    name: str, theirs: str, outputs: TimmOutputs, size: int = 224, **options: float
) -> tuple[Tensor, Tensor]:
    """Our logits and timm's, (2, 10), with random weights of timm's, which load strictly."""
    x = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    card = NETWORKS[name].pretrained
    assert card is not None
    assert card.source.startswith((f"hf-hub:timm/{theirs}.", "package:"))
    mean, std = torch.tensor(card.mean), torch.tensor(card.std)
    normal = (x - mean[:, None, None]) / std[:, None, None]
    state, expected = outputs(theirs, normal, num_classes=10)
    for there, here in card.renamed:
        state = {
            here + key.removeprefix(there) if key.startswith(there) else key: tensor
            for key, tensor in state.items()
        }
    network = build(name, num_classes=10, size=size, **options).eval()
    network.load_state_dict({**state, "mean": mean, "std": std})
    with torch.no_grad():
        return network(x), expected
