"""What the last layer of a frozen network sees of each image, computed once and kept in the cache."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from seewhy.config.input_rule import InputRule
from seewhy.data import ImageSet
from seewhy.data.feature_cache import FeatureCache
from seewhy.data.images.decode import centre
from seewhy.errors import UsageError
from seewhy.events import Progress
from seewhy.inference.forward import VIEWS, evaluating, to_input
from seewhy.inference.predictor import at_a_time
from seewhy.models.network import Network
from seewhy.models.pretrained import last_layer

PART = 1_000  # images; what is computed is kept that often


class FrozenFeatures:
    """The inputs of a network's last layer in evaluation mode, for TTA views of images."""

    def __init__(
        self, network: nn.Module, rule: InputRule, views: Sequence[str], amp: torch.dtype | None
    ) -> None:
        self._network, self._size, self._views, self._amp = network, rule.size, tuple(views), amp
        self._cache = FeatureCache(rule.key, self._key())

    def compute(self, images: ImageSet, what: str) -> Iterator[Progress]:
        """Computes those features of images that the cache lacks; yields `Progress` after each batch."""
        hashes = images.hashes
        missing = self._cache.missing(hashes)
        done = 0
        for start in range(0, len(missing), PART):
            part, values = missing[start : start + PART], []
            step = at_a_time(self._size**2)
            for first in range(0, len(part), step):
                rows = part[first : first + step]
                values.append(self._of_batch(centre(images.images[rows], self._size)))
                done += len(rows)
                yield Progress(what, done, len(missing))
            self._cache.add(hashes[part], np.concatenate(values))

    def read(self, images: ImageSet) -> Tensor:
        """The features (N, V, D) of images, all of which were computed."""
        return torch.from_numpy(self._cache.read(images.hashes))

    def _of_batch(self, images: np.ndarray) -> np.ndarray:
        network = self._network
        device = next(network.parameters()).device
        x = to_input(images, device)
        with (
            evaluating(network),
            torch.autocast(device.type, self._amp, enabled=self._amp is not None),
        ):
            seen = [last_inputs(network, VIEWS[view](x)) for view in self._views]
        return torch.stack(seen, 1).float().cpu().numpy()

    def _key(self) -> str:
        """A hash of all that decides the features, but for the stored images and the last layer."""
        network = self._network
        # Options change what is seen without a weight that tells (`enlarge`).
        options = network.arguments if isinstance(network, Network) else {}
        seen = sorted((name, value) for name, value in options.items() if name != "num_classes")
        setting = (type(network).__name__, seen, self._size, self._views, self._amp)
        digest = hashlib.sha256(repr(setting).encode())
        last = last_layer(network)
        for name, tensor in network.state_dict().items():
            if name.rpartition(".")[0] != last:
                digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]


def last_inputs(network: nn.Module, x: Tensor) -> Tensor:
    """What the last layer takes, (N, D), when the network sees images (N, 3, H, W)."""
    seen: list[Tensor] = []
    layer = network.get_submodule(last_layer(network))
    handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        network(x)
    finally:
        handle.remove()
    return seen[0]


def logit_scale(network: nn.Module, classes: int, size: int) -> float:
    """The constant by which a network multiplies the outputs of its last layer to give logits; mostly 1.

    Raises `UsageError` where logits are anything else than that: then the layer cannot be fitted alone.
    """
    layer = network.get_submodule(last_layer(network))
    device = next(network.parameters()).device
    outputs = torch.linspace(-1, 1, 2 * classes, device=device).view(2, classes)
    fits: list[bool] = []

    def replaced(_layer: nn.Module, inputs: tuple[Tensor], given: Tensor) -> Tensor:
        fits.append(inputs[0].ndim == 2 and given.shape == outputs.shape)
        return outputs if fits[-1] else given

    handle = layer.register_forward_hook(replaced)
    try:
        with evaluating(network):
            logits = network(torch.zeros(2, 3, size, size, device=device))
    finally:
        handle.remove()
    scale = float((logits * outputs).sum() / outputs.square().sum()) if fits == [True] else 0.0
    own = isinstance(layer.weight, nn.Parameter)  # not computed from others, as weight norm does
    if not (own and scale and torch.allclose(logits, scale * outputs)):
        raise UsageError(
            f"the last layer of this network cannot be fitted alone: its logits are not the {classes} "
            f"outputs of its last torch.nn.Linear, {last_layer(network)}, times a constant; train all "
            "layers with --train.unfreeze all"
        )
    return scale
