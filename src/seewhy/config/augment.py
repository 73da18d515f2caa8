"""Augmentation of training images: one frozen record of typed fields."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LEVELS = 30  # the highest magnitude of a policy's operations


class AugmentConfig(BaseModel):
    """Augmentation of training images; a field that is not set is off."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    flip: float | None = Field(
        None, gt=0, le=1, description="chance of mirroring left and right (0 to 1)"
    )
    alternate_flip: bool | None = Field(
        None,
        description="mirror by turns, not by chance: half of the images in even epochs, the others in odd "
        "ones (Jordan 2024, arXiv:2404.00498)",
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
    policy: Literal["rand", "trivial", "auto"] | None = Field(
        None,
        description="operations drawn for each image: several of one magnitude (RandAugment, Cubuk 2019), "
        "one of any magnitude (TrivialAugment, Mueller 2021), or a pair found for CIFAR-10 (AutoAugment, "
        "Cubuk 2018)",
    )
    policy_number: int | None = Field(
        None,
        ge=1,
        le=10,
        description="operations for each image (1 to 10) of policy rand; default 2",
    )
    policy_magnitude: int | None = Field(
        None,
        ge=1,
        le=LEVELS,
        description="magnitude (1 to 30) of all operations of policy rand; default 9",
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
        if self.alternate_flip and self.flip != 0.5:
            raise ValueError("alternate_flip mirrors half of the images: set flip to 0.5")
        if self.padding_mode is not None and not self.crop_padding and not self.warps:
            raise ValueError(
                "padding_mode has no effect without crop_padding, rotate, shift, zoom or shear: set "
                "one of them or leave it out"
            )
        for name in ("policy_number", "policy_magnitude"):
            if getattr(self, name) is not None and self.policy != "rand":
                raise ValueError(
                    f"{name} has no effect without policy: rand (`{name}: none` clears it)"
                )
        return self

    @property
    def operations_per_image(self) -> int:
        """The operations of policy `rand` for each image."""
        return self.policy_number or 2

    @property
    def level(self) -> float:
        """The magnitude of policy `rand` as a share of the highest."""
        return (self.policy_magnitude or 9) / LEVELS

    @property
    def warps(self) -> bool:
        """Whether pixels are interpolated, because of `rotate`, `shift`, `zoom` or `shear`."""
        return any(value is not None for value in (self.rotate, self.shift, self.zoom, self.shear))
