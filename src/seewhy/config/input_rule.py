"""How an image becomes the square input of a network: one frozen record, part of the model file."""

import hashlib
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fit = Literal["crop", "pad", "squash"]
Interpolation = Literal["bicubic", "bilinear"]
PADDING = 128  # grey level on both sides of a padded image, in all three channels


class Side(NamedTuple):
    """A side of an image and of its square: `length` pixels from `start` fill `stored` from `offset`."""

    start: int
    length: int
    offset: int
    stored: int


class InputRule(BaseModel):
    """How an image becomes the square input of a network; part of the model file.

    Decoding is as in `data/images/decode.py`. Then antialiased interpolation makes a square of `store` pixels
    a side, by `fit`: "crop" keeps the centre square and leaves out the rest; "pad" keeps the whole image at
    its shape, between bars of grey (`PADDING`); "squash" keeps the whole image and changes its shape. The
    three are equal for a square image. The central `size` pixels are evaluated, and training crops from all.

    A bundle of format 1 has neither `fit` nor `depth`: it crops, and keeps the upper byte of 16 bits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    size: int = Field(ge=1, le=1024, description="side of the network's square input, pixels")
    store: int = Field(ge=1, le=2048, description="side of the square that is stored, pixels")
    fit: Fit = Field("crop", description="how an elongated image becomes a square")
    depth: tuple[float, float] | None = Field(
        None,
        description="the values of more than 8 bits that become 0 and 255, with those between in proportion; "
        "None: each keeps its upper byte",
    )
    interpolation: Interpolation = Field("bicubic", description="how images are resized")
    version: Literal[1] = Field(1, description="of decoding and resizing")

    @model_validator(mode="after")
    def _size_fits(self) -> "InputRule":
        if self.size > self.store:
            raise ValueError(f"size {self.size} is larger than the stored side {self.store}")
        if self.depth is not None and not 0 <= self.depth[0] < self.depth[1] <= 65_535:
            raise ValueError(f"depth {self.depth} is no range within 0 to 65,535")
        return self

    @staticmethod
    def resolve(
        size: int, shorter_side: int, fit: Fit = "crop", interpolation: Interpolation = "bicubic"
    ) -> "InputRule":
        """Returns the rule for an input of at most `size` pixels from images of `shorter_side`.

        Photographs are stored 1.15 times as large, so that training can crop from them; an input of
        up to 64 pixels is stored at its size. Nothing is enlarged beyond `shorter_side`.
        """
        store = min(size if size <= 64 else round(1.15 * size), shorter_side)
        side = min(size, store)
        return InputRule(size=side, store=store, fit=fit, interpolation=interpolation)

    def __str__(self) -> str:
        text = f"{self.store}x{self.store} ({self.fit}), the network sees {self.size}x{self.size}"
        if self.depth is not None:
            text += f", more than 8 bits from {self.depth[0]:g} to {self.depth[1]:g}"
        return text

    @property
    def key(self) -> str:
        """Names the stored pixels: rules of one key store the same, and differ in `size` alone."""
        later = {"interpolation"} if self.interpolation == "bicubic" else set()  # keys of before it
        rule = self.model_dump_json(exclude={"size", *later})
        return f"store-{self.store}-{hashlib.sha256(rule.encode()).hexdigest()[:16]}"

    def sides(self, width: int, height: int) -> tuple[Side, Side]:
        """Returns where an image lies in its stored square, from left to right and from top to bottom."""
        return self._side(width, height), self._side(height, width)

    def _side(self, length: int, other: int) -> Side:
        match self.fit:
            case "crop":
                kept = min(length, other)
                return Side((length - kept) // 2, kept, 0, self.store)
            case "squash":
                return Side(0, length, 0, self.store)
            case "pad":
                stored = max(1, round(self.store * length / max(length, other)))
                return Side(0, length, (self.store - stored) // 2, stored)

    def seen(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Returns the part of an upright image that the network's input shows, as left, top, right, bottom.

        In pixels of the image, whose corner is (0, 0). The input is this box scaled to `size` x `size`; with
        "pad" it may reach beyond the image, where the input is grey.
        """
        margin = (self.store - self.size) // 2
        (left, right), (top, bottom) = (
            [
                side.start + (edge - side.offset) * side.length / side.stored
                for edge in (margin, margin + self.size)
            ]
            for side in self.sides(width, height)
        )
        return left, top, right, bottom
