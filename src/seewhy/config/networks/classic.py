"""VGG, GoogLeNet and DenseNet."""

from typing import Annotated, Any

from pydantic import Field

from seewhy.config.networks.options import (
    DEPTH,
    DROPOUT,
    WIDTH,
    PretrainedOptions,
    StemOptions,
    ThreeStageOptions,
)
from seewhy.config.pretrained import Pretrained

GROWTH: Any = Field(ge=4, le=64, description="maps that each layer of a dense block adds (4 to 64)")

# Prefixes of parameters in timm's `vgg11_bn`, and ours.
VGG_NAMES = (
    *(
        pair
        for layer, at in enumerate((0, 4, 8, 11, 15, 18, 22, 25), 1)
        for pair in ((f"features.{at}.", f"conv{layer}."), (f"features.{at + 1}.", f"norm{layer}."))
    ),
    ("pre_logits.", "head."),
)


class VGG11BNOptions(PretrainedOptions):
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


class InceptionOptions(StemOptions):
    implementation = "inception:GoogLeNet"
    minimum_size, minimum_size_imagenet = 9, 33  # the last map has 2x2 positions
    parameters, flops = 1_502_490, 240_740_352

    width: Annotated[float, WIDTH] = 0.5
    dropout: Annotated[float, DROPOUT] = 0.4


class DenseNetOptions(ThreeStageOptions):
    implementation = "densenet:DenseNet"
    minimum_size = 8  # two halvings leave 2x2 positions
    parameters, flops = 176_122, 144_730_704

    depth: Annotated[int, DEPTH] = 40
    growth: Annotated[int, GROWTH] = 12


class DenseNet121Options(PretrainedOptions, StemOptions):
    implementation = "densenet:DenseNet121"
    # Three halvings, each rounded down, leave 2x2 positions: batch norm needs two, also of a single image.
    minimum_size, minimum_size_imagenet = 16, 61
    parameters, flops = 6_956_426, 1_776_701_440
    pretrained = Pretrained(
        "hf-hub:timm/densenet121.ra_in1k", "Apache-2.0", renamed=(("features.", ""),)
    )

    growth: Annotated[int, GROWTH] = 32
