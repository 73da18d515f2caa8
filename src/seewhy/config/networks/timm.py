"""The networks of timm, which has more than a thousand: `timm/NAME`."""

from functools import cache
from typing import Annotated, ClassVar

from seewhy.config.networks.options import DROP_PATH, DROPOUT, PretrainedOptions

TIMM = "timm/"  # what their names start with


class TimmOptions(PretrainedOptions):
    """Options of any network of timm; which of them it takes, and which images, timm knows."""

    implementation = "timm:TimmNetwork"
    minimum_size = 1
    timm_name: ClassVar[str]  # also with the tag of weights, as "resnet10t.c3_in1k"

    dropout: Annotated[float | None, DROPOUT] = None
    drop_path: Annotated[float | None, DROP_PATH] = None


@cache
def timm_options(name: str) -> type[TimmOptions]:
    """The record of the network `timm/NAME`."""

    class Options(TimmOptions):
        timm_name = name.removeprefix(TIMM)

    return Options
