"""How training pictures are varied: one frozen record of typed fields."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class AugmentConfig(BaseModel):
    """How training pictures are varied; a field left out is off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flip: float | None = Field(
        None, gt=0, le=1, description="chance of mirroring left and right (0 to 1)"
    )
    crop_padding: int | None = Field(
        None,
        ge=0,
        le=256,
        description="pixels added on every side before a crop at a random place (0 to 256); 0 "
        "crops from the stored picture as it is",
    )
    padding_mode: Literal["reflect", "nearest", "zero"] | None = Field(
        None,
        description="what is shown beyond the picture's edges: the mirrored picture (default), its "
        "nearest pixel (Keras's ImageDataGenerator) or black",
    )
    random_resized_crop: float | None = Field(
        None,
        ge=0.05,
        lt=1,
        description="smallest share of the picture's area (0.05 to 1) that a crop of random area "
        "and of aspect 3/4 to 4/3 may take before it is resized (Szegedy 2014)",
    )
    rotate: float | None = Field(
        None, gt=0, le=180, description="turned by up to so many degrees (0 to 180) either way"
    )
    shift: float | None = Field(
        None,
        gt=0,
        le=1,
        description="moved by up to this part of the side (0 to 1), down or up and right or left",
    )
    zoom: float | None = Field(
        None,
        gt=0,
        le=0.9,
        description="the side of what is seen is multiplied by 1 ± this (0 to 0.9); more is smaller",
    )
    shear: float | None = Field(
        None, gt=0, le=60, description="slanted by up to so many degrees (0 to 60) either way"
    )
    brightness: float | None = Field(
        None, gt=0, le=1, description="brightness is multiplied by 1 ± this (0 to 1)"
    )
    contrast: float | None = Field(
        None, gt=0, le=1, description="distance from mean grey is multiplied by 1 ± this (0 to 1)"
    )
    saturation: float | None = Field(
        None, gt=0, le=1, description="colourfulness is multiplied by 1 ± this (0 to 1)"
    )
    hue: float | None = Field(
        None,
        gt=0,
        le=0.5,
        description="colours are turned by up to this part of the circle (0 to 0.5) either way",
    )
    erasing: float | None = Field(
        None,
        gt=0,
        le=1,
        description="chance of painting a box of 2% to 40% of the area in the picture's mean "
        "colour (random erasing, Zhong 2017)",
    )
    mixup: float | None = Field(
        None,
        ge=0.01,
        le=100,
        description="alpha (0.01 to 100) of the Beta draw of the share kept when a picture and its "
        "target are blended with another's (Zhang 2017); larger blends more",
    )
    cutmix: float | None = Field(
        None,
        ge=0.01,
        le=100,
        description="alpha (0.01 to 100) of the Beta draw of the area kept when a box of another "
        "picture is pasted and the targets blended (Yun 2019); with mixup, each takes half the "
        "images",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.crop_padding is not None and self.random_resized_crop is not None:
            raise ValueError("crop_padding and random_resized_crop exclude each other: choose one")
        if self.padding_mode is not None and not self.crop_padding and not self.warps:
            raise ValueError(
                "padding_mode has no effect without crop_padding, rotate, shift, zoom or shear: set "
                "one of them or leave it out"
            )
        return self

    @property
    def warps(self) -> bool:
        """Whether pixels are read between pixels, at places that `rotate` and its kin move."""
        return any(value is not None for value in (self.rotate, self.shift, self.zoom, self.shear))
