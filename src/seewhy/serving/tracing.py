"""Spans of OpenTelemetry: how long each part of a request took, sent to the operator's collector.

Spans follow OpenTelemetry's conventions for HTTP servers, and hold nothing that a client sent but its
`traceparent`: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from seewhy import __version__
from seewhy.errors import UsageError

logger = logging.getLogger("seewhy.serving")

FLUSH_MS = 2000  # in which the last spans are sent when the server stops


class Tracing:
    """Where spans go: the collector at `address`, such as http://127.0.0.1:4318, or nowhere."""

    def __init__(self, address: str | None) -> None:
        """Raises `UsageError` without the extra."""
        self._provider = None if address is None else _provider(address)
        self._tracer = self._provider and self._provider.get_tracer("seewhy", __version__)

    def part(self, name: str, **attributes: Any) -> AbstractContextManager[Any]:
        """A span of a part of the request at work."""
        if self._tracer is None:
            return nullcontext()
        return self._tracer.start_as_current_span(
            name, attributes=attributes, record_exception=False, set_status_on_exception=False
        )

    @contextmanager
    def request(self, headers: Mapping[str, str]) -> Iterator["TracedRequest"]:
        """A span of a request, below that of the client if it sent one."""
        if self._tracer is None:
            yield TracedRequest()
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind

        parent = extract({"traceparent": headers.get("traceparent", "")})
        with self._tracer.start_as_current_span("HTTP", parent, SpanKind.SERVER) as span:
            yield TracedRequest(span)

    def close(self) -> None:
        """Sends the last spans."""
        if self._provider is not None:
            self._provider.force_flush(FLUSH_MS)


class TracedRequest:
    """The span of one request, if there is one."""

    def __init__(self, span: Any = None) -> None:
        self._span = span

    @property
    def trace(self) -> dict[str, str]:
        """The trace that it belongs to, for the log."""
        if self._span is None:
            return {}
        return {"trace_id": f"{self._span.get_span_context().trace_id:032x}"}

    def answered(self, method: str, route: str, status: int) -> None:
        """Notes the answer; status 0: nobody waited for it."""
        if self._span is None:
            return
        from opentelemetry.trace import StatusCode

        self._span.update_name(f"{method} {route}")
        self._span.set_attributes({"http.request.method": method, "http.route": route})
        if status:
            self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(StatusCode.ERROR)


class _OurLog(logging.Handler):
    """Has what OpenTelemetry logs in the server's log, which may be JSON."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.warning("spans not sent", extra={"reason": record.getMessage()})


def _provider(address: str) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise UsageError("--traces needs an extra: `pip install 'seewhy[otel]'`") from None
    about = {"service.name": "seewhy", "service.version": __version__}
    provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(address.rstrip("/") + "/v1/traces", timeout=2)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    theirs = logging.getLogger("opentelemetry")
    theirs.handlers, theirs.propagate = [_OurLog(logging.WARNING)], False
    return provider
