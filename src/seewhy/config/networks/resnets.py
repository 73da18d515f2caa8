"""ResNets, wide ones, and a feature pyramid on one."""

from typing import Annotated, Literal

from pydantic import Field

from seewhy.config.networks.options import (
    DEPTH,
    DROP_PATH,
    DROPOUT,
    WIDTH,
    PretrainedOptions,
    StemOptions,
    ThreeStageOptions,
)
from seewhy.config.pretrained import Pretrained


class ResNetOptions(PretrainedOptions, StemOptions):
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


class FeaturePyramidOptions(ResNetOptions):
    implementation = "feature_pyramid:FeaturePyramid"
    parameters, flops = 11_433_290, 1_201_015_296


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
