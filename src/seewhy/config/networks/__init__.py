"""Which network, and its options: one record a network, named for it; `models/` implements them."""

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from seewhy.config.networks.classic import (
    DenseNet121Options,
    DenseNetOptions,
    InceptionOptions,
    VGG11BNOptions,
)
from seewhy.config.networks.efficient import (
    EfficientNetB0Options,
    EfficientNetLite0Options,
    EfficientNetLite1Options,
    EfficientNetLite2Options,
    MobileNetV3LargeOptions,
    MobileNetV3SmallOptions,
)
from seewhy.config.networks.options import NetworkOptions
from seewhy.config.networks.resnets import (
    FeaturePyramidOptions,
    ResNet18Options,
    ResNet34Options,
    ResNet50Options,
    WideResNetOptions,
)
from seewhy.config.networks.small import (
    AdvancedCNNOptions,
    DeepCNNOptions,
    PhotoCNNOptions,
    RegularizedCNNOptions,
    SimpleCNNOptions,
    SpeedNetOptions,
    StridedCNNOptions,
)
from seewhy.config.networks.timm import TIMM, TimmOptions, timm_options
from seewhy.config.networks.transformers import (
    VitOptions,
    VitSmallOptions,
    VitTinyOptions,
)
from seewhy.config.variants import chosen, flat

STORED_COST = (32, 10)  # pixels a side, classes
MEASURED = Path(__file__).with_name("measured.json")  # what they reached; benchmarks/networks.py

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
    "fpn": FeaturePyramidOptions,
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
    "vit": VitOptions,
    "vit_tiny": VitTinyOptions,
    "vit_small": VitSmallOptions,
}


def network_options(name: str) -> type[NetworkOptions]:
    """The record of a network, one of `NETWORKS` or `timm/NAME`. Raises `KeyError` for another name."""
    return timm_options(name) if name.startswith(TIMM) else NETWORKS[name]


def _or_of_timm(name: Any, known: ValidatorFunctionWrapHandler) -> Any:
    """Accepts every `timm/NAME`: whether there is such a network, timm says when it is built."""
    return name if isinstance(name, str) and name.startswith(TIMM) else known(name)


@flat(name={**NETWORKS, f"{TIMM}NAME": TimmOptions})
class ModelConfig(BaseModel):
    """Which network, and its options; an option that is not set is the network's default."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: Annotated[str, WrapValidator(_or_of_timm)] = Field(
        "speednet",
        description="which network; `seewhy models` lists them, `timm/NAME` is any of timm's",
    )
    weights: str | None = Field(
        None,
        description="pretrained weights to start from: imagenet (those known for the network), a .safetensors"
        " file, or hf-hub:OWNER/NAME[@REVISION]; None: random",
    )

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        _ = self.options
        return self

    @property
    def options(self) -> NetworkOptions:
        """The options of the named network, with its defaults."""
        return chosen(self, "name", {**NETWORKS, self.name: network_options(self.name)})
