"""Which network, and its options: one frozen record of typed fields."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class ModelConfig(BaseModel):
    """Which net, and its options; an option left out is the net's own default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("speednet", description="which net; `seewhy models` lists them")
    width: float | None = Field(
        None,
        ge=0.125,
        le=4,
        description="channels, as a multiple of the net's own (0.125 to 4); the cost grows as its "
        "square",
    )
    dropout: float | None = Field(
        None,
        ge=0,
        le=0.95,
        description="share of the activations that each dropout layer drops (0 to 0.95)",
    )
    batch_norm: bool | None = Field(None, description="whether the convolutions have batch norm")
    batch_norm_momentum: float | None = Field(
        None,
        gt=0,
        le=1,
        description="weight of each batch in the running mean and variance (0 to 1), as PyTorch "
        "counts it; Keras's momentum is 1 minus this. Larger suits short trainings",
    )
    activation: Literal["sigmoid", "tanh", "relu"] | None = Field(
        None, description="what follows each convolution"
    )
    stride: int | None = Field(
        None, ge=1, le=3, description="pixels from place to place of each convolution (1 to 3)"
    )
    kernel: int | None = Field(
        None, ge=3, le=4, description="side of each convolution's kernel in pixels (3 or 4)"
    )
