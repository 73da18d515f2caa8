"""Which network, and its options: one record a network, named for it; `models/` implements them."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seewhy.config.pretrained import Pretrained
from seewhy.config.variants import Variant, chosen, flat

STORED_COST = (32, 10)  # pixels a side, classes
KERAS_MOMENTUM = 0.01  # Keras's momentum is 1 minus this: its 0.99 keeps 99% of the average

WIDTH: Any = Field(
    ge=0.125,
    le=4,
    description="multiplies the network's channels (0.125 to 4); the cost grows with its square",
)
DROPOUT: Any = Field(
    ge=0, le=0.95, description="share of the activations that each dropout layer drops (0 to 0.95)"
)
BATCH_NORM: Any = Field(description="whether the convolutions have batch norm")
BATCH_NORM_MOMENTUM: Any = Field(
    gt=0,
    le=1,
    description="weight of each batch in the running mean and variance (0 to 1), as PyTorch defines "
    "it; Keras's momentum is 1 minus this. Larger is better for short training runs",
)
PATCH: Any = Field(
    ge=2,
    le=32,
    description="side of each patch in pixels (2 to 32); default: 4 for images of up to 64 pixels, else 16",
)

DROP_PATH: Any = Field(
    ge=0,
    lt=1,
    description="stochastic depth: share of the images for which the last residual branch is left out in "
    "training, fewer for earlier ones (0 to 1)",
)
STEM: Any = Field(
    description="first layers: small keeps the resolution, imagenet divides the side by four; auto is small "
    "for images of up to 64 pixels"
)


class NetworkOptions(Variant):
    """Options of a network, and facts about it that need no torch."""

    implementation: ClassVar[str]  # module:class within seewhy.models
    minimum_size: ClassVar[int]  # smallest image side in pixels that the network accepts
    parameters: ClassVar[int]  # at the size and the classes of `STORED_COST`
    flops: ClassVar[int]  # for one image, there; a multiply-add counts two
    pretrained: ClassVar[Pretrained | None] = None  # what `model.weights: imagenet` reads
    # (name in old bundles and checkpoints, name today) of parts of the network, all applied in order
    renamed: ClassVar[tuple[tuple[str, str], ...]] = ()


class OptionalNorms(NetworkOptions):
    """Options of a network whose norms can be removed."""

    @model_validator(mode="after")
    def _momentum_needs_norms(self) -> Self:
        fields = self.model_dump()
        if fields["batch_norm_momentum"] is not None and not fields["batch_norm"]:
            raise ValueError("batch_norm_momentum has no effect without batch_norm=true: set both")
        return self


class SimpleCNNOptions(NetworkOptions):
    implementation = "simple_cnn:SimpleCNN"
    minimum_size = 4  # two halvings leave one position
    parameters, flops = 545_098, 12_257_792


class RegularizedCNNOptions(NetworkOptions):
    implementation = "simple_cnn:RegularizedCNN"
    minimum_size = 4  # two halvings leave one position
    parameters, flops = 545_290, 12_257_792

    dropout: Annotated[float, DROPOUT] = 0.5


class StridedCNNOptions(NetworkOptions):
    implementation = "strided_cnn:StridedCNN"
    minimum_size = 4  # at stride 1; a longer stride needs more
    parameters, flops = 60_554, 11_288_576

    stride: int = Field(1, ge=1, le=3, description="stride of each convolution in pixels (1 to 3)")
    kernel: int = Field(
        3, ge=3, le=4, description="side of each convolution's kernel in pixels (3 or 4)"
    )
    batch_norm_momentum: Annotated[float, BATCH_NORM_MOMENTUM] = KERAS_MOMENTUM


class DeepCNNOptions(OptionalNorms):
    implementation = "deep_cnn:DeepCNN"
    minimum_size = 8  # three halvings leave one position
    parameters, flops = 550_570, 77_793_792

    activation: Literal["sigmoid", "tanh", "relu"] = Field(
        "sigmoid", description="activation after each convolution"
    )
    batch_norm: Annotated[bool, BATCH_NORM] = False
    dropout: Annotated[float, DROPOUT] = 0.0
    # None is 0.1, PyTorch's, where there are norms.
    batch_norm_momentum: Annotated[float | None, BATCH_NORM_MOMENTUM] = None


class AdvancedCNNOptions(NetworkOptions):
    implementation = "advanced_cnn:AdvancedCNN"
    minimum_size = 8  # three halvings leave one position
    parameters, flops = 638_730, 79_565_824

    dropout: Annotated[float | None, DROPOUT] = (
        None  # one rate in place of five that grow with depth
    )
    batch_norm_momentum: Annotated[float, BATCH_NORM_MOMENTUM] = KERAS_MOMENTUM


class PhotoCNNOptions(OptionalNorms):
    implementation = "photo_cnn:PhotoCNN"
    minimum_size = 8  # two halvings leave 2x2: batch norm needs more than one
    parameters, flops = 129_290, 20_714_496

    dropout: Annotated[float, DROPOUT] = 0.5
    batch_norm: Annotated[bool, BATCH_NORM] = True
    # None is Keras's, where there are norms.
    batch_norm_momentum: Annotated[float | None, BATCH_NORM_MOMENTUM] = None


class ResNetOptions(NetworkOptions):
    # Three halvings leave more than one position: batch norm needs two, also of a single image.
    minimum_size = 9

    width: Annotated[float, WIDTH] = 1.0
    stem: Annotated[Literal["auto", "small", "imagenet"], STEM] = "auto"
    attention: Literal["se", "cbam"] | None = Field(
        None,
        description="gates in every block: of the channels (se, squeeze-excitation), or of channels and "
        "places (cbam)",
    )
    drop_path: Annotated[float | None, DROP_PATH] = None


class ResNet18Options(ResNetOptions):
    implementation = "resnet:ResNet18"
    parameters, flops = 11_173_962, 1_110_845_440
    pretrained = Pretrained("hf-hub:timm/resnet18.a1_in1k", "Apache-2.0")
    renamed = (
        ("stem.conv", "conv1"),
        ("stem.norm", "bn1"),
        ("stage1", "layer1"),
        ("stage2", "layer2"),
        ("stage3", "layer3"),
        ("stage4", "layer4"),
        ("norm1", "bn1"),
        ("norm2", "bn2"),
        ("shortcut.conv", "downsample.0"),
        ("shortcut.norm", "downsample.1"),
        ("head.classes", "fc"),
    )


class ResNet34Options(ResNetOptions):
    implementation = "resnet:ResNet34"
    parameters, flops = 21_282_122, 2_318_804_992
    pretrained = Pretrained("hf-hub:timm/resnet34.a1_in1k", "Apache-2.0")


class ResNet50Options(ResNetOptions):
    implementation = "resnet:ResNet50"
    parameters, flops = 23_520_842, 2_595_659_776
    pretrained = Pretrained("hf-hub:timm/resnet50.a1_in1k", "Apache-2.0")


class WideResNetOptions(NetworkOptions):
    implementation = "wide_resnet:WideResNet"
    minimum_size = 5  # two halvings leave more than one position, as batch norm needs
    parameters, flops = 2_748_890, 785_224_704

    depth: Literal[16, 22, 28, 40] = Field(16, description="number of layers (16, 22, 28 or 40)")
    widen: int = Field(
        4, ge=1, le=12, description="multiplies the channels 16, 32 and 64 of the stages (1 to 12)"
    )
    dropout: Annotated[float, DROPOUT] = 0.0
    stem: Annotated[Literal["auto", "small", "imagenet"], STEM] = "auto"
    drop_path: Annotated[float | None, DROP_PATH] = None


class SpeedNetOptions(NetworkOptions):
    implementation = "speednet:SpeedNet"
    minimum_size = 17  # the last map then has 2x2 places, so batch norm can train on one image
    parameters, flops = 790_232, 96_797_760

    width: Annotated[float, WIDTH] = 1.0


class FeaturePyramidOptions(ResNetOptions):
    implementation = "feature_pyramid:FeaturePyramid"
    parameters, flops = 11_433_290, 1_201_015_296


class PatchesOptions(NetworkOptions):
    """Options of every vision transformer."""

    minimum_size = 8  # 2x2 patches of 4 pixels

    patch: Annotated[int | None, PATCH] = None
    drop_path: Annotated[float | None, DROP_PATH] = None


class VitOptions(PatchesOptions):
    implementation = "vision_transformer:Vit"
    parameters, flops = 2_693_578, 324_730_752

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
    parameters, flops = 5_362_762, 689_246_592
    pretrained = _vit_weights("vit_tiny_patch16_224.augreg_in21k_ft_in1k")


class VitSmallOptions(PatchesOptions):
    implementation = "vision_transformer:VitSmall"
    parameters, flops = 21_342_346, 2_683_183_872
    pretrained = _vit_weights("vit_small_patch16_224.augreg_in21k_ft_in1k")


NETWORKS: dict[str, type[NetworkOptions]] = {
    "simple_cnn": SimpleCNNOptions,
    "regularized_cnn": RegularizedCNNOptions,
    "strided_cnn": StridedCNNOptions,
    "deep_cnn": DeepCNNOptions,
    "advanced_cnn": AdvancedCNNOptions,
    "photo_cnn": PhotoCNNOptions,
    "resnet18": ResNet18Options,
    "resnet34": ResNet34Options,
    "resnet50": ResNet50Options,
    "wide_resnet": WideResNetOptions,
    "speednet": SpeedNetOptions,
    "fpn": FeaturePyramidOptions,
    "vit": VitOptions,
    "vit_tiny": VitTinyOptions,
    "vit_small": VitSmallOptions,
}


@flat(name=NETWORKS)
class ModelConfig(BaseModel):
    """Which network, and its options; an option that is not set is the network's default."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str = Field("speednet", description="which network; `seewhy models` lists them")

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        chosen(self, "name", NETWORKS)
        return self

    @property
    def options(self) -> NetworkOptions:
        """The options of the named network, with its defaults."""
        return chosen(self, "name", NETWORKS)
