"""What only the operator may ask: metrics, status and reload, on a loopback port, with a token."""

import asyncio
from typing import Annotated, Any

from fastapi import FastAPI, Query, Response
from prometheus_client import CONTENT_TYPE_LATEST

from seewhy.errors import RegistryError, UsageError
from seewhy.files import to_json
from seewhy.serving.errors import Refusal
from seewhy.serving.guard import Scopes, guarded_app
from seewhy.serving.page import add_files, page_file
from seewhy.serving.review import kept_image
from seewhy.serving.schema import ImageNumber
from seewhy.serving.service import Service
from seewhy.workflows.ab import ab_status

SCOPES = {
    "/metrics": "admin",
    "/status": "admin",
    "/reload": "admin",
    "/drift": "public",  # the page, which asks for the token and then for /drift.json
    "/drift.json": "admin",
    "/ab": "public",  # as /drift
    "/ab.json": "admin",
    "/drift/image/{request_id}/{image}": "admin",
    "/static/{name}": "public",
}
NO_TEST = "no challenger has answered yet: see --challenger"


def create_admin_app(service: Service, token: str) -> FastAPI:
    """The operator's application; every route needs the token."""
    scopes = Scopes(SCOPES, {"admin": token})
    app = guarded_app(service, scopes, title="SeeWhy, for its operator", openapi_url=None)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.metrics.text(service), media_type=CONTENT_TYPE_LATEST)

    @app.get("/status")
    async def status() -> dict[str, Any]:
        return service.status()

    @app.post("/reload")
    async def reload() -> dict[str, Any]:
        """Looks at the model files; one that has changed replaces the old model when it is verified."""
        service.require_models()
        return {"models": await asyncio.to_thread(service.models.reload)}

    @app.get("/drift")
    async def drift_page() -> Response:
        """The page that shows whether the images that are answered differ."""
        return page_file("drift.html")

    @app.get("/drift.json")
    async def drift() -> dict[str, Any]:
        """The same for programs."""
        states = [] if service.drift is None else service.drift.states()
        watched, kept = service.drift is not None, service.settings.keep_images
        return {"watched": watched, "images": kept, "models": to_json(states)}

    @app.get("/drift/image/{request_id}/{image}")
    async def drift_image(request_id: str, image: ImageNumber) -> Response:
        """An image that was kept, and has not been removed since."""
        if service.recorder is None:
            raise Refusal(404, "no_image", "this server keeps no images: see --keep-images")
        return await kept_image(service.recorder, request_id, image)

    @app.get("/ab")
    async def ab_page() -> Response:
        """The page that shows which of two models is right more often."""
        return page_file("ab.html")

    @app.get("/ab.json")
    async def ab(
        name: Annotated[str | None, Query(max_length=100)] = None,
    ) -> dict[str, Any]:
        """The same for programs, of the model that is challenged or of another name."""
        name = name or service.challenge.name or next(iter(service.models.digests), "")
        return await _ab_test(name)

    add_files(app)
    scopes.check(app)
    return app


async def _ab_test(name: str) -> dict[str, Any]:
    """The state of an A/B test. Raises `Refusal` where there is none, and while the registry is away."""
    try:
        return dict(to_json(await asyncio.to_thread(ab_status, name)))
    except UsageError:  # without the extra that a registry needs nothing was recorded
        raise Refusal(404, "no_test", NO_TEST) from None
    except RegistryError as error:
        if error.code == "no_test":
            raise Refusal(404, "no_test", str(error)) from None
        if error.code == "unknown_model":  # there is no registry yet
            raise Refusal(404, "no_test", NO_TEST) from None
        message = "the registry cannot be read now: see its address"
        raise Refusal(503, error.code, message) from None
