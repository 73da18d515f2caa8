"""Any network of timm, in two parts: its maps, and the head on them; timm is imported when one is built."""

import difflib
import importlib
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seewhy.config.networks.timm import TIMM, TimmOptions
from seewhy.config.pretrained import Pretrained
from seewhy.errors import UsageError, first_line
from seewhy.models.network import Network
from seewhy.text import shortened

BODY = "body."  # what timm's names of parameters start with here
LEAST_SIDE = 2  # positions of the last map: from a single one, no attribution map can be made


@dataclass(frozen=True)
class Shapes:
    """How a network of timm works at one size.

    `side` is that of the images that it sees. `features` says how its last features lie: "maps"
    (N, C, h, w), "channels last" (N, h, w, C) or "tokens" (N, prefix + h * w, C), where `grid` is (h, w).
    `embedding` is the length of the vector that the last layer takes.
    """

    side: int
    features: str
    grid: tuple[int, int]
    prefix: int
    embedding: int


class TimmNetwork(Network):
    """A network of timm, `body`, and a last layer on the vector that it makes of its last maps.

    Images on which its last map would have fewer than 2x2 positions are enlarged, by two until they suffice.
    A class token is not read: the vector is the mean of the patches, so that the map shows what each of them
    contributes.
    """

    def __init__(self, num_classes: int, size: int, options: TimmOptions) -> None:
        super().__init__(num_classes, size, options)
        self.name = TIMM + options.timm_name
        self.shapes = _shapes(options, self.inner_size)
        self.inner_size = self.shapes.side
        sized = _config(options.timm_name).fixed_input_size  # takes no smaller images
        self.enlarge = self.inner_size if sized or self.inner_size > size else None
        self.body = _body(options, self.inner_size)
        self.classifier = nn.Linear(self.shapes.embedding, num_classes)

    def features(self, x: Tensor) -> Tensor:
        y: Tensor = self.body.forward_features(self.normalize(x))
        if self.shapes.features == "channels last":
            y = y.permute(0, 3, 1, 2)
        elif self.shapes.features == "tokens":
            y = y[:, self.shapes.prefix :].transpose(1, 2).unflatten(2, self.shapes.grid)
        return y  # (N, C, h, w)

    def head(self, maps: Tensor) -> Tensor:
        if self.shapes.features == "channels last":
            maps = maps.permute(0, 2, 3, 1)
        elif self.shapes.features == "tokens":
            maps = F.pad(maps.flatten(2).transpose(1, 2), (0, 0, self.shapes.prefix, 0))
        logits: Tensor = self.classifier(self.body.forward_head(maps))
        return logits

    def fitting(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Weights as timm itself adapts them, such as position embeddings of another grid."""
        adapt = getattr(sys.modules[type(self.body).__module__], "checkpoint_filter_fn", None)
        theirs = {k.removeprefix(BODY): v for k, v in tensors.items() if k.startswith(BODY)}
        try:
            adapted = theirs if adapt is None else adapt(theirs, self.body)
        except Exception:  # of another architecture, which shows when names and shapes are compared
            return tensors
        others = {k: v for k, v in tensors.items() if not k.startswith(BODY)}
        return {**others, **{BODY + k: v for k, v in adapted.items()}}


def parts(network: nn.Module) -> dict[str, nn.Module]:
    """The children of a network by name, and in place of a `body` of timm its children."""
    children = dict(network.named_children())
    if not isinstance(network, TimmNetwork):
        return children
    own = {BODY + name: part for name, part in children.pop("body").named_children()}
    return own | children


def card_of(name: str) -> Pretrained:
    """The card of the weights that timm names first for `timm/NAME`, or by its tag; no source if none."""
    config = _config(name.removeprefix(TIMM))
    last = config.classifier or ()
    layers = (last,) if isinstance(last, str) else tuple(last)
    return Pretrained(
        source=f"hf-hub:{config.hf_hub_id}" if config.hf_hub_id else "",
        licence=str(config.license or "unknown"),
        mean=config.mean,
        std=config.std,
        size=config.input_size[-1],
        interpolation="bilinear" if config.interpolation == "bilinear" else "bicubic",
        renamed=(
            ("", BODY),
            *((f"{BODY}{layer}.", "classifier.") for layer in layers),
        ),
    )


@cache
def _shapes(options: TimmOptions, size: int) -> Shapes:
    """Looks for the least side at which the network works, on torch's meta device."""
    own = _config(options.timm_name).input_size[-1]  # of the images that it was made for
    sides = [size]
    while options.enlarge is None and sides[-1] < own:
        sides.append(min(2 * sides[-1], own))
    causes = []
    for side in sides:
        try:
            return _shapes_at(options, side)
        except UsageError:
            raise
        except Exception as error:  # each network refuses what it does not take in its own way
            causes.append(first_line(error))
    remedy = (
        f"it was made for {own}; set --data.size {own}, or for smaller images --model.enlarge {own}"
    )
    raise UsageError(
        f"{TIMM}{options.timm_name} does not work on images of {size} pixels a side ({causes[-1]}): "
        f"{'choose another network' if sides[-1] == own else remedy}"
    )


def _shapes_at(options: TimmOptions, side: int) -> Shapes:
    with torch.device("meta"), torch.no_grad():
        body = _body(options, side).eval()
        y = body.forward_features(torch.empty(1, 3, side, side))
        vector = body.forward_head(y)
    if not isinstance(y, Tensor) or vector.ndim != 2:
        raise ValueError("it has no single map that its head takes")
    prefix = 0
    if y.ndim == 4:
        features = "channels last" if getattr(body, "output_fmt", None) == "NHWC" else "maps"
        grid = tuple(y.shape[1:3] if features == "channels last" else y.shape[2:])
    else:
        features, prefix = "tokens", getattr(body, "num_prefix_tokens", 0)
        grid = (math.isqrt(y.shape[1] - prefix),) * 2
        if grid[0] ** 2 != y.shape[1] - prefix:
            raise ValueError(f"its {y.shape[1]} tokens are no square")
        if getattr(body, "pool_include_prefix", False):
            raise ValueError("its head reads tokens that are of no place")
    if min(grid) < LEAST_SIDE:
        raise ValueError(f"its last map would have {grid[0]}x{grid[1]} positions")
    return Shapes(side, features, (grid[0], grid[1]), prefix, vector.shape[1])


def _body(options: TimmOptions, side: int) -> Any:
    """The network as timm builds it, without its last layer."""
    settings = {"drop_rate": options.dropout, "drop_path_rate": options.drop_path}
    if _config(options.timm_name).fixed_input_size:
        settings["img_size"] = side
    try:
        body = _timm().create_model(options.timm_name, num_classes=0, **settings)
    except TypeError as error:
        for name, option in (("drop_rate", "dropout"), ("drop_path_rate", "drop_path")):
            if f"'{name}'" in str(error):
                raise UsageError(
                    f"{TIMM}{options.timm_name} has no {option}: leave it out"
                ) from None
        raise
    if getattr(body, "global_pool", None) == "token":
        body.reset_classifier(0, "avg")
    for module in body.modules():
        if getattr(module, "inplace", False):
            module.inplace = False
    return body


def _config(name: str) -> Any:
    """What timm knows about a network. Raises `UsageError` for a name or a tag that it does not have."""
    timm = _timm()
    plain, _, tag = name.partition(".")
    known = timm.list_models()
    if plain not in known:
        nearest = difflib.get_close_matches(plain, known, n=3, cutoff=0.5)
        asks = f": did you mean {' or '.join(TIMM + near for near in nearest)}?" if nearest else ""
        raise UsageError(
            f"timm {timm.__version__} has no network {plain!r}{asks or ': timm.list_models() lists them'}"
        )
    try:
        return timm.get_pretrained_cfg(name)
    except RuntimeError:
        tags = [other.partition(".")[2] for other in timm.list_pretrained(f"{plain}.*")]
        choice = f"choose one of {shortened(tags)}, or none" if tags else "leave it out"
        raise UsageError(f"timm has no weights {tag!r} of {plain}: {choice}") from None


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except Exception as error:  # torchvision built for another torch fails in several ways
        if isinstance(error, ModuleNotFoundError) and error.name == "timm":
            raise UsageError("networks of timm need it: pip install 'seewhy[timm]'") from None
        raise UsageError(
            f"timm cannot be imported ({first_line(error)}): it needs the torchvision that was built for "
            f"torch {torch.__version__}; install both from one index (https://pytorch.org/get-started)"
        ) from None
