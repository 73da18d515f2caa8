"""What every request passes, and every answer carries: hosts, origins, keys, request ids and headers."""

import hmac
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from seewhy.errors import UsageError
from seewhy.serving.errors import HTTP_CODES, Refusal, error_json, long_headers
from seewhy.serving.service import Service
from seewhy.serving.tracing import TracedRequest

logger = logging.getLogger("seewhy.serving")

LOOPBACK = {"localhost", "127.0.0.1", "::1"}
PROBES = {"/health", "/ready"}  # what machines ask by any address, and what tells nothing
SAFE = {"GET", "HEAD", "OPTIONS"}
HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Scopes:
    """Which key each route needs."""

    def __init__(self, scopes: Mapping[str, str], keys: Mapping[str, str | None]) -> None:
        self._scopes = scopes
        self._keys = {"public": None, **keys}

    def check(self, app: FastAPI) -> None:
        """Raises `UsageError` for a route without a scope: nothing is served that nobody decided on."""
        for route in app.routes:
            path = getattr(route, "path", "")
            known = self._scopes.get(path) in self._keys
            if not known or (not isinstance(route, APIRoute) and path != "/openapi.json"):
                raise UsageError(f"the route {path!r} has no scope: declare one beside the others")

    async def require(self, request: Request) -> None:
        """Raises `Refusal` unless the request has the key of its route. Compared in constant time."""
        key = self._keys[self._scopes[request.scope["route"].path]]
        if key is None:
            return
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(sent.encode(), key.encode()):
            raise Refusal(401, "unauthorized", "send the header `Authorization: Bearer KEY`")


def guarded_app(service: Service, scopes: Scopes, **about: Any) -> FastAPI:
    """An application whose routes need their keys, and whose requests pass the guard."""
    require = [Depends(scopes.require)]
    app = FastAPI(docs_url=None, redoc_url=None, dependencies=require, **about)
    app.add_middleware(Guard, service=service)
    for error in (Refusal, HTTPException, RequestValidationError):
        app.add_exception_handler(error, refused)
    return app


class Guard:
    """Refuses foreign hosts and origins, gives each request an id, and makes every error JSON."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        settings = service.settings
        self._hosts = LOOPBACK | {settings.host.lower(), *map(str.lower, settings.allowed_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id
        with self._service.tracing.request(Headers(scope=scope)) as span:
            await self._answer(scope, receive, send, request_id, span)

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, request_id: str, span: TracedRequest
    ) -> None:
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                if self._service.draining:
                    headers["connection"] = "close"
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            self._check(scope)
            await self._app(scope, receive, send_with_headers)
        except Refusal as error:
            await answer(error, request_id)(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass
        except Exception:
            logger.exception("a request failed", extra={"request_id": request_id})
            if status:
                raise
            failure = Refusal(500, "internal", "the server failed: its log has the request id")
            await answer(failure, request_id)(scope, receive, send_with_headers)
        finally:
            self._count(scope, request_id, status, time.perf_counter() - started, span)

    def _count(
        self, scope: Scope, request_id: str, status: int, seconds: float, span: TracedRequest
    ) -> None:
        """Counts a request, and logs it, by the route that it took; status 0: nobody waited for it."""
        # What is refused when the server is full never comes to its route.
        unrouted = "/predict" if scope["path"] == "/predict" else "none"
        route = scope["route"].path if "route" in scope else unrouted
        self._service.metrics.requests.labels(route, status).inc()
        self._service.metrics.seconds.labels(route).observe(seconds)
        method = scope["method"] if scope["method"].isalpha() else "none"
        span.answered(method, route, status)
        logger.log(
            logging.DEBUG if route in PROBES else logging.INFO,  # probes come every few seconds
            "request",
            extra={
                "request_id": request_id,
                "method": method,
                "route": route,
                "status": status,
                "ms": round(1000 * seconds, 1),
                **span.trace,
            },
        )

    def _check(self, scope: Scope) -> None:
        if _header_bytes(scope) > self._service.settings.header_bytes:
            raise long_headers(self._service.settings.header_bytes)
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if scope["path"] not in PROBES and not self._is_ours(host, scope):
            raise Refusal(
                403,
                "forbidden_host",
                "this server is not addressed by this name: see --allowed-hosts",
            )
        origin = headers.get("origin")
        foreign = origin is not None and _authority(origin) != host.lower()
        if foreign and scope["method"] not in SAFE:
            raise Refusal(403, "forbidden_origin", "requests from other web sites are refused")
        if scope["path"] == "/predict":
            self._service.room.require()  # before the body is read

    def _is_ours(self, host: str, scope: Scope) -> bool:
        """Whether a Host header has an allowed name, or the address by which the client has connected."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        address: str = (scope.get("server") or [""])[0]
        return name in self._hosts or name == address.removeprefix("::ffff:")  # IPv4 by --host ::


def _header_bytes(scope: Scope) -> int:
    """The bytes of a request up to its body: h11 bounds only those of a part that is not complete."""
    lines = len(scope["method"]) + len(scope.get("raw_path") or b"") + len(scope["query_string"])
    return lines + 14 + sum(len(name) + len(value) + 4 for name, value in scope["headers"])


def _authority(origin: str) -> str | None:
    """The host and port of an Origin header; None for `null` and for what is none."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") and parts.netloc else None


async def refused(request: Request, error: Exception) -> JSONResponse:
    """The answer to a request that is refused, by the routes or by FastAPI."""
    headers: Mapping[str, str] = {}
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        field = str(first["loc"][-1])
        error = Refusal(422, "invalid_parameter", f"{field}: {first['msg']}")
    elif isinstance(error, HTTPException):
        code = HTTP_CODES.get(error.status_code, "refused")
        headers = error.headers or {}  # `Allow` of a 405
        error = Refusal(error.status_code, code, str(error.detail))
    assert isinstance(error, Refusal)
    response = answer(error, request.state.request_id)
    response.headers.update(headers)
    return response


def answer(error: Refusal, request_id: str) -> JSONResponse:
    """A refusal as an answer."""
    content = error_json(error.code, error.message, request_id)
    return JSONResponse(content, error.status, headers=error.headers)
