"""The routes of the server, and who may use each."""

import asyncio
import json
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.responses import HTMLResponse

from seewhy import __version__
from seewhy.data.images.decode import centre
from seewhy.errors import ImageError
from seewhy.serving import review
from seewhy.serving.docs import docs_page
from seewhy.serving.errors import Refusal, of_image
from seewhy.serving.explaining import Explainer, Question
from seewhy.serving.feedback import add_feedback
from seewhy.serving.guard import Scopes, guarded_app
from seewhy.serving.keys import admin_token
from seewhy.serving.page import SECURITY, add_page
from seewhy.serving.schema import EVERYWHERE, WITH_IMAGES, Explained, Predicted, body
from seewhy.serving.service import Service
from seewhy.serving.uploads import receive

# Every route has a scope, or the server does not start: `public` needs nothing, `use` the API key if one is
# set.
SCOPES = {
    "/": "public",
    "/static/{name}": "public",
    "/docs": "public",
    "/openapi.json": "public",
    "/health": "public",
    "/ready": "public",
    "/predict": "use",
    "/explain": "use",
    "/feedback": "use",
    "/models": "use",
    "/info": "use",
}

Model = Annotated[
    str | None, Query(max_length=100, description="a name of `GET /models` [the first]")
]


Unit = Annotated[
    str | None,
    Query(
        max_length=200,
        description="who or what asks, also as the header `X-Unit-Id`: is always shown the same model where "
        "requests are split between two",
    ),
]


def create_app(service: Service, key: str | None) -> FastAPI:
    """The application; `key` is the API key, None where none is needed."""
    scopes = Scopes(SCOPES | review.SCOPES, {"use": key, "review": admin_token()})
    app = guarded_app(service, scopes, title="SeeWhy", version=__version__, responses=EVERYWHERE)
    add_facts(app, service)
    add_predict(app, service)
    explainer = Explainer()
    service.closing.append(explainer.close)
    add_explain(app, service, explainer)
    add_feedback(app, service)
    if service.recorder is not None:
        review.add_review(app, service, service.recorder)
    settings = service.settings
    add_page(app, explainer.warm, settings.keep_days if settings.keep_images else None)
    scopes.check(app)
    return app


def add_explain(app: FastAPI, service: Service, explainer: Explainer) -> None:
    """Adds the route that explains."""

    @app.post(
        "/explain", responses={200: {"model": Explained}, **WITH_IMAGES}, openapi_extra=body(False)
    )
    async def explain(
        request: Request,
        model: Model = None,
        method: Annotated[str | None, Query(max_length=40)] = None,
        target: Annotated[str | None, Query(max_length=256)] = None,
    ) -> Response:
        """Explains the prediction of one image: a map of what counted for it, tested for faithfulness."""
        served = service.model(model)
        with service.memory.held() as holding:
            upload, *others = await receive(request, service.settings, holding)
            if others:
                raise Refusal(413, "too_many_images", "an explanation takes one image")
            try:
                with service.room.for_images(1):  # predictions wait for the same processes
                    decoded = await service.decode(upload, served)
            except ImageError as error:
                raise of_image(error) from None
        image = centre(decoded.pixels, served.classifier.rule.size)
        files = tuple(map(str, served.opened.files))
        question = Question(served.name, files, served.digest, image, method, target)
        explanation = await explainer.explain(question)
        about = {"request_id": request.state.request_id, "file": upload.name}
        names = {"name": served.name, "digest": served.digest}
        return as_json({**about, "model": names, **explanation})


def add_facts(app: FastAPI, service: Service) -> None:
    """Adds the routes that say what there is."""

    @app.get("/health")
    async def health() -> dict[str, str]:
        """Answers as long as the process lives."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready(response: Response) -> dict[str, bool]:
        """200 when models can answer, 503 while the server starts or stops."""
        response.status_code = 200 if service.ready else 503
        return {"ready": service.ready}

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        """The routes, for people."""
        return HTMLResponse(
            docs_page(app.openapi(), str(request.base_url).rstrip("/")), headers=SECURITY
        )

    @app.get("/models")
    async def models() -> dict[str, Any]:
        """The models, the first of which answers where none is named."""
        return {"models": [model.listed() for model in service.models]}

    @app.get("/info")
    async def info(model: Model = None) -> dict[str, Any]:
        """What is known of a model."""
        return service.model(model).info()


def add_predict(app: FastAPI, service: Service) -> None:
    """Adds the route that classifies."""

    @app.post(
        "/predict", responses={200: {"model": Predicted}, **WITH_IMAGES}, openapi_extra=body(True)
    )
    async def predict(
        request: Request,
        model: Model = None,
        top_k: Annotated[int, Query(ge=1, le=service.settings.top_k)] = 3,
        unit: Unit = None,
        x_unit_id: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        """Classifies images: a form with one or many fields `file`, or one image as the body.

        Each image has a result or an error of its own. The status is that of an error only if the whole
        request fails, or its only image.
        """
        unit = unit or x_unit_id
        served = service.model(model, unit)
        asker = service.challenge.asker(service.models, served, unit)  # before one is replaced
        with service.memory.held() as holding:
            uploads = await receive(request, service.settings, holding)
            with service.room.for_images(len(uploads)):
                request_id = request.state.request_id
                results = await asyncio.gather(
                    *(
                        service.answer(upload, served, top_k, f"{request_id}/{number}")
                        for number, upload in enumerate(uploads)
                    )
                )
        service.record(request.state.request_id, served, uploads, results, asker)
        if len(results) == 1 and isinstance(results[0], Refusal):
            raise results[0]
        return as_json(
            {
                "request_id": request.state.request_id,
                "model": {"name": served.name, "digest": served.digest},
                "results": [
                    {
                        "file": upload.name,
                        "status": "error",
                        "error": {"code": result.code, "message": result.message},
                    }
                    if isinstance(result, Refusal)
                    else result
                    for upload, result in zip(uploads, results, strict=True)
                ],
            }
        )


def as_json(value: Any) -> Response:
    """An answer in JSON, without the checks that are for values of others."""
    return Response(
        json.dumps(value, allow_nan=False, ensure_ascii=False), media_type="application/json"
    )
