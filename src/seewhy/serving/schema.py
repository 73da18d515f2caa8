"""What `/openapi.json` says of requests and answers; the routes themselves write plain dictionaries."""

from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from seewhy.registry.records import Outcome


class Fault(BaseModel):
    """Why an image has no result."""

    code: str
    message: str


class RequestFault(Fault):
    """Why a request has no answer."""

    request_id: str


class Refused(BaseModel):
    """The answer to a request that fails as a whole."""

    error: RequestFault


class Score(BaseModel):
    """A class and its calibrated confidence."""

    label: str
    confidence: float


class Result(BaseModel):
    """What is said of one image: where `status` is "error" the fields `file` and `error` alone."""

    file: str
    status: Literal["ok", "error"]
    label: str | None = None
    confidence: float | None = None
    answer: str | None = None
    top: list[Score] | None = None
    frames_ignored: bool = False
    error: Fault | None = None


class ModelName(BaseModel):
    """The model that has answered."""

    name: str
    digest: str


class Predicted(BaseModel):
    """The answer of `POST /predict`."""

    request_id: str
    model: ModelName
    results: list[Result]


class Explained(BaseModel):
    """The answer of `POST /explain`; images are PNGs in base64, `values` the map, signed."""

    request_id: str
    model: ModelName
    file: str
    label: str
    confidence: float
    answer: str
    target: str
    method: str
    methods: list[str]
    size: int
    image: str
    map: str
    values: list[list[float]]
    faithfulness: dict[str, Any] | None


MOST_NUMBER = 100_000  # of an image in its request
ImageNumber = Annotated[int, Path(ge=0, le=MOST_NUMBER)]


class RightLabel(BaseModel):
    """The body of `POST /feedback`."""

    model_config = ConfigDict(extra="forbid")

    request_id: str = Field(max_length=64)
    image: int = Field(0, ge=0, le=MOST_NUMBER, description="number of the image in its request")
    label: str | None = Field(max_length=1000, description="its class; null: withdraw the label")


class Labelled(RightLabel):
    """The answer of `POST /feedback`."""

    outcome: Outcome


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, as FastAPI takes them."""
    return {
        status: {"model": Refused, "description": HTTPStatus(status).phrase} for status in statuses
    }


EVERYWHERE = refusals(400, 401, 403, 404, 405, 408, 422, 431, 500, 503)
WITH_IMAGES = refusals(413, 415, 429)


def body(many: bool) -> dict[str, Any]:
    """The body of a route that takes images: a form, or one image by itself."""
    file = {"type": "string", "format": "binary"}
    field = {"type": "array", "items": file, "minItems": 1} if many else file
    form = {"type": "object", "properties": {"file": field}, "required": ["file"]}
    content = {"multipart/form-data": form, "application/octet-stream": file}
    return {
        "requestBody": {
            "required": True,
            "description": "a form with fields `file`, or one image with a content type image/* or "
            "application/octet-stream",
            "content": {kind: {"schema": schema} for kind, schema in content.items()},
        }
    }
