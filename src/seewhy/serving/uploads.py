"""Receives the images of a request: counted while they arrive, and kept in memory alone."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from seewhy.errors import ImageError
from seewhy.serving.errors import Refusal, busy
from seewhy.serving.settings import ServeSettings
from seewhy.text import counted

if TYPE_CHECKING:
    import numpy as np
    from fastapi import Request
    from numpy.typing import NDArray

RAW = ("image/", "application/octet-stream")  # content types of a body that is one image
NAME_LENGTH = 255  # characters of a file name that are repeated


@dataclass(eq=False)
class Upload:
    """An image as it was sent: its name, which is a label only, and its bytes.

    `too_large` when it had more bytes than allowed; they were counted and dropped. `stored` are its pixels
    once it is decoded.
    """

    name: str
    data: bytearray = field(default_factory=bytearray)
    too_large: bool = False
    stored: "NDArray[np.uint8] | None" = None

    def add(self, chunk: bytes, most: int) -> None:
        """Appends bytes, unless they are more than allowed."""
        self.too_large = self.too_large or len(self.data) + len(chunk) > most
        if self.too_large:
            self.data.clear()
        else:
            self.data += chunk

    def checked(self, most: int) -> bytearray:
        """All bytes. Raises `ImageError` when there were too many."""
        if self.too_large:
            raise ImageError("too_large", f"more than {most:,} bytes")
        return self.data


class Memory:
    """The bytes of uploads that are held at once, of all requests together."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.taken = 0

    @contextmanager
    def held(self) -> Iterator["Holding"]:
        """Counts what a block adds, until it ends."""
        holding = Holding(self)
        try:
            yield holding
        finally:
            self.taken -= holding.size

    def take(self, size: int) -> None:
        """Counts bytes. Raises `Refusal` when there are too many."""
        if self.taken + size > self._most:
            raise busy("too many bytes are uploaded at once")
        self.taken += size


@dataclass(eq=False)
class Holding:
    """What one request holds of the memory for uploads."""

    memory: Memory
    size: int = 0

    def add(self, size: int) -> None:
        """Counts bytes. Raises `Refusal` when all requests together hold too many."""
        self.memory.take(size)
        self.size += size


async def receive(request: "Request", settings: ServeSettings, holding: Holding) -> list[Upload]:
    """The images of a request: a form with fields `file`, or a body that is one image.

    Raises `Refusal`. An image that is too large does not spoil those beside it.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    body = _counted(request, settings, holding)
    if kind == b"multipart/form-data":
        form = _Form(options.get(b"boundary", b""), settings)
        try:
            async for chunk in body:
                form.write(chunk)
            return form.finished()
        finally:
            form.close()
    if not kind.decode("latin-1").startswith(RAW):
        raise Refusal(
            415,
            "unsupported_media_type",
            "send multipart/form-data with fields `file`, or one image as the body (image/* or "
            "application/octet-stream)",
        )
    upload = Upload("")
    async for chunk in body:
        upload.add(chunk, settings.image_bytes)
    return [upload]


async def _counted(
    request: "Request", settings: ServeSettings, holding: Holding
) -> AsyncIterator[bytes]:
    """The body in pieces. Raises `Refusal` one byte after the limit, or before the first one."""
    most = settings.request_bytes
    too_large = Refusal(413, "too_large", f"a request may have at most {most:,} bytes")
    if int(request.headers.get("content-length", 0)) > most:
        raise too_large
    received = 0
    async for chunk in request.stream():
        received += len(chunk)
        if received > most:
            raise too_large
        holding.add(len(chunk))
        yield chunk


class _Form:
    """A multipart form that is parsed while it arrives; of what is no file only the size is kept."""

    def __init__(self, boundary: bytes, settings: ServeSettings) -> None:
        self._settings = settings
        self._uploads: list[Upload] = []
        self._upload: Upload | None = None
        self._parts = self._text = 0
        self._name, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._ended = self._misnamed = False
        callbacks = {
            "on_part_begin": self._begin_part,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_content,
            "on_part_data": self._add,
            "on_end": self._end,
        }
        if not boundary:
            raise _malformed()
        try:
            self._parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]
        except FormParserError:
            raise _malformed() from None

    def write(self, chunk: bytes) -> None:
        """Parses bytes. Raises `Refusal`."""
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _malformed() from None

    def finished(self) -> list[Upload]:
        """The images, after the last byte. Raises `Refusal` when the form is cut short or has none."""
        if not self._ended:
            raise _malformed()
        if not self._uploads:
            raise _no_image()
        return self._uploads

    def close(self) -> None:
        """Lets go of the parser, which holds the form: else images would stay until they are collected."""
        del self._parser

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > self._settings.parts:
            most = counted(self._settings.parts, "part")
            raise Refusal(413, "too_many_parts", f"a form may have at most {most}")
        self._disposition = b""
        self._upload = None

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _begin_content(self) -> None:
        _, options = parse_options_header(self._disposition.decode("latin-1"))
        if options.get(b"name") != b"file" or b"filename" not in options:
            self._misnamed |= b"filename" in options
            return
        if len(self._uploads) == self._settings.images:
            most = counted(self._settings.images, "image")
            raise Refusal(413, "too_many_images", f"a request may have at most {most}")
        self._upload = Upload(options[b"filename"].decode("utf-8", "replace")[:NAME_LENGTH])
        self._uploads.append(self._upload)

    def _add(self, data: bytes, start: int, end: int) -> None:
        if self._upload is not None:
            self._upload.add(data[start:end], self._settings.image_bytes)
            return
        self._text += end - start
        if self._text > self._settings.text_bytes and self._misnamed and not self._uploads:
            raise _no_image()
        if self._text > self._settings.text_bytes:
            most = self._settings.text_bytes
            raise Refusal(
                413, "too_large", f"parts that are no files may have {most:,} bytes in all"
            )

    def _end(self) -> None:
        self._ended = True


def _no_image() -> Refusal:
    return Refusal(
        400, "no_image", "no part is an image: name it `file`, as curl -F file=@image.jpg does"
    )


def _malformed() -> Refusal:
    return Refusal(400, "malformed", "the form cannot be read: it is damaged or cut short")
