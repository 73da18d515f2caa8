"""The route that takes the right class of an image that was answered."""

import re

from fastapi import FastAPI, Request
from pydantic import ValidationError

from seewhy.config.options import first_fault
from seewhy.data.sources.corrected import NONE
from seewhy.serving.errors import Refusal
from seewhy.serving.recording import REFUSALS, Said
from seewhy.serving.schema import Labelled, RightLabel, refusals
from seewhy.serving.service import Service

REQUEST_ID = re.compile("[0-9a-f]{32}")


def add_feedback(app: FastAPI, service: Service) -> None:
    """Adds the route that takes labels."""
    schema = RightLabel.model_json_schema()
    body = {"required": True, "content": {"application/json": {"schema": schema}}}

    @app.post(
        "/feedback",
        responses={200: {"model": Labelled}, **refusals(413)},
        openapi_extra={"requestBody": body},
    )
    async def feedback(request: Request) -> Labelled:
        """Takes the right class of an image that was answered; `null` withdraws it.

        `request_id` is that of the answer, `image` the number of the image in its request, from 0. The same
        label again changes nothing; another one replaces it. The server must record answers (`--feedback`).
        """
        return await record_label(request, service, "client")


async def record_label(request: Request, service: Service, source: str) -> Labelled:
    """Records the label in the body of a request. Raises `Refusal`."""
    if service.recorder is None:
        message = "this server records no answers: its operator starts it with --feedback"
        raise Refusal(404, "no_feedback", message)
    service.require_models()  # whose classes are needed to check it
    right = await _body(request, service.settings.text_bytes)
    if not REQUEST_ID.fullmatch(right.request_id):
        status, message = REFUSALS["unknown_request"]
        raise Refusal(status, "unknown_request", message)
    classes = {name: (*known, NONE) for name, known in service.classes().items()}
    said = Said(right.request_id, right.image, right.label, source, classes)
    return Labelled(**right.model_dump(), outcome=await service.recorder.label(said))


async def _body(request: Request, most: int) -> RightLabel:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise Refusal(413, "too_large", f"a label may have at most {most:,} bytes")
    try:
        return RightLabel.model_validate_json(bytes(data))
    except ValidationError as error:
        field, reason, _ = first_fault(error)
        message = (
            f"{field or 'body'}: {reason}" if field in RightLabel.model_fields else "no such JSON"
        )
        raise Refusal(422, "invalid_parameter", message) from None
