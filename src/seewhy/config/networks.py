"""Which network, and its options: one record a network, named for it; `models/` implements them."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from seewhy.config.pretrained import LITE0, LITE1, LITE2, Pretrained
from seewhy.config.variants import Variant, chosen, flat

STORED_COST = (32, 10)  # pixels a side, classes
LARGEST_SMALL = 64  # pixels: up to here `stem: auto` keeps the resolution
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
DEPTH: Any = Field(ge=10, le=250, description="number of layers, 6n + 4 (10 to 250)")
GROWTH: Any = Field(ge=4, le=64, description="maps that each layer of a dense block adds (4 to 64)")

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

ENLARGE: Any = Field(
    ge=32,
    le=512,
    description="side in pixels to which smaller images are enlarged (bicubic) inside the network: weights "
    "that were trained on photographs see little in a thumbnail",
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

    def least_size(self) -> int:
        """The smallest image side in pixels with these options."""
        return self.minimum_size


class StemOptions(NetworkOptions):
    """Options of a network whose stem fits the size of the images."""

    minimum_size_imagenet: ClassVar[int]  # smallest image side with ImageNet's stem

    stem: Annotated[Literal["auto", "small", "imagenet"], STEM] = "auto"

    def has_small_stem(self, size: int) -> bool:
        return self.stem == "small" or (self.stem == "auto" and size <= LARGEST_SMALL)

    def least_size(self) -> int:
        return self.minimum_size_imagenet if self.stem == "imagenet" else self.minimum_size


class ThreeStageOptions(NetworkOptions):
    """Options of a network whose three stages have two convolutions a block, and as many blocks each."""

    depth: Annotated[int, DEPTH]

    @field_validator("depth")
    @classmethod
    def _equal_stages(cls, depth: int) -> int:
        if depth % 6 != 4:
            below = (depth - 4) // 6 * 6 + 4
            raise ValueError(
                f"three equal stages have 6n + 4 layers: choose {below} or {below + 6}, not {depth}"
            )
        return depth


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


class ResNetOptions(StemOptions):
    # The last map has more than one position: batch norm needs two, also of a single image.
    minimum_size, minimum_size_imagenet = 9, 33

    width: Annotated[float, WIDTH] = 1.0
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


class WideResNetOptions(ThreeStageOptions, StemOptions):
    implementation = "wide_resnet:WideResNet"
    minimum_size, minimum_size_imagenet = 5, 17  # the last map has 2x2 positions
    parameters, flops = 2_748_890, 785_224_704

    depth: Annotated[int, DEPTH] = 16
    widen: int = Field(
        4, ge=1, le=12, description="multiplies the channels 16, 32 and 64 of the stages (1 to 12)"
    )
    dropout: Annotated[float, DROPOUT] = 0.0
    drop_path: Annotated[float | None, DROP_PATH] = None


class SpeedNetOptions(NetworkOptions):
    implementation = "speednet:SpeedNet"
    minimum_size = 17  # the last map then has 2x2 places, so batch norm can train on one image
    parameters, flops = 790_232, 96_797_760

    width: Annotated[float, WIDTH] = 1.0


class DenseNet121Options(StemOptions):
    implementation = "densenet:DenseNet121"
    # Three halvings, each rounded down, leave 2x2 positions: batch norm needs two, also of a single image.
    minimum_size, minimum_size_imagenet = 16, 61
    parameters, flops = 6_956_426, 1_776_701_440
    pretrained = Pretrained(
        "hf-hub:timm/densenet121.ra_in1k", "Apache-2.0", renamed=(("features.", ""),)
    )

    growth: Annotated[int, GROWTH] = 32


class DenseNetOptions(ThreeStageOptions):
    implementation = "densenet:DenseNet"
    minimum_size = 8  # two halvings leave 2x2 positions
    parameters, flops = 176_122, 144_730_704

    depth: Annotated[int, DEPTH] = 40
    growth: Annotated[int, GROWTH] = 12


# Prefixes of parameters in timm's `vgg11_bn`, and ours.
VGG_NAMES = (
    *(
        pair
        for layer, at in enumerate((0, 4, 8, 11, 15, 18, 22, 25), 1)
        for pair in ((f"features.{at}.", f"conv{layer}."), (f"features.{at + 1}.", f"norm{layer}."))
    ),
    ("pre_logits.", "head."),
)


class VGG11BNOptions(NetworkOptions):
    implementation = "vgg:VGG11BN"
    minimum_size = 32  # four halvings, each rounded down, leave 2x2 positions
    parameters, flops = 9_231_114, 305_539_072
    pretrained = Pretrained(
        "hf-hub:timm/vgg11_bn.tv_in1k",
        "BSD-3-Clause",
        interpolation="bilinear",
        renamed=VGG_NAMES,
    )

    width: Annotated[float, WIDTH] = 1.0
    dropout: Annotated[float, DROPOUT] = 0.5
    fully_connected: bool = Field(
        False,
        description="whether the head has the paper's two hidden layers of 4,096 units (120 million "
        "parameters) on 7x7 positions, instead of the mean over all positions",
    )


class EfficientNetB0Options(StemOptions):
    implementation = "efficientnet:EfficientNetB0"
    minimum_size, minimum_size_imagenet = 9, 33  # the last map has 2x2 positions
    parameters, flops = 4_020_358, 232_334_336
    pretrained = Pretrained("hf-hub:timm/efficientnet_b0.ra_in1k", "Apache-2.0")

    width: Annotated[float, WIDTH] = 1.0
    dropout: Annotated[float, DROPOUT] = 0.2
    drop_path: Annotated[float | None, DROP_PATH] = None


class InceptionOptions(StemOptions):
    implementation = "inception:GoogLeNet"
    minimum_size, minimum_size_imagenet = 9, 33  # the last map has 2x2 positions
    parameters, flops = 1_502_490, 240_740_352

    width: Annotated[float, WIDTH] = 0.5
    dropout: Annotated[float, DROPOUT] = 0.4


class MobileNetV3Options(StemOptions):
    """What the small and the large one have in common."""

    minimum_size, minimum_size_imagenet = 9, 33  # the last map has 2x2 positions

    width: Annotated[float, WIDTH] = 1.0
    dropout: Annotated[float, DROPOUT] = 0.2


class MobileNetV3SmallOptions(MobileNetV3Options):
    implementation = "mobilenet_v3:MobileNetV3Small"
    parameters, flops = 1_528_106, 35_014_656
    pretrained = Pretrained("hf-hub:timm/mobilenetv3_small_100.lamb_in1k", "Apache-2.0")


class MobileNetV3LargeOptions(MobileNetV3Options):
    implementation = "mobilenet_v3:MobileNetV3Large"
    parameters, flops = 4_214_842, 132_918_016
    pretrained = Pretrained("hf-hub:timm/mobilenetv3_large_100.ra_in1k", "Apache-2.0")


class EfficientNetLiteOptions(StemOptions):
    """Options of all sizes of EfficientNet-Lite."""

    minimum_size, minimum_size_imagenet = 9, 33  # the last map has 2x2 positions
    widened: ClassVar[float]  # channels, as a multiple of those of the smallest
    deepened: ClassVar[float]  # blocks

    dropout: Annotated[float, DROPOUT] = 0.2
    drop_path: Annotated[float | None, DROP_PATH] = None
    enlarge: Annotated[int | None, ENLARGE] = None

    def least_size(self) -> int:
        return super().least_size() if self.enlarge is None else 1

    def has_small_stem(self, size: int) -> bool:
        return super().has_small_stem(max(size, self.enlarge or 0))


class EfficientNetLite0Options(EfficientNetLiteOptions):
    implementation = "efficientnet_lite:EfficientNetLite0"
    parameters, flops = 3_383_818, 231_079_936
    widened, deepened = 1.0, 1.0
    pretrained = LITE0


class EfficientNetLite1Options(EfficientNetLiteOptions):
    implementation = "efficientnet_lite:EfficientNetLite1"
    parameters, flops = 4_148_490, 307_671_040
    widened, deepened = 1.0, 1.1
    pretrained = LITE1


class EfficientNetLite2Options(EfficientNetLiteOptions):
    implementation = "efficientnet_lite:EfficientNetLite2"
    parameters, flops = 4_823_882, 356_024_832
    widened, deepened = 1.1, 1.2
    pretrained = LITE2


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
    "densenet121": DenseNet121Options,
    "densenet": DenseNetOptions,
    "vgg11_bn": VGG11BNOptions,
    "efficientnet_b0": EfficientNetB0Options,
    "efficientnet_lite0": EfficientNetLite0Options,
    "efficientnet_lite1": EfficientNetLite1Options,
    "efficientnet_lite2": EfficientNetLite2Options,
    "inception": InceptionOptions,
    "mobilenet_v3_small": MobileNetV3SmallOptions,
    "mobilenet_v3_large": MobileNetV3LargeOptions,
}


@flat(name=NETWORKS)
class ModelConfig(BaseModel):
    """Which network, and its options; an option that is not set is the network's default."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: str = Field("speednet", description="which network; `seewhy models` lists them")
    weights: str | None = Field(
        None,
        description="pretrained weights to start from: imagenet (those known for the network), a .safetensors"
        " file, or hf-hub:OWNER/NAME[@REVISION]; None: random",
    )

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        chosen(self, "name", NETWORKS)
        return self

    @property
    def options(self) -> NetworkOptions:
        """The options of the named network, with its defaults."""
        return chosen(self, "name", NETWORKS)
