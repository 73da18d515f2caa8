"""The page at `/` and its files: a closed list, read once."""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import PurePath

from fastapi import FastAPI, HTTPException, Response

# The page runs and loads nothing but its own files, and asks this server alone.
SECURITY = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

_FILES = {
    file.name: (file.read_bytes(), TYPES[PurePath(file.name).suffix])
    for file in (
        *files("seewhy").joinpath("static").iterdir(),  # what exported pages show, too
        *files("seewhy.serving").joinpath("static").iterdir(),
        *(files("seewhy.page").joinpath("templates", name) for name in ("drift.css", "drift.js")),
    )
}


def add_page(app: FastAPI, on_open: Callable[[], Awaitable[None]], kept_days: float | None) -> None:
    """Adds the routes of the page; `on_open` is awaited when a person opens it.

    `kept_days` is for how long images are kept, of which it tells.
    """
    kept = "and it keeps none" if kept_days is None else f"which keeps them for {kept_days:g} days"
    index_page = _FILES["index.html"][0].replace(b"{kept}", kept.encode())

    @app.get("/", include_in_schema=False)
    async def index() -> Response:
        await on_open()
        return Response(index_page, media_type="text/html", headers=SECURITY)

    add_files(app)


def add_files(app: FastAPI) -> None:
    """Adds the route of the files of pages."""

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        return page_file(name)


def page_file(name: str) -> Response:
    """A file of a page, with the headers that keep it to itself. Raises `HTTPException`."""
    if name not in _FILES:
        raise HTTPException(404)
    content, kind = _FILES[name]
    return Response(content, media_type=kind, headers=SECURITY)
