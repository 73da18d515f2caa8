"""The page at `/docs`: the routes as `/openapi.json` describes them, without scripts or outside requests."""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SeeWhy: HTTP interface</title>
<link rel="stylesheet" href="/static/page.css">
</head>
<body>
<main class="page">
<p class="kicker">SeeWhy</p>
<h1>HTTP interface</h1>
"""
EXAMPLE = """<pre><code>curl -F file=@image.jpg {base}/predict
curl --data-binary @image.jpg -H 'Content-Type: image/jpeg' '{base}/predict?top_k=5'</code></pre>
<p>Every error is <code>{{"error": {{"code", "message", "request_id"}}}}</code>. Where the server has an API
key, send <code>Authorization: Bearer KEY</code>. The same description for programs:
<a href="/openapi.json">openapi.json</a>.</p>
"""

LIMITS = {"minimum": "at least", "maximum": "at most", "default": "by default"}


def docs_page(schema: Mapping[str, Any], base: str) -> str:
    """The page of an OpenAPI schema; `base` is the server's address."""
    return (
        HEAD
        + EXAMPLE.format(base=escape(base))
        + "".join(_routes(schema))
        + "</main></body></html>"
    )


def _routes(schema: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in schema["paths"].items():
        for method, route in methods.items():
            yield f"<h3><code>{escape(method.upper())} {escape(path)}</code></h3>\n"
            for paragraph in route.get("description", "").split("\n\n"):
                yield f"<p>{escape(paragraph)}</p>\n"
            rows = [_parameter(parameter) for parameter in route.get("parameters", [])]
            if rows:
                yield "<ul>" + "".join(rows) + "</ul>\n"


def _parameter(parameter: Mapping[str, Any]) -> str:
    schema = parameter["schema"]
    kinds = [one["type"] for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    limits = [f"{word} {schema[key]}" for key, word in LIMITS.items() if key in schema]
    about = ", ".join([*kinds, *limits])
    text = parameter.get("description", "")
    return f"<li><code>{escape(parameter['name'])}</code> ({escape(about)}) {escape(text)}</li>"
