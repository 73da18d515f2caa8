"""Refusals, as the HTTP status and the JSON that a client gets."""

from dataclasses import dataclass
from typing import Any

from seewhy.errors import ImageError

# Of an image that is the only one of its request; 422 for all other codes.
IMAGE_STATUS = {"unsupported_format": 415, "too_large": 413}

HTTP_CODES = {404: "not_found", 405: "method_not_allowed"}


@dataclass(eq=False)
class Refusal(Exception):
    """A request that is not answered: its HTTP status, a code for programs and a sentence for people.

    The message never holds what the client sent, a path or a name of the code.
    """

    status: int
    code: str
    message: str
    retry_after: int | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return headers | ({"WWW-Authenticate": "Bearer"} if self.status == 401 else {})


def busy(what: str) -> Refusal:
    """A refusal of a request that may be sent again."""
    return Refusal(429, "busy", f"{what}: try again in a second", retry_after=1)


def not_ready(message: str) -> Refusal:
    """A refusal while the server starts or stops."""
    return Refusal(503, "not_ready", message, retry_after=1)


def long_headers(most: int) -> Refusal:
    """A refusal of a request whose line and headers have more than `most` bytes."""
    return Refusal(431, "headers_too_large", f"the headers may have at most {most:,} bytes")


def of_image(error: ImageError) -> Refusal:
    """The refusal of a request whose only image cannot be used."""
    return Refusal(IMAGE_STATUS.get(error.code, 422), error.code, str(error))


def error_json(code: str, message: str, request_id: str) -> dict[str, Any]:
    """The body of a refused request."""
    return {"error": {"code": code, "message": message, "request_id": request_id}}
