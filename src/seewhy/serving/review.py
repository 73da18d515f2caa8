"""The page at `/review`, where a person says which class is right; its routes need the operator's token."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import FastAPI, Query, Request, Response

from seewhy.errors import SeeWhyError
from seewhy.serving.errors import Refusal
from seewhy.serving.feedback import record_label
from seewhy.serving.page import page_file
from seewhy.serving.recording import Recorder
from seewhy.serving.schema import ImageNumber, Labelled
from seewhy.serving.service import Service

if TYPE_CHECKING:
    from seewhy.registry.feedback import Feedback
    from seewhy.registry.reviewing import ToReview

# Images are those of other people: the API key, which clients have, does not open them.
SCOPES = {
    "/review": "public",
    "/review/queue": "review",
    "/review/image/{request_id}/{image}": "review",
    "/review/label": "review",
}
KEYS = 9  # classes that have a key of their own
T = TypeVar("T")


def add_review(app: FastAPI, service: Service, recorder: Recorder) -> None:
    """Adds the page and its routes."""

    @app.get("/review", include_in_schema=False)
    async def page() -> Response:
        return page_file("review.html")

    @app.get("/review/queue", include_in_schema=False)
    async def queue(most: Annotated[int, Query(ge=1, le=500)] = 20) -> dict[str, Any]:
        """Answers to look at, and how many there are; without what was answered, so that it sways nobody."""
        classes = service.classes()
        waiting = await _asked(recorder, lambda feedback: feedback.to_review(most))
        counts = await _asked(recorder, lambda feedback: feedback.count_to_review())
        items = [_item(one, classes.get(one.name, ())) for one in waiting]
        used = {one.name for one in waiting}
        others = {name: list(known) for name, known in classes.items() if name in used}
        return {"items": items, "counts": counts, "classes": others}

    @app.get("/review/image/{request_id}/{image}", include_in_schema=False)
    async def image(request_id: str, image: ImageNumber) -> Response:
        return await kept_image(recorder, request_id, image)

    @app.post("/review/label", include_in_schema=False)
    async def label(request: Request) -> Labelled:
        return await record_label(request, service, "review")


async def kept_image(recorder: Recorder, request_id: str, image: int) -> Response:
    """The file of a kept image. Raises `Refusal` where it is not kept, or not any more."""
    data = await _asked(recorder, lambda feedback: feedback.image(request_id, image))
    if data is None:
        raise Refusal(404, "no_image", "the image is not kept, or not any more")
    kind = "image/jpeg" if data.startswith(b"\xff\xd8") else "image/png"
    return Response(data, media_type=kind)


def _item(one: "ToReview", classes: tuple[str, ...]) -> dict[str, Any]:
    """An answer to look at.

    Its classes are those of the model, in their order, so that each has the same key at all times; of many,
    the most probable ones, in the same order.
    """
    likely = {*one.top, *([one.shadow_label] if one.shadow_label else [])}
    names = list(classes) if 0 < len(classes) <= KEYS else sorted(likely)[:KEYS]
    about = {"request_id": one.request_id, "image": one.image, "model": one.name, "at": one.at}
    return {**about, "kept": one.kept, "classes": names}


async def _asked(recorder: Recorder, ask: "Callable[[Feedback], T]") -> T:
    """What the registry answers. Raises `Refusal` while it is away."""
    try:
        return await asyncio.to_thread(lambda: ask(recorder.feedback()))
    except SeeWhyError:
        message = "the registry cannot be reached now: try again later"
        raise Refusal(503, "feedback_unavailable", message, retry_after=5) from None
