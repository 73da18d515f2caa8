"""How a source of images is split into train, val and test: one frozen record of typed fields."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from seewhy.config.input_rule import Fit, Interpolation


class DataConfig(BaseModel):
    """How a source is split into train, val and test."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    size: int = Field(
        32,
        ge=1,
        le=1024,
        description="largest input side in pixels; if most images are smaller, their side is used; where "
        "nothing sets it, that which pretrained weights were trained with, or 32",
    )
    fit: Fit | None = Field(
        None,
        description="how an elongated image becomes a square: cropped to its centre, padded with grey, or "
        "squashed; None: squashed, or cropped where all images are square, so that only new ones are cut",
    )
    interpolation: Interpolation | None = Field(
        None,
        description="how images are resized; None: as those that pretrained weights have seen, or bicubic",
    )
    depth: Literal["range", "upper_byte"] = Field(
        "range",
        description="how more than 8 bits a channel become 8: the range of the training images becomes 0 to "
        "255, or each value keeps its upper byte",
    )
    val: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="share of train drawn for validation if the source has none; a source without any "
        "split is split 70/20/10 where neither this nor `test` is given",
    )
    test: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share drawn for test, besides `val`, from a source without any split",
    )
    split_seed: int = Field(0, ge=0, description="seed of the drawn splits and of the limit")
    limit: int | None = Field(
        None, ge=1, description="training images kept, the same share of each class; None: all"
    )
    folds: int | None = Field(
        None, ge=2, le=1000, description="folds of train and val; each is val once"
    )
    fold: int | None = Field(
        None, ge=0, description="which of the `folds` is val, from 0; groups are kept together"
    )
    layout: str | None = Field(
        None, description="layout of the source, if it is ambiguous; None: recognised"
    )
    follow_links: bool = Field(
        False, description="read files behind links that lead out of the folder, too"
    )
    label_column: str | None = Field(
        None,
        description="column with the classes, of a table or of parquet, if several may be; None: `label`, "
        "or the only one",
    )
    group_from: str | None = Field(
        None,
        description="images kept together in one split: a pattern with one (group) that is matched in "
        "each path, or a column of a table or of parquet",
    )
    on_bad: Literal["error", "skip"] = Field(
        "error", description="if an image cannot be read: stop, or leave it out"
    )
    max_bad: float = Field(
        0.01, ge=0, le=1, description="largest share of the images that skip may leave out"
    )

    @property
    def names_val_alone(self) -> bool:
        """Whether the share of val is named and that of test is not; a stored recipe names both."""
        return self.model_fields_set & {"val", "test"} == {"val"}

    @model_validator(mode="after")
    def _a_fold_is_one_of_the_folds(self) -> Self:
        if (self.fold is None) != (self.folds is None):
            raise ValueError("fold and folds need each other: set both or neither")
        if self.fold is not None and self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold must be 0 to {self.folds - 1}, not {self.fold}")
        return self

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        if self.test is not None and self.val + self.test >= 1:
            raise ValueError(f"val {self.val} and test {self.test} leave nothing to train on")
        return self

    @property
    def held_out(self) -> tuple[int, int] | None:
        """The fold that is val, and the number of folds; None without folds."""
        return None if self.fold is None or self.folds is None else (self.fold, self.folds)
