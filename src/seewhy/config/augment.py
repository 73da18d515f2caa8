"""Augmentation of training images: one frozen record of typed fields."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class AugmentConfig(BaseModel):
    """Augmentation of training images; a field that is not set is off."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    flip: float | None = Field(
        None, gt=0, le=1, description="chance of mirroring left and right (0 to 1)"
    )
    crop_padding: int | None = Field(
        None,
        ge=0,
        le=256,
        description="pixels added on every side before a crop at a random position (0 to 256); 0 "
        "crops from the stored image without padding",
    )
    padding_mode: Literal["reflect", "nearest", "zero"] | None = Field(
        None,
        description="fill beyond the image's edges: the mirrored image (default), its nearest pixel "
        "(Keras's ImageDataGenerator) or black",
    )
    random_resized_crop: float | None = Field(
        None,
        ge=0.05,
        lt=1,
        description="smallest share of the image's area (0.05 to 1) that a crop of random area "
        "and of aspect 3/4 to 4/3 may take before it is resized (Szegedy 2014)",
    )
    rotate: float | None = Field(
        None, gt=0, le=180, description="rotate by up to this many degrees (0 to 180) either way"
    )
    shift: float | None = Field(
        None,
        gt=0,
        le=1,
        description="shift by up to this part of the side (0 to 1), vertically and horizontally",
    )
    zoom: float | None = Field(
        None,
        gt=0,
        le=0.9,
        description="multiply the side of the visible area by 1 ± this (0 to 0.9); a larger area "
        "shows objects smaller",
    )
    shear: float | None = Field(
        None, gt=0, le=60, description="shear by up to this many degrees (0 to 60) either way"
    )
    brightness: float | None = Field(
        None, gt=0, le=1, description="multiply the brightness by 1 ± this (0 to 1)"
    )
    contrast: float | None = Field(
        None, gt=0, le=1, description="multiply the distance from mean grey by 1 ± this (0 to 1)"
    )
    saturation: float | None = Field(
        None, gt=0, le=1, description="multiply the saturation by 1 ± this (0 to 1)"
    )
    hue: float | None = Field(
        None,
        gt=0,
        le=0.5,
        description="rotate the hue by up to this part of the circle (0 to 0.5) either way",
    )
    erasing: float | None = Field(
        None,
        gt=0,
        le=1,
        description="chance of painting a box of 2% to 40% of the area in the image's mean "
        "colour (random erasing, Zhong 2017)",
    )
    mixup: float | None = Field(
        None,
        ge=0.01,
        le=100,
        description="alpha (0.01 to 100) of the Beta draw of the share kept when an image and its "
        "target are blended with another's (Zhang 2017); larger blends more",
    )
    cutmix: float | None = Field(
        None,
        ge=0.01,
        le=100,
        description="alpha (0.01 to 100) of the Beta draw of the area kept when a box of another "
        "image is pasted and the targets blended (Yun 2019); with mixup, each takes half the "
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
        """Whether pixels are interpolated, because of `rotate`, `shift`, `zoom` or `shear`."""
        return any(value is not None for value in (self.rotate, self.shift, self.zoom, self.shear))
