"""Small networks: those that teach one thing each, and `speednet`, the fast one."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from seewhy.config.networks.options import (
    BATCH_NORM,
    BATCH_NORM_MOMENTUM,
    DROPOUT,
    KERAS_MOMENTUM,
    WIDTH,
    NetworkOptions,
    OptionalNorms,
)


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


Channels = Annotated[int, Field(ge=8, le=2048)]


def _tuple(value: object) -> object:
    """The list of a file as a tuple."""
    return tuple(value) if isinstance(value, list) else value


class SpeedNetOptions(NetworkOptions):
    implementation = "speednet:SpeedNet"
    minimum_size = 17  # the last map then has 2x2 places, so batch norm can train on one image
    parameters, flops = 790_232, 96_797_760

    width: Annotated[float, WIDTH] = 1.0
    channels: Annotated[tuple[Channels, ...], BeforeValidator(_tuple)] = Field(
        (48, 128, 192),
        min_length=3,
        max_length=3,
        description="channels of the three blocks (8 to 2048 each), before `width`",
    )
    convolutions: int = Field(
        2, ge=2, le=3, description="convolutions of each block (2 or 3); the third is residual"
    )
