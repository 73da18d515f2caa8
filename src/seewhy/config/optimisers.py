"""The optimisers' options, one record an optimiser; `training/optimisers.py` builds them."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from seewhy.config.variants import Variant

MOMENTUM: Any = Field(
    ge=0, lt=1, description="Nesterov momentum (0 to 1); default 0.9 with sgd, 0.95 with muon"
)

FIXED_NORM: Any = Field(
    description="kernels keep their norm, and `lr` is the share of it by which a step turns them; for "
    "networks with a norm after each kernel"
)
ADAMW_LR: Any = Field(
    gt=0,
    le=1000,
    description="learning rate of what is left to AdamW (biases, norms, the last layer), as a multiple of "
    "`lr`",
)


class Optimiser(Variant):
    """Options of an optimiser, and the size of its state."""

    tensors_kept: ClassVar[int]  # most tensors in its state for a weight tensor, of the same size


class Sgd(Optimiser):
    """Stochastic gradient descent with Nesterov momentum."""

    tensors_kept = 1

    momentum: Annotated[float, MOMENTUM] = 0.9


class Adam(Optimiser):
    """Adam (Kingma 2014); weight decay is added to the gradient."""

    tensors_kept = 2


class AdamW(Optimiser):
    """Adam whose weight decay is separate from the step (Loshchilov 2017)."""

    tensors_kept = 2


class Muon(Optimiser):
    """Muon (Jordan 2024) for kernels and hidden matrices, AdamW for the rest, at the same rate."""

    tensors_kept = 2  # AdamW's; Muon's is one

    momentum: Annotated[float, MOMENTUM] = 0.95
    fixed_norm: Annotated[bool, FIXED_NORM] = False
    adamw_lr: Annotated[float, ADAMW_LR] = 1.0


OPTIMISERS: dict[str, type[Optimiser]] = {
    "sgd": Sgd,
    "adam": Adam,
    "adamw": AdamW,
    "muon": Muon,
}
