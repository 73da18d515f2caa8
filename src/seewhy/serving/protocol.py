"""HTTP/1.1 with deadlines: slow headers, slow bodies and slow readers are closed, honest clients are not.

uvicorn bounds only how long a connection idles. This subclass of its protocol, passed as `http=`, has a timer
for what is being received and one for what is being sent.
"""

import asyncio
import json
import re
import secrets
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from seewhy.serving.errors import Refusal, error_json, long_headers
from seewhy.serving.service import Service

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
UNUSUAL = re.compile(rb"(?:^|\n)(?:transfer-encoding|upgrade|expect|connection: *close)")
LINGER_SECONDS = 2.0  # in which the rest of a refused body is read and dropped: the answer arrives

# In which a request on its way is still received when the server stops: the next of a connection, and the
# first, which a client has connected for and on a busy machine sends late.
NEXT_SECONDS, FIRST_SECONDS = 0.5, 3.0

# Of a body: so many pieces of any size, others of so many bytes on average.
MOST_PIECES, PIECE_BYTES = 1000, 1024


class _Connection(h11.Connection):
    """Refuses a body in tiny pieces: each costs as much time as a large one, and all others wait."""

    _pieces = 0.0
    long_head = False  # the last error is that the headers are longer than allowed

    def next_event(self) -> Any:
        state = self.their_state
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.long_head = state is h11.IDLE and error.error_status_hint == 431
            raise
        if isinstance(event, h11.Request):
            self._pieces = 0
        elif isinstance(event, h11.Data):
            self._pieces += 1 - len(event.data) / PIECE_BYTES
            if self._pieces > MOST_PIECES:
                raise h11.RemoteProtocolError("a body in tiny pieces")
        return event


class DeadlineProtocol(H11Protocol):
    """One connection. The settings of `service` hold its deadlines, and the limits of connections."""

    def __init__(self, *args: Any, service: Service, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._service = service
        self._settings = settings = service.settings
        self.conn: _Connection = _Connection(h11.SERVER, settings.header_bytes)
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None
        self._draining = False
        self._silent = True  # nothing was received yet
        # What the first timer is for, and of which request.
        self._phase: tuple[str, int] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._too_many():
            message = "the server has as many connections as it accepts: try again in a second"
            self._refuse(Refusal(503, "busy", message, retry_after=1))
        else:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_receiving()
        self._cancel_sending()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._silent = False
        if self._is_prediction(data):
            room = self._service.room
            try:
                room.require()
            except Refusal as refusal:
                self._refuse_at_once(refusal)
                return
            room.arriving += 1
            self.loop.call_soon(self._arrived)  # its route has counted it then
        super().data_received(data)
        self._watch()
        if self._draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def _is_prediction(self, data: bytes) -> bool:
        """Whether it is a whole `POST /predict` of known length, on a connection without other requests."""
        if self._draining or not data.startswith((b"POST /predict ", b"POST /predict?")):
            return False
        alone = self.conn.their_state is self.conn.our_state is h11.IDLE and self._is_idle()
        if not alone or self.conn.trailing_data[0] or self.transport.get_write_buffer_size():
            return False
        head, _, body = data.partition(b"\r\n\r\n")
        line, _, fields = head.lower().partition(b"\r\n")
        plain = line.endswith(b" http/1.1") and not UNUSUAL.search(fields)
        return plain and LENGTH.findall(head) == [b"%d" % len(body)]

    def _arrived(self) -> None:
        self._service.room.arriving -= 1

    def _refuse_at_once(self, refusal: Refusal) -> None:
        """Answers without parsing, and keeps the connection: under overload most requests are refused.

        By the routes, a refusal takes about half as long as an answer: of twice as many requests as it can
        answer, a server would answer few. Such a request is counted and not logged.
        """
        self._unset_keepalive_if_required()
        self._cancel_receiving()
        self._phase = None
        headers, body = _as_answer(refusal)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        status = HTTPStatus(refusal.status)
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{lines}\r\n"
        self.transport.write(head.encode() + body)
        self._service.metrics.requests.labels("/predict", refusal.status).inc()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            self._start_sending()
        if self._phase is not None and self._phase[0] == "body":
            self._start_receiving(LINGER_SECONDS)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_sending()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._cancel_sending()

    def send_400_response(self, msg: str) -> None:
        """Answers what is no HTTP, and headers that are too long to be read."""
        if self.conn.long_head:
            self._refuse(long_headers(self._settings.header_bytes))
        else:
            self._refuse(Refusal(400, "malformed", "this is not a valid HTTP request"))

    def shutdown(self) -> None:
        """The server stops: answers the request at work, or one that is on its way, and closes."""
        self._draining = True
        if self._is_idle():
            seconds = FIRST_SECONDS if self._silent else NEXT_SECONDS
            self.loop.call_later(seconds, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close_if_idle(self) -> None:
        if self._is_idle():
            self.transport.close()

    def _too_many(self) -> bool:
        if len(self.connections) > self._settings.connections:
            return True
        most = self._settings.connections_per_address
        if most is None or self.client is None:
            return False
        clients = [getattr(other, "client", None) for other in self.connections]
        return sum(one is not None and one[0] == self.client[0] for one in clients) > most

    def _watch(self) -> None:
        """Starts the timer of what is received now, unless it runs already."""
        state = self.conn.their_state
        names = {h11.IDLE: "head", h11.SEND_BODY: "body"}
        phase = (names[state], id(self.cycle)) if state in names else None
        if phase == self._phase or self.transport.is_closing():
            return
        self._phase = phase
        self._cancel_receiving()
        if phase is not None:
            head = phase[0] == "head"
            self._start_receiving(
                self._settings.header_seconds if head else self._settings.body_seconds
            )

    def _start_receiving(self, seconds: float) -> None:
        self._cancel_receiving()
        self._receiving = self.loop.call_later(seconds, self._received_too_slowly)

    def _cancel_receiving(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            self._receiving = None

    def _start_sending(self) -> None:
        if self._sending is None:
            self._sending = self.loop.call_later(
                self._settings.write_seconds, self._read_too_slowly
            )

    def _cancel_sending(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _received_too_slowly(self) -> None:
        if self._silent:
            self.transport.close()
            return
        message = "the request was not received in time: send it faster, or in smaller parts"
        self._refuse(Refusal(408, "timeout", message))

    def _read_too_slowly(self) -> None:
        self._sending = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _refuse(self, refusal: Refusal) -> None:
        """Answers without the application, where nothing was answered yet, and closes the connection."""
        if self.transport.is_closing():
            return
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers, body = _as_answer(refusal)
            headers["connection"] = "close"
            answer = h11.Response(status_code=refusal.status, headers=list(headers.items()))
            head = self.conn.our_state is h11.SEND_RESPONSE and self.scope["method"] == "HEAD"
            for event in (answer, h11.Data(data=b"" if head else body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._start_sending()
        self.transport.close()


def _as_answer(refusal: Refusal) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a refusal that the application does not write."""
    request_id = secrets.token_hex(16)
    content = error_json(refusal.code, refusal.message, request_id)
    body = json.dumps(content, allow_nan=False).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-content-type-options": "nosniff",
        "x-request-id": request_id,
        **{name.lower(): value for name, value in refusal.headers.items()},
    }
    return headers, body
