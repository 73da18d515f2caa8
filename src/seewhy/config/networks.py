"""Which network, and its options: one record a network, named for it; `models/` implements them."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seewhy.config.pretrained import LITE0, LITE1, LITE2, Pretrained
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


class ResNet18Options(NetworkOptions):
    implementation = "resnet:ResNet18"
    # Three halvings leave more than one position: batch norm needs two, also of a single image.
    minimum_size = 9
    parameters, flops = 11_173_962, 1_110_845_440

    width: Annotated[float, WIDTH] = 1.0


class SpeedNetOptions(NetworkOptions):
    implementation = "speednet:SpeedNet"
    minimum_size = 17  # the last map then has 2x2 places, so batch norm can train on one image
    parameters, flops = 790_232, 96_797_760

    width: Annotated[float, WIDTH] = 1.0


class EfficientNetLiteOptions(NetworkOptions):
    """Options of all sizes of EfficientNet-Lite."""

    minimum_size = (
        33  # five halvings, rounded up, leave 2x2 places, so batch norm can train on one image
    )
    widened: ClassVar[float]  # channels, as a multiple of those of the smallest
    deepened: ClassVar[float]  # blocks

    dropout: Annotated[float, DROPOUT] = 0.2
    enlarge: Annotated[int | None, ENLARGE] = None


class EfficientNetLite0Options(EfficientNetLiteOptions):
    implementation = "efficientnet_lite:EfficientNetLite0"
    parameters, flops = 3_383_918, 0
    widened, deepened = 1.0, 1.0
    pretrained = LITE0


class EfficientNetLite1Options(EfficientNetLiteOptions):
    implementation = "efficientnet_lite:EfficientNetLite1"
    parameters, flops = 0, 0
    widened, deepened = 1.0, 1.1
    pretrained = LITE1


class EfficientNetLite2Options(EfficientNetLiteOptions):
    implementation = "efficientnet_lite:EfficientNetLite2"
    parameters, flops = 0, 0
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
    "speednet": SpeedNetOptions,
    "efficientnet_lite0": EfficientNetLite0Options,
    "efficientnet_lite1": EfficientNetLite1Options,
    "efficientnet_lite2": EfficientNetLite2Options,
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
