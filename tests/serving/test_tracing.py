"""Spans of requests arrive at a collector, and hold nothing that a client sent."""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from servers import image, running

from seewhy.errors import UsageError
from seewhy.serving.tracing import Tracing

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture
def collector():
    """What a collector of OpenTelemetry was sent."""
    received = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


def test_the_spans_of_a_request_are_below_its_clients(exported, tmp_path, collector):
    trace = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    address, received = collector
    with running(tmp_path, str(exported), traces=address) as server:
        sent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        files = {"file": ("secret-name.png", image())}
        answer = server.client.post("/predict", files=files, headers=sent)
        assert answer.status_code == 200
        assert server.client.get("/secret-path", headers=sent).status_code == 404
        assert server.logged(answer)["trace_id"] == TRACE
    assert {path for path, _ in received} == {"/v1/traces"}
    assert b"secret" not in b"".join(body for _, body in received)
    spans = {}
    for _, body in received:
        for resource in trace.ExportTraceServiceRequest.FromString(body).resource_spans:
            spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert spans.keys() == {"POST /predict", "decode", "model", "GET none"}
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    request = spans["POST /predict"]
    assert request.parent_span_id.hex() == PARENT
    assert spans["decode"].parent_span_id == spans["model"].parent_span_id == request.span_id


def test_a_collector_that_is_away_holds_nothing_up(exported, tmp_path):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    with running(tmp_path, str(exported), traces="http://127.0.0.1:9") as server:
        assert server.predict(image()).status_code == 200
        start = time.monotonic()
    assert time.monotonic() - start < 10
    reasons = [one for one in server.records() if one["event"] == "spans not sent"]
    assert reasons and "Traceback" not in server.log.read_text()


def test_without_the_extra_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(UsageError, match=r"seewhy\[otel\]"):
        Tracing("http://127.0.0.1:4318")
