"""Pruning: a network with fewer channels, or with its smallest weights at zero. It never trains.

Both lose accuracy, which a fine-tuning regains in part: `seewhy.train(data, recipe, init=pruned)`.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from seewhy.errors import UsageError
from seewhy.evaluation.decision.record import Decision
from seewhy.exporters.channels import Axis, channel_axes, layers_of
from seewhy.inference.bundle import Bundle
from seewhy.models.network import Network, flops
from seewhy.models.registry import build, name_of

# The options that multiply a network's channels; no network has two.
WIDTHS = ("width", "widen", "growth")
# The facts of a bundle that were measured of its own network.
MEASURED = ("val_accuracy", "metrics")
# What to do where there are no channels to leave out.
INSTEAD = "choose int8, or train a smaller network with this one as its teacher (`train.teacher`)"


def structured(bundle: Bundle, keep: float) -> Bundle:
    """The same architecture with `keep` (0 to 1) of its channels, the most important ones, to be fine-tuned.

    The option that multiplies the channels (`width`, `widen` or `growth`) becomes `keep` times as large, or
    as little larger as it takes to have the same layers: a width at which a shortcut would appear is passed
    over. The network is built with it, so its channels are rounded as ever, and the result is an ordinary
    bundle. Channels that are added, multiplied or normalised together are cut together (Fang 2023,
    arXiv:2301.12900). The most important of them are those of the largest product of the batch norm's scale
    (Liu 2017, arXiv:1708.06519) and the L1 norm of the weights that take the channel (after Li 2017,
    arXiv:1608.08710, who sum those that make it; batch norm divides that out). What they had learnt is
    kept; the decision is not, as it was fitted to other outputs.

    Raises `UsageError` for a network without such an option, and for a `keep` that is out of range, or at
    which the network cannot be built or drops no channel.
    """
    network, name = bundle.network, name_of(bundle.network)
    if not 0 < keep < 1:
        raise UsageError(f"keep={keep:g}: expected a share of the channels between 0 and 1")
    option = next((o for o in WIDTHS if o in getattr(network, "arguments", {})), None)
    if name is None or option is None or not isinstance(network, Network):
        raise UsageError(
            f"{name or 'this network'} has no option for the number of its channels: {INSTEAD}"
        )
    try:
        narrow = _narrower(network, name, option, keep)
        narrow.load_state_dict(_cut(network, narrow))
    except (UsageError, fx.proxy.TraceError) as error:
        raise UsageError(f"{name} cannot be pruned to keep={keep:g}: {error}") from None
    changed = _changed(bundle, narrow, f"structured, keep={keep:g}")
    facts = {**changed.facts, "flops": flops(narrow)}
    if "model" in facts.get("recipe", {}):
        facts["recipe"]["model"][option] = narrow.arguments[option]
    return replace(changed, facts=facts, decision=Decision())


def magnitude(bundle: Bundle, sparsity: float) -> Bundle:
    """The same network with its smallest weights at zero, a share of `sparsity` (0 to 1), to be fine-tuned.

    After Han 2015, arXiv:1506.02626, in kernels and matrices, which are named "weight", not in biases, norms
    and position embeddings. What is small is judged within each layer: a weight counts as its square, as a
    share of those of the layer that are no smaller, so that no layer loses all (LAMP, Lee 2021,
    arXiv:2010.07611). A fine-tuning moves zeros: call this again after it, with the same `sparsity`. It makes
    no prediction faster and no file smaller, as zeros are stored and multiplied as other numbers are; only a
    compressed file (gzip) has fewer bytes.

    Raises `UsageError` for a `sparsity` that is out of range, and for a network without such weights.
    """
    if not 0 < sparsity < 1:
        raise UsageError(f"sparsity={sparsity:g}: expected a share of the weights between 0 and 1")
    network = deepcopy(bundle.network)
    weights = [
        w for name, w in network.named_parameters() if name.endswith("weight") and w.ndim > 1
    ]
    if not weights:
        raise UsageError(f"{type(network).__name__} has no kernel or matrix that is named weight")
    scores = [_score(weight.detach()) for weight in weights]
    everything = torch.cat(scores)
    threshold = everything.kthvalue(max(1, round(sparsity * len(everything)))).values
    with torch.no_grad():
        for weight, score in zip(weights, scores, strict=True):
            weight[(score <= threshold).view_as(weight)] = 0
    return _changed(bundle, network, f"magnitude, sparsity={sparsity:g}")


def _score(weight: Tensor) -> Tensor:
    """Of each weight, flattened: its square as a share of the sum of those that are no smaller."""
    squares, order = weight.double().flatten().square().sort(descending=True)
    scores = torch.empty_like(squares)
    scores[order] = squares / squares.cumsum(0).clamp(min=1e-300)
    return scores


def _narrower(network: Network, name: str, option: str, keep: float) -> Network:
    """The network to fill: `keep` times as wide, or the next wider one that has the same layers."""
    layers, own = layers_of(network), network.arguments[option]
    for share in np.arange(keep, 1, 0.02).tolist():
        value = max(1, round(share * own)) if isinstance(own, int) else round(share * own, 4)
        with torch.random.fork_rng(devices=[]):
            narrow = build(name, **{**network.arguments, option: value}).float().eval()
        if _size(narrow) < _size(network) and layers_of(narrow) == layers:
            return narrow
    raise UsageError("no narrower one has the same layers")


def _size(network: nn.Module) -> int:
    return sum(tensor.numel() for tensor in network.parameters())


def _cut(network: Network, narrow: Network) -> dict[str, Tensor]:
    """The state of the narrow network, from the most important channels of the other."""
    state = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    shapes = {name: tensor.shape for name, tensor in narrow.state_dict().items()}
    axes = channel_axes(network)
    widths = [shapes[axis.tensor][axis.dim] for axis in axes]
    kept = _most_important(axes, widths, _importance(axes, state))
    for axis in axes:
        rows = torch.from_numpy(np.flatnonzero(kept[axis.units]))
        state[axis.tensor] = state[axis.tensor].index_select(axis.dim, rows)
    for tensor, shape in shapes.items():
        if state[tensor].shape != shape:
            raise UsageError(f"{tensor} does not say which of its values belong to which channel")
    return state


def _importance(axes: Sequence[Axis], state: Mapping[str, Tensor]) -> NDArray[np.float64]:
    """Of each unit: how large it is made, times the L1 norm of the weights that take it.

    It is made as large as the scale of its norms, or, where it has none, the L1 norm of the weights that
    make it. All are relative to the mean of their layer, and added up over the layers.
    """
    count = max(int(axis.units.max()) for axis in axes) + 1
    made, scaled, taken, normed = *np.zeros((3, count)), np.zeros(count, bool)
    for axis in axes:
        weight = state[axis.tensor].double().abs()
        if weight.ndim == 1 and not axis.tensor.endswith(".weight"):
            continue  # biases and running statistics
        sizes = weight.transpose(0, axis.dim).reshape(weight.shape[axis.dim], -1).sum(1)
        total = taken if axis.dim == 1 else scaled if weight.ndim == 1 else made
        normed[axis.units] |= total is scaled
        np.add.at(total, axis.units, (sizes / sizes.mean().clamp(min=1e-30)).numpy())
    return taken * np.where(normed, scaled, made)


def _most_important(
    axes: Sequence[Axis], widths: Sequence[int], importance: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Which units are kept so that each axis gets its width; the sets of fewest units choose first."""
    kept = np.zeros(len(importance), bool)
    decided = kept.copy()
    for axis, width in sorted(
        zip(axes, widths, strict=True), key=lambda one: len(set(one[0].units))
    ):
        units = np.unique(axis.units)
        missing = width * len(units) // len(axis.units) - kept[units].sum()
        left = units[~decided[units]]
        kept[left[np.argsort(-importance[left], kind="stable")[: max(0, missing)]]] = True
        decided[units] = True
    for axis, width in zip(axes, widths, strict=True):
        if kept[axis.units].sum() != width:
            raise UsageError(f"{axis.tensor} would not get its {width} channels")
    return kept


def _changed(bundle: Bundle, network: nn.Module, how: str) -> Bundle:
    """The bundle with another network, and with facts that say so, without those measured of its own."""
    facts = {name: deepcopy(fact) for name, fact in bundle.facts.items() if name not in MEASURED}
    return replace(
        bundle,
        network=network,
        facts={**facts, "pruned": how},
        parents=(bundle.digest,) if bundle.digest else bundle.parents,
        digest="",
    )
