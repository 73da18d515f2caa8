"""Vision transformers (Dosovitskiy 2020, arXiv:2010.11929) whose last map shows what each patch contributes.

Arithmetic and parameter names are timm's, except that the end of the last block and the last norm are parts
of the head here (the weights' card in `config.networks` has these names).
"""

from collections.abc import Mapping
from math import isqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from seewhy.config.networks.transformers import PatchesOptions, VitOptions
from seewhy.errors import UsageError
from seewhy.models.drop_path import DropPath
from seewhy.models.network import Network

MOST_PATCHES = 4096  # attention costs the square of their number
NORM_EPSILON = 1e-6
WEIGHT_STD = 0.02
CLASS_TOKEN_STD = 1e-6


class PatchEmbed(nn.Module):
    """A vector for each patch."""

    def __init__(self, patch: int, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.proj(x)  # (N, C, h, w)
        return y


class Tokens(nn.Module):
    """Tokens (N, 1 + h * w, C) of maps (N, C, h, w): class token and patches, with their positions."""

    def __init__(self, patches: int, channels: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, channels))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + patches, channels))

    def forward(self, maps: Tensor) -> Tensor:
        patches = maps.flatten(2).transpose(1, 2)  # (N, h * w, C)
        x = torch.cat([self.cls_token.expand(len(maps), -1, -1), patches], 1)
        return x + resampled(self.pos_embed, maps.shape[2], maps.shape[3])


def resampled(positions: Tensor, height: int, width: int) -> Tensor:
    """Position embeddings (1, 1 + n * n, C), the class token's first, for another grid of patches.

    Returns (1, 1 + height * width, C), by antialiased bicubic interpolation, as timm does.
    """
    side = round((positions.shape[1] - 1) ** 0.5)
    if (height, width) == (side, side):
        return positions
    maps = positions[:, 1:].transpose(1, 2).unflatten(2, (side, side))  # (1, C, n, n)
    maps = F.interpolate(maps, (height, width), mode="bicubic", antialias=True)
    return torch.cat([positions[:, :1], maps.flatten(2).transpose(1, 2)], 1)


def scores(queries: Tensor, keys: Tensor) -> Tensor:
    """How queries (N, heads, Q, D) attend to keys (N, heads, T, D), before softmax: (N, heads, Q, T)."""
    return queries * queries.shape[3] ** -0.5 @ keys.transpose(2, 3)


class DotProduct(nn.Module):
    """Scaled dot-product attention (Vaswani 2017, arXiv:1706.03762): (N, T, 3 C) to (N, T, C)."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, qkv: Tensor) -> Tensor:
        q, k, v = self.by_head(qkv)
        if q.is_cpu and q.dtype == torch.bfloat16 and q.requires_grad:
            # PyTorch's kernel is 1.5 to 7 times as slow, nearly all of it in its backward pass.
            y = (scores(q, k).softmax(3) @ v).to(v.dtype)
        else:
            y = F.scaled_dot_product_attention(q, k, v)
        return y.transpose(1, 2).flatten(2)

    def by_head(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (N, heads, T, C / heads)."""
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return q, k, v


class DotProductByPatch(DotProduct):
    """What attention gives the class token, by patch: (N, 1 + P, 3 C) to (N, P, C), whose mean it is.

    Given its weights, attention is a sum over the tokens: each patch has its own term times P, and the class
    token's term.
    """

    def forward(self, qkv: Tensor) -> Tensor:
        q, k, v = self.by_head(qkv)
        weights = scores(q[:, :, :1], k).softmax(3)  # (N, heads, 1, 1 + P)
        terms = (weights.transpose(2, 3) * v).transpose(1, 2).flatten(2)
        return terms[:, :1] + terms[:, 1:] * (terms.shape[1] - 1)


class Attention(nn.Module):
    """Multi-head self-attention of tokens (N, T, C)."""

    def __init__(self, channels: int, product: DotProduct) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.product = product
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.proj(self.product(self.qkv(x)))
        return y


class Mlp(nn.Module):
    """Two linear layers on each token, four times as wide between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 4 * channels)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(self.act(self.fc1(x)))
        return y


class Block(nn.Module):
    """Attention and an MLP, each beside a shortcut and after a norm."""

    def __init__(self, channels: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.attn = Attention(channels, DotProduct(heads))
        self.drop_path1 = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm2 = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.mlp = Mlp(channels)
        self.drop_path2 = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path1(self.attn(self.norm1(x)))
        return x + self.drop_path2(self.mlp(self.norm2(x)))


class LastAttention(nn.Module):
    """The attention of the last block, as a vector for each patch; their mean is the class token after it."""

    def __init__(self, channels: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.attn = Attention(channels, DotProductByPatch(heads))
        self.drop_path1 = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] + self.drop_path1(self.attn(self.norm1(x)))  # (N, h * w, C)


class Head(nn.Module):
    """The mean over the patches, which is the class token; the last MLP, the norm and the last layer."""

    def __init__(self, channels: int, num_classes: int, drop_path: float) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.norm2 = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.mlp = Mlp(channels)
        self.drop_path2 = DropPath(drop_path) if drop_path else nn.Identity()
        self.norm = nn.LayerNorm(channels, eps=NORM_EPSILON)
        self.classes = nn.Linear(channels, num_classes)

    def forward(self, maps: Tensor) -> Tensor:
        x = self.pool(maps).flatten(1)  # (N, C)
        x = x + self.drop_path2(self.mlp(self.norm2(x)))
        logits: Tensor = self.classes(self.norm(x))
        return logits


class VisionTransformer(Network):
    """Blocks of attention over patches and a class token, which after the last of them gives the class.

    The map (N, C, h, w) that the head takes is a vector for each patch: the class token as it was before the
    last attention, plus what that attention adds to it from the patch, times the number of patches. Their
    mean is the class token, exactly. So the embedding of an image is its class token, and Grad-CAM shows what
    each patch contributes to the class, to first order; what the class token knew before counts the same
    everywhere. (With the patches before the last block as the map and the class token spread over them, that
    equal share outweighed all differences between places, `docs/log.md`.) What the last block makes of the
    patches themselves is not computed, as the class does not depend on it: 6% fewer FLOPs at 12 blocks, same
    logits.

    Images of other sizes than `size` are accepted, and weights of another grid can be loaded: the position
    embeddings are resampled. Pixels at the right and the bottom that fill no patch are not seen.
    """

    def __init__(
        self,
        num_classes: int,
        size: int,
        options: PatchesOptions,
        depth: int,
        channels: int,
        heads: int,
    ) -> None:
        super().__init__(num_classes, size, options)
        patch = options.patch_side(size)
        self.patch_embed = PatchEmbed(patch, channels)
        self.tokens = Tokens(_patches(options.inner_size(size), patch), channels)
        last = options.drop_path or 0.0
        rates = [last * block / max(depth - 1, 1) for block in range(depth - 1)]
        self.blocks = nn.Sequential(
            *(Block(channels, heads, rate) for rate in rates), LastAttention(channels, heads, last)
        )
        self.head = Head(channels, num_classes, last)
        if not self.tokens.pos_embed.is_meta:
            self._draw_weights()

    def features(self, x: Tensor) -> Tensor:
        maps = self.patch_embed(self.normalize(x))  # (N, C, h, w): h = H / patch
        x = self.blocks(self.tokens(maps))  # (N, h * w, C)
        return x.transpose(1, 2).unflatten(2, maps.shape[2:])  # (N, C, h, w)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Loads weights as `nn.Module` does, position embeddings also of another grid."""
        return super().load_state_dict(self.fitting(state_dict), strict, assign)

    def fitting(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        positions = tensors.get("tokens.pos_embed")
        if positions is None or positions.ndim != 3 or not _is_grid(positions):
            return tensors
        side = round((self.tokens.pos_embed.shape[1] - 1) ** 0.5)
        # In float32, as halves are not resampled on every device.
        return {**tensors, "tokens.pos_embed": resampled(positions.float(), side, side)}

    def _draw_weights(self) -> None:
        nn.init.trunc_normal_(self.tokens.pos_embed, std=WEIGHT_STD)
        nn.init.normal_(self.tokens.cls_token, std=CLASS_TOKEN_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=WEIGHT_STD)
                nn.init.zeros_(module.bias)


class Vit(VisionTransformer):
    """A small one for thumbnails; `blocks`, `embedding` and `heads` set its size."""

    def __init__(self, num_classes: int, size: int, options: VitOptions) -> None:
        shape = options.blocks, options.embedding, options.heads
        super().__init__(num_classes, size, options, *shape)


class VitTiny(VisionTransformer):
    """ViT-Ti (Touvron 2020, arXiv:2012.12877): 12 blocks of 192 channels and 3 heads."""

    def __init__(self, num_classes: int, size: int, options: PatchesOptions) -> None:
        super().__init__(num_classes, size, options, depth=12, channels=192, heads=3)


class VitSmall(VisionTransformer):
    """ViT-S (Touvron 2020, arXiv:2012.12877): 12 blocks of 384 channels and 6 heads."""

    def __init__(self, num_classes: int, size: int, options: PatchesOptions) -> None:
        super().__init__(num_classes, size, options, depth=12, channels=384, heads=6)


def _is_grid(positions: Tensor) -> bool:
    """Whether position embeddings (1, 1 + P, C) are of a square of patches: with more tokens they are not."""
    patches = positions.shape[1] - 1
    return patches > 0 and isqrt(patches) ** 2 == patches


def _patches(size: int, patch: int) -> int:
    patches = (size // patch) ** 2
    if patches == 0:
        raise UsageError(
            f"patches of {patch} pixels do not fit into images of {size} pixels a side: choose a smaller "
            "patch"
        )
    if patches > MOST_PATCHES:
        raise UsageError(
            f"images of {size} pixels have {patches:,} patches of {patch} pixels, more than "
            f"{MOST_PATCHES:,}: choose a larger patch or smaller images"
        )
    return patches
