"""What a model file keeps of how its logits become an answer."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scope(_Strict):
    """How out-of-distribution (OOD) images are recognised."""

    score: Literal["probability", "max_logit", "energy", "similarity"] = Field(
        description="which score of `evaluation.decision.ood` is used; higher is more familiar"
    )
    threshold: float = Field(description="an image that scores less is out of distribution")
    means: tuple[tuple[float, ...], ...] = Field(
        default=(),
        max_length=100_000,
        description="for similarity: the mean direction of each class's embeddings, unit vectors",
    )


class Decision(_Strict):
    """How logits become an answer. Fitted on validation data, before the bundle is written."""

    temperature: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="divides the logits before the softmax: above 1 the answers are less sure",
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description='the least confidence for an answer; below it: "not sure"',
    )
    scope: Scope | None = Field(
        default=None, description='how an image is seen to be "out of distribution"; None: never'
    )
