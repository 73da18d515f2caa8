"""The learning-rate schedules' options, one record a schedule; `training/schedules.py` computes them."""

from typing import Any

from pydantic import Field

from seewhy.config.variants import Variant


class Warmed(Variant):
    """A schedule that can rise in a line before it begins."""

    warmup: float | None = Field(None, gt=0, description="epochs of linear rise to `lr`")

    def require_fit(self, section: Any) -> None:
        if self.warmup is not None and self.warmup >= section.epochs:
            raise ValueError(f"warmup ({self.warmup} epochs) leaves none of {section.epochs}")


class Constant(Warmed):
    """One rate."""


class Cosine(Warmed):
    """Half a cosine down (Loshchilov & Hutter 2017)."""

    final_lr: float | None = Field(
        None, gt=0, description="learning rate at the end; 0 where not given"
    )

    def require_fit(self, section: Any) -> None:
        super().require_fit(section)
        if self.final_lr is not None and self.final_lr >= section.lr:
            raise ValueError(f"final_lr ({self.final_lr:g}) must be below lr ({section.lr:g})")


class OneCycle(Variant):
    """A cosine up for 30% of the run, and one down to 1e-4 (Smith & Topin 2018)."""


class Plateau(Warmed):
    """Lower whenever `monitor` stops improving."""

    plateau_factor: float = Field(
        0.5, gt=0, lt=1, description="multiplies the rate at a plateau; 0.5 where not given"
    )
    plateau_patience: int = Field(
        5, ge=1, description="epochs without a better `monitor`; 5 where not given"
    )


class Range(Variant):
    """A range test: from a millionth up by one factor every step (Smith 2017); see `seewhy find-lr`."""


SCHEDULES: dict[str, type[Variant]] = {
    "constant": Constant,
    "cosine": Cosine,
    "one_cycle": OneCycle,
    "plateau": Plateau,
    "range": Range,
}
