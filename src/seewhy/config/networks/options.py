"""What the options of several networks have in common: base records, and fields that many have."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from seewhy.config.pretrained import Pretrained
from seewhy.config.variants import Variant

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
    le=1024,
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
        """The smallest side in pixels of the images that the layers take with these options."""
        return self.minimum_size

    def inner_size(self, size: int) -> int:
        """The side in pixels at which the layers see images of `size`."""
        return size


class PretrainedOptions(NetworkOptions):
    """Options of a network that has pretrained weights, which are of photographs."""

    enlarge: Annotated[int | None, ENLARGE] = None

    def inner_size(self, size: int) -> int:
        return max(size, self.enlarge or 0)


class StemOptions(NetworkOptions):
    """Options of a network whose stem fits the size of the images."""

    minimum_size_imagenet: ClassVar[int]  # smallest image side with ImageNet's stem

    stem: Annotated[Literal["auto", "small", "imagenet"], STEM] = "auto"

    def has_small_stem(self, size: int) -> bool:
        return self.stem == "small" or (
            self.stem == "auto" and self.inner_size(size) <= LARGEST_SMALL
        )

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
