"""The learning-rate schedules' options, one record a schedule; `training/schedules.py` computes them."""

from typing import Any

from pydantic import Field

from seewhy.config.variants import Variant


class Warmed(Variant):
    """A schedule with an optional linear warm-up."""

    warmup: float | None = Field(None, gt=0, description="epochs of linear warm-up to `lr`")

    def require_fit(self, section: Any) -> None:
        if self.warmup is not None and self.warmup >= section.epochs:
            raise ValueError(
                f"warmup ({self.warmup} epochs) must be below epochs ({section.epochs})"
            )


class Constant(Warmed):
    """A constant rate."""


class Falling(Warmed):
    """A schedule that falls from `lr` to `final_lr`."""

    final_lr: float | None = Field(None, gt=0, description="learning rate at the end; default 0")

    def require_fit(self, section: Any) -> None:
        super().require_fit(section)
        if self.final_lr is not None and self.final_lr >= section.lr:
            raise ValueError(f"final_lr ({self.final_lr:g}) must be below lr ({section.lr:g})")


class Cosine(Falling):
    """Half a cosine from `lr` to `final_lr` (Loshchilov & Hutter 2017)."""


class Linear(Falling):
    """A straight line from `lr` to `final_lr`."""


class OneCycle(Variant):
    """Half a cosine up for 30% of the run, then half a cosine down to 1e-4 (Smith & Topin 2018)."""


class Plateau(Warmed):
    """Lowers the rate whenever `monitor` stops improving."""

    plateau_factor: float = Field(
        0.5, gt=0, lt=1, description="multiplies the rate at a plateau; default 0.5"
    )
    plateau_patience: int = Field(
        5, ge=1, description="epochs without a better `monitor`; default 5"
    )


class Range(Variant):
    """A range test: exponentially from 1e-6 of `lr` to `lr` (Smith 2017); see `seewhy find-lr`."""


SCHEDULES: dict[str, type[Variant]] = {
    "constant": Constant,
    "cosine": Cosine,
    "linear": Linear,
    "one_cycle": OneCycle,
    "plateau": Plateau,
    "range": Range,
}
