"""The fields: bounded, off by default, and refused where they would have no effect."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from seewhy.config.augment import AugmentConfig


@pytest.mark.parametrize(
    "options",
    [
        {"crop_padding": 4, "random_resized_crop": 0.3},
        {"padding_mode": "zero"},
        {"padding_mode": "nearest", "random_resized_crop": 0.3},
        {"padding_mode": "reflect", "crop_padding": 0},
        {"padding_mode": "edge", "crop_padding": 4},
        {"flip": 0},
        {"flip": 1.1},
        {"flip": math.nan},
        {"crop_padding": -1},
        {"crop_padding": 257},
        {"random_resized_crop": 1},
        {"random_resized_crop": 0.04},
        {"brightness": 0},
        {"brightness": 1.1},
        {"contrast": 0},
        {"erasing": 0},
        {"erasing": 2},
        {"mixup": 0},
        {"cutmix": 101},
        {"rotate": 0},
        {"rotate": 181},
        {"shift": 1.1},
        {"zoom": 1},
        {"shear": 90},
        {"saturation": 1.1},
        {"hue": 0.6},
        {"tilt": 10},
    ],
)
def test_what_contradicts_has_no_effect_or_is_out_of_range_is_refused(
    options: dict[str, Any],
) -> None:
    with pytest.raises(ValidationError):
        AugmentConfig(**options)


@pytest.mark.parametrize("field", ["rotate", "shift", "zoom", "shear"])
def test_what_is_beyond_the_edges_matters_to_every_warp(field: str) -> None:
    assert AugmentConfig(**{field: 0.1, "padding_mode": "nearest"}).warps
    assert not AugmentConfig(crop_padding=2, random_resized_crop=None).warps


def test_the_configuration_is_frozen_off_by_default_and_described() -> None:
    config = AugmentConfig()
    assert set(config.model_dump().values()) == {None}
    with pytest.raises(ValidationError):
        config.flip = 0.5  # type: ignore[misc]
    assert all(field.description for field in AugmentConfig.model_fields.values())
