"""Networks for phones: EfficientNet, EfficientNet-Lite and MobileNetV3."""

from typing import Annotated, ClassVar

from seewhy.config.networks.options import DROP_PATH, DROPOUT, WIDTH, PretrainedOptions, StemOptions
from seewhy.config.pretrained import LITE0, LITE1, LITE2, Pretrained


class EfficientNetB0Options(PretrainedOptions, StemOptions):
    implementation = "efficientnet:EfficientNetB0"
    minimum_size, minimum_size_imagenet = 9, 33  # the last map has 2x2 positions
    parameters, flops = 4_020_358, 232_334_336
    pretrained = Pretrained("hf-hub:timm/efficientnet_b0.ra_in1k", "Apache-2.0")

    width: Annotated[float, WIDTH] = 1.0
    dropout: Annotated[float, DROPOUT] = 0.2
    drop_path: Annotated[float | None, DROP_PATH] = None


class EfficientNetLiteOptions(PretrainedOptions, StemOptions):
    """Options of all sizes of EfficientNet-Lite."""

    minimum_size, minimum_size_imagenet = 9, 33  # the last map has 2x2 positions
    widened: ClassVar[float]  # channels, as a multiple of those of the smallest
    deepened: ClassVar[float]  # blocks

    dropout: Annotated[float, DROPOUT] = 0.2
    drop_path: Annotated[float | None, DROP_PATH] = None


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


class MobileNetV3Options(PretrainedOptions, StemOptions):
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
