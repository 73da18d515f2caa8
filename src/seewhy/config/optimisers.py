"""The optimisers' options, one record an optimiser; `training/optimisers.py` builds them."""

from typing import ClassVar

from pydantic import Field

from seewhy.config.variants import Variant


class Optimiser(Variant):
    """Options of an optimiser, and the size of its state."""

    tensors_kept: ClassVar[int]  # tensors in its state for each weight tensor, of the same size


class Sgd(Optimiser):
    """Stochastic gradient descent with Nesterov momentum."""

    tensors_kept = 1

    momentum: float = Field(0.9, ge=0, lt=1, description="Nesterov momentum; default 0.9")


class Adam(Optimiser):
    """Adam (Kingma 2014); weight decay is added to the gradient."""

    tensors_kept = 2


class AdamW(Optimiser):
    """Adam whose weight decay is separate from the step (Loshchilov 2017)."""

    tensors_kept = 2


OPTIMISERS: dict[str, type[Optimiser]] = {"sgd": Sgd, "adam": Adam, "adamw": AdamW}
