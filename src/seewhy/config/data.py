"""How a source of pictures becomes train, validation and test: one frozen record of typed fields."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class DataConfig(BaseModel):
    """How a source becomes train, validation and test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int = Field(
        32,
        ge=1,
        le=1024,
        description="largest input side in pixels; where most pictures are smaller, theirs is taken",
    )
    val: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="part of train drawn for validation where the source has none; a source without "
        "any split is cut 70/20/10, unless `test` is given",
    )
    test: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="part drawn for test, beside `val`, of a source without any split",
    )
    split_seed: int = Field(0, ge=0, description="seed of the drawn splits and of the limit")
    limit: int | None = Field(
        None, ge=1, description="training pictures kept, the same share of each class; None: all"
    )
    folds: int | None = Field(
        None, ge=2, le=1000, description="parts that train and val are cut into, each once val"
    )
    fold: int | None = Field(
        None, ge=0, description="which of the `folds` is val, from 0; groups are never parted"
    )
    layout: str | None = Field(
        None, description="how the source is laid out, where it is not plain; None: recognised"
    )
    group_from: str | None = Field(
        None,
        description="what must not be parted by a split: a pattern with one (group) matched in "
        "each path, or a column of a table or of parquet",
    )
    on_bad: Literal["error", "skip"] = Field(
        "error", description="what a picture that cannot be read does: stop, or be left out"
    )
    max_bad: float = Field(
        0.01, ge=0, le=1, description="largest part of the pictures that skip may leave out"
    )

    @model_validator(mode="after")
    def _a_fold_is_one_of_the_folds(self) -> Self:
        if (self.fold is None) != (self.folds is None):
            raise ValueError("fold and folds go together: give both or neither")
        if self.fold is not None and self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold counts from 0 to {self.folds - 1}, this is {self.fold}")
        return self

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> Self:
        if self.test is not None and self.val + self.test >= 1:
            raise ValueError(f"val {self.val} and test {self.test} leave nothing to train on")
        return self

    @property
    def held_out(self) -> tuple[int, int] | None:
        """Which of how many folds is val; None where val is drawn or given."""
        return None if self.fold is None or self.folds is None else (self.fold, self.folds)
