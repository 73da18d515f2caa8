"""How an image becomes the square input of a network: one frozen record, part of the model file."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class InputRule(BaseModel):
    """How an image becomes the square input of a network; part of the model file.

    Version 1: decoding as in `data/images/decode.py`, then the shorter side resized to `store` pixels by
    antialiased bicubic, cropped to the centre square, of which the central `size` pixels are evaluated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(ge=1, le=1024, description="side of the network's square input, pixels")
    store: int = Field(ge=1, le=2048, description="side of the square that is stored, pixels")
    version: Literal[1] = Field(1, description="of the rule itself")

    @model_validator(mode="after")
    def _size_fits(self) -> "InputRule":
        if self.size > self.store:
            raise ValueError(f"size {self.size} is larger than the stored side {self.store}")
        return self

    @staticmethod
    def resolve(size: int, shorter_side: int) -> "InputRule":
        """Returns the rule for an input of at most `size` pixels from images of `shorter_side`.

        Photographs are stored 1.15 times as large, so that training can crop from them; an input of
        up to 64 pixels is stored at its size. Nothing is enlarged beyond `shorter_side`.
        """
        store = min(size if size <= 64 else round(1.15 * size), shorter_side)
        return InputRule(size=min(size, store), store=store)
