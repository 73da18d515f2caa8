"""A bundle's metadata, as a closed schema."""

import json
import unicodedata
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    field_validator,
    model_validator,
)

from seewhy.config.input_rule import InputRule
from seewhy.config.names import View, each_once
from seewhy.evaluation.decision.record import Decision

FORMAT_VERSION = 2  # 1 had no `stored`, and rules without fit and depth
ONNX_FORMAT_VERSION = 1
MAX_FACTS = 2**18
CUSTOM, ENSEMBLE = "custom", "ensemble"  # architectures that are no names of `NETWORKS`
MOST_MEMBERS = 32  # of an ensemble: half of the parents that a bundle may name

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Architecture(_Strict):
    """What builds the network again, without its weights."""

    name: str = Field(
        max_length=64,
        description="a name of `NETWORKS`, ensemble, or custom: the user's own",
    )
    arguments: dict[str, JsonValue] = Field(
        default_factory=dict, description="the options it was built with, beside classes and size"
    )


class Member(_Strict):
    """One network of an ensemble, and how its logits become probabilities of the ensemble's classes."""

    name: str = Field(max_length=64, description="a name of `NETWORKS`")
    arguments: dict[str, JsonValue] = Field(description="as those of `Architecture`")
    views: tuple[View, ...] = Field(
        min_length=1, max_length=len(get_args(View)), description="its TTA views"
    )
    temperature: float = Field(gt=0, le=1000, description="divides its logits")
    order: tuple[int, ...] | None = Field(
        None, description="the place of each class among its logits; None: the same order"
    )


class EnsembleArguments(_Strict):
    """The arguments of the architecture `ensemble`."""

    members: tuple[Member, ...] = Field(min_length=2, max_length=MOST_MEMBERS)


class Metadata(_Strict):
    """The metadata of a bundle, except its digest."""

    format_version: Literal[1, 2] = Field(default=2, description="how the file is laid out")
    created_by: str = Field(max_length=64, description="the version of SeeWhy that wrote it")
    architecture: Architecture
    classes: tuple[str, ...] = Field(
        min_length=1, max_length=100_000, description="names in the order of the logits"
    )
    rule: InputRule
    stored: Digest | None = Field(
        None, description="of generated images as the rule stores them (`golden.stored_digest`)"
    )
    decision: Decision
    views: Annotated[tuple[View, ...], AfterValidator(each_once)] = Field(
        min_length=1,
        max_length=len(get_args(View)),
        description="the test-time augmentation (TTA) views; their logits are averaged",
    )
    facts: dict[str, JsonValue] = Field(
        description="how it was trained and what it reached; at most 256 KiB of JSON"
    )
    fingerprint: Digest | Literal[""] = Field(description="of the training data; empty if unknown")
    parents: tuple[Digest, ...] = Field(
        max_length=64, description="digests of the bundles that it was made from"
    )

    @field_validator("classes")
    @classmethod
    def _plain_and_distinct(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        for name in classes:
            if not 1 <= len(name) <= 256:
                raise ValueError(f"a name has {len(name):,} characters, not 1 to 256")
            if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
                raise ValueError(f"the name {name[:40]!r} has a control character")
        if len(set(classes)) < len(classes):
            raise ValueError("two classes have one name")
        return classes

    @model_validator(mode="after")
    def _means_fit(self) -> "Metadata":
        if self.decision.scope is None:
            return self
        means = self.decision.scope.means
        if (self.decision.scope.score == "similarity") != bool(means):
            raise ValueError("class means go with similarity, and it with them")
        if means and (len(means) != len(self.classes) or len(set(map(len, means))) != 1):
            raise ValueError("similarity needs one mean a class, all of one length")
        return self

    @model_validator(mode="after")
    def _format_fits(self) -> "Metadata":
        if (self.format_version == 1) != (self.stored is None):
            raise ValueError("format 2 has the digest of stored images, and format 1 has none")
        if self.format_version == 1 and (self.rule.fit, self.rule.depth) != ("crop", None):
            raise ValueError("format 1 has no fit and no depth")
        return self

    @field_validator("facts")
    @classmethod
    def _small(cls, facts: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if len(json.dumps(facts, ensure_ascii=False, allow_nan=False).encode()) > MAX_FACTS:
            raise ValueError(f"more than {MAX_FACTS:,} bytes of JSON")
        return facts


class OnnxMetadata(_Strict):
    """The metadata of an ONNX file, except its digest and its golden logits."""

    format_version: Literal[1] = Field(1, description="how the file is laid out")
    bundle: Digest = Field(description="digest of the bundle that it was exported from")
    precision: Literal["fp32", "int8"] = Field(description="of its weights and activations")
    parameters: int = Field(ge=0, description="how many weights its network has")
    mean: tuple[float, float, float] | None = Field(
        description="the colour, 0 to 1, by which the network centres images; None if not known"
    )
    model: Metadata = Field(description="that of the bundle")
