"""Vision transformers."""

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from seewhy.config.networks.options import DROP_PATH, LARGEST_SMALL, PretrainedOptions
from seewhy.config.pretrained import Pretrained

PATCH: Any = Field(
    ge=2,
    le=32,
    description="side of each patch in pixels (2 to 32); default: 4 for images of up to 64 pixels, else 16",
)


class PatchesOptions(PretrainedOptions):
    """Options of every vision transformer."""

    minimum_size = 8  # 2x2 patches of 4 pixels

    patch: Annotated[int | None, PATCH] = None
    drop_path: Annotated[float | None, DROP_PATH] = None

    def patch_side(self, size: int) -> int:
        """The side of each patch in pixels, for images of `size`."""
        return self.patch or (4 if self.inner_size(size) <= LARGEST_SMALL else 16)


class VitOptions(PatchesOptions):
    implementation = "vision_transformer:Vit"
    parameters, flops = 2_693_578, 324_657_024

    blocks: int = Field(6, ge=1, le=24, description="number of transformer blocks (1 to 24)")
    embedding: int = Field(192, ge=16, le=1024, description="channels of each token (16 to 1024)")
    heads: int = Field(3, ge=1, le=16, description="attention heads of each block (1 to 16)")

    @model_validator(mode="after")
    def _heads_share_the_channels(self) -> Self:
        if self.embedding % self.heads:
            raise ValueError(
                f"{self.heads} heads cannot share {self.embedding} channels equally: choose an embedding "
                "that is a multiple of heads"
            )
        return self


def _vit_weights(name: str) -> Pretrained:
    """Weights of timm's ViT of 12 blocks, the end of the last and the last norm as parts of the head."""
    half = (0.5, 0.5, 0.5)
    renamed = (
        ("head.", "head.classes."),
        ("norm.", "head.norm."),
        ("blocks.11.norm2.", "head.norm2."),
        ("blocks.11.mlp.", "head.mlp."),
        ("cls_token", "tokens.cls_token"),
        ("pos_embed", "tokens.pos_embed"),
    )
    return Pretrained(f"hf-hub:timm/{name}", "Apache-2.0", mean=half, std=half, renamed=renamed)


class VitTinyOptions(PatchesOptions):
    implementation = "vision_transformer:VitTiny"
    parameters, flops = 5_362_762, 689_172_864
    pretrained = _vit_weights("vit_tiny_patch16_224.augreg_in21k_ft_in1k")


class VitSmallOptions(PatchesOptions):
    implementation = "vision_transformer:VitSmall"
    parameters, flops = 21_342_346, 2_682_888_960
    pretrained = _vit_weights("vit_small_patch16_224.augreg_in21k_ft_in1k")
