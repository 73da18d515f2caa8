"""A client of `seewhy serve`: images in, answers out.

    with seewhy.Client("http://127.0.0.1:8000") as client:
        for answer in client.predict(["cat.jpg", "dog.jpg"]):
            print(answer.file, answer.answer, answer.confidence)
        client.feedback(answer.request_id, "dog", image=answer.image)

`seewhy.AsyncClient` is the same with `async with` and `await`.
"""

import asyncio
import io
import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path, PurePath
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from PIL import Image

from seewhy.data.images.decode import LOCAL, UPLOAD, ImageLike, Limits, opened, read_file
from seewhy.data.sources.memory import images_of
from seewhy.errors import IMAGE_ERROR_CODES, ImageError, ServerError, UsageError, first_line
from seewhy.text import visible

if TYPE_CHECKING:
    import httpx

MOST_IMAGES, MOST_BYTES = 32, 64 << 20  # of a request
FIRST_WAIT, LONGEST_WAIT = 0.25, 60.0  # seconds between two attempts
BUSY = (429, 503)
SENT = Limits(MOST_BYTES, LOCAL.max_pixels, LOCAL.max_side)
PNG_MODES = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")  # other images are sent as TIFF
KEPT = ("icc_profile", "transparency")  # of what a PIL image says of its pixels
IMAGE_CODES = {*IMAGE_ERROR_CODES, "decode_timeout"}


@dataclass(frozen=True)
class Candidate:
    """A class and its calibrated probability, 0 to 1."""

    label: str
    confidence: float


@dataclass(frozen=True)
class Fault:
    """Why an image could not be used."""

    code: str
    message: str


@dataclass(frozen=True)
class Answer:
    """What a served model says of one image.

    `label` is the most probable class and `confidence` its calibrated probability, 0 to 1; `answer` is the
    same class, "not sure" or "out of distribution"; `top` are the most probable classes, best first. Of an
    image that could not be used these are None and empty, and `error` says why. `model` and `digest` name
    what answered, `request_id` the request in the server's log, `image` the number of the image in it.
    """

    file: str
    label: str | None = None
    confidence: float | None = None
    answer: str | None = None
    top: tuple[Candidate, ...] = ()
    error: Fault | None = None
    model: str | None = None
    digest: str | None = None
    request_id: str | None = None
    image: int = 0


@dataclass(frozen=True)
class _Upload:
    """An image to send, or why it cannot be sent."""

    name: str
    data: bytes = b""
    error: Fault | None = None


@dataclass(frozen=True)
class _Attempt:
    """A request, in the words of httpx, to be sent after `wait` seconds."""

    wait: float
    path: str
    content: dict[str, Any]


T = TypeVar("T")
Flow = Generator[_Attempt, Any, T]


class _Requests:
    """What both clients do: a flow of attempts, which takes what came of each and ends with the answers."""

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: float = 30.0, retries: int = 5
    ) -> None:
        try:
            fits = _httpx().URL(url).scheme in ("http", "https")
        except _httpx().InvalidURL:
            fits = False
        if not fits:
            raise UsageError(f"{url!r}: expected a server's address, such as http://127.0.0.1:8000")
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._options: dict[str, Any] = {"base_url": url, "headers": headers, "timeout": timeout}
        self._retries = retries

    def _predicting(self, images: Any, model: str | None, top_k: int) -> Flow[list[Answer]]:
        params = {"top_k": str(top_k)} | ({} if model is None else {"model": model})
        answers: list[Answer] = []
        for batch in _batches(images):
            answers += yield from self._answers(batch, params)
        return answers

    def _labelling(self, request_id: str, label: str | None, image: int) -> Flow[str]:
        right = {"request_id": request_id, "label": label, "image": image}
        response = yield from self._response("/feedback", json=right)
        if not response.is_success:
            raise _error_of(response)
        return _read(response, lambda message: str(message["outcome"]))

    def _answers(self, batch: Sequence[_Upload], params: dict[str, str]) -> Flow[list[Answer]]:
        """The answers to a batch; where the server finds it too large, to each half of it."""
        if batch[0].error is not None:
            return [Answer(batch[0].name, error=batch[0].error)]
        files = [("file", (visible(PurePath(each.name).name), each.data)) for each in batch]
        response = yield from self._response("/predict", params=params, files=files)
        if response.status_code == 413 and len(batch) > 1:
            middle = len(batch) // 2
            first = yield from self._answers(batch[:middle], params)
            return first + (yield from self._answers(batch[middle:], params))
        if response.is_success:
            return _read(response, lambda message: _answers_of(message, batch))
        error = _error_of(response)
        if len(batch) == 1 and (error.code in IMAGE_CODES or error.status == 413):
            return [Answer(batch[0].name, error=Fault(error.code, error.message))]
        raise error

    def _response(self, path: str, **content: Any) -> Flow["httpx.Response"]:
        """The response to a request that is repeated while the server is busy or cannot be reached."""
        wait = 0.0
        for attempt in range(self._retries + 1):
            outcome = yield _Attempt(wait, path, content)
            wait = FIRST_WAIT * 2**attempt * random.uniform(0.75, 1.25)
            if isinstance(outcome, Exception):
                error = _unreachable(outcome)
                if error.code == "timeout":
                    break
            elif outcome.status_code in BUSY:
                error = _error_of(outcome)
                wait = max(wait, _retry_after(outcome.headers))
                if wait > LONGEST_WAIT:
                    break
            else:
                return outcome
        raise error


class Client(_Requests):
    """A connection to a server, for `with`; requests are repeated while it is busy or cannot be reached.

    `url` is the server's address, `api_key` its key where it asks for one, `timeout` the seconds that each
    attempt may take, `retries` the attempts after the first. Waits are those that the server asks for
    (`Retry-After`), or grow from a quarter of a second. Threads may share a client.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: float = 30.0, retries: int = 5
    ) -> None:
        super().__init__(url, api_key=api_key, timeout=timeout, retries=retries)
        self._http = _httpx().Client(**self._options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def predict(
        self, images: ImageLike | Iterable[ImageLike], *, model: str | None = None, top_k: int = 3
    ) -> list[Answer]:
        """The answers to one image or many, in order: paths, encoded bytes, PIL images or arrays.

        `model` is the name of a served model [the first]; `top_k` is the number of classes named. An image
        that cannot be used has an `error` and hinders no other. At most 32 images and 64 MiB are sent at
        once. Raises `ServerError` where the server cannot be reached, is busy for too long, or refuses the
        request.
        """
        return self._run(self._predicting(images, model, top_k))

    def feedback(self, request_id: str, label: str | None, *, image: int = 0) -> str:
        """Sends the right class of an image that was answered; None withdraws it.

        `request_id` and `image` are those of the `Answer`. Returns recorded, unchanged, replaced (the last
        label holds) or withdrawn. Raises `ServerError`, with the code unknown_request for an answer that is
        not recorded, unknown_label for what is no class of the model, and no_feedback where the server
        records nothing.
        """
        return self._run(self._labelling(request_id, label, image))

    def _run(self, flow: Flow[T]) -> T:
        step = _step(flow, None)
        while isinstance(step, _Attempt):
            time.sleep(step.wait)
            try:
                outcome = self._http.post(step.path, **step.content)
            except _httpx().RequestError as error:
                outcome = error
            step = _step(flow, outcome)
        return step


class AsyncClient(_Requests):
    """As `Client`, with `async with`, `await client.predict(...)` and `await client.aclose()`."""

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: float = 30.0, retries: int = 5
    ) -> None:
        super().__init__(url, api_key=api_key, timeout=timeout, retries=retries)
        self._http = _httpx().AsyncClient(**self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def predict(
        self, images: ImageLike | Iterable[ImageLike], *, model: str | None = None, top_k: int = 3
    ) -> list[Answer]:
        """As `Client.predict`; files are read in a thread."""
        return await self._run(self._predicting(images, model, top_k))

    async def feedback(self, request_id: str, label: str | None, *, image: int = 0) -> str:
        """As `Client.feedback`."""
        return await self._run(self._labelling(request_id, label, image))

    async def _run(self, flow: Flow[T]) -> T:
        step = await asyncio.to_thread(_step, flow, None)
        while isinstance(step, _Attempt):
            await asyncio.sleep(step.wait)
            try:
                outcome = await self._http.post(step.path, **step.content)
            except _httpx().RequestError as error:
                outcome = error
            step = await asyncio.to_thread(_step, flow, outcome)
        return step


def _step(flow: Flow[T], outcome: "httpx.Response | Exception | None") -> _Attempt | T:
    """The next attempt, or the result at the end."""
    try:
        return flow.send(outcome)
    except StopIteration as end:
        result: T = end.value
        return result


def _httpx() -> ModuleType:
    try:
        import httpx
    except ImportError:
        raise UsageError("the client needs httpx: pip install 'seewhy[serve]'") from None
    return httpx


def _batches(images: Any) -> Iterator[list[_Upload]]:
    """Images to send at once, in order; what cannot be sent, or may be too large, is alone."""
    batch: list[_Upload] = []
    for number, image in enumerate(images_of(images)):
        upload = _upload(image, number)
        alone = upload.error is not None or len(upload.data) > UPLOAD.max_bytes
        size = sum(len(each.data) for each in batch) + len(upload.data)
        if batch and (alone or len(batch) == MOST_IMAGES or size > MOST_BYTES):
            yield batch
            batch = []
        if alone:
            yield [upload]
        else:
            batch.append(upload)
    if batch:
        yield batch


def _upload(image: ImageLike, number: int) -> _Upload:
    name = str(image) if isinstance(image, str | Path) else f"image {number}"
    try:
        return _Upload(name, _encoded(image))
    except ImageError as error:
        return _Upload(name, error=Fault(error.code, str(error)))


def _encoded(image: ImageLike) -> bytes:
    """The bytes of an image file; PIL images and arrays become one that holds the same pixels, upright."""
    if isinstance(image, str | Path):
        return read_file(image, SENT)
    if isinstance(image, bytes):
        if len(image) > MOST_BYTES:
            raise ImageError("too_large")
        return image
    with opened(image) as pixels:
        if isinstance(pixels, np.ndarray):
            if pixels.ndim == 3:
                raise ImageError("unsupported_depth", "16-bit colours: send 8 bits, or a file")
            pixels = Image.fromarray(pixels)
        plain = pixels.copy()
        plain.info = {name: pixels.info[name] for name in KEPT if name in pixels.info}
        sink = io.BytesIO()
        plain.save(sink, "PNG" if plain.mode in PNG_MODES else "TIFF")
    return sink.getvalue()


def _read(response: "httpx.Response", parse: Callable[[Any], T]) -> T:
    """What a successful response says; `ServerError` if it is no answer of SeeWhy, such as a login page."""
    try:
        return parse(response.json())
    except (ValueError, LookupError, TypeError):
        raise _error_of(response) from None


def _answers_of(message: Mapping[str, Any], batch: Sequence[_Upload]) -> list[Answer]:
    about = {
        "model": message["model"]["name"],
        "digest": message["model"]["digest"],
        "request_id": message["request_id"],
    }
    answers = []
    for number, (upload, result) in enumerate(zip(batch, message["results"], strict=True)):
        if result["status"] == "ok":
            top = tuple(Candidate(each["label"], each["confidence"]) for each in result["top"])
            facts = {name: result[name] for name in ("label", "confidence", "answer")}
            answers.append(Answer(upload.name, top=top, image=number, **facts, **about))
        else:
            fault = Fault(result["error"]["code"], result["error"]["message"])
            answers.append(Answer(upload.name, error=fault, image=number, **about))
    return answers


def _error_of(response: "httpx.Response") -> ServerError:
    """The error of a response, also of one that a proxy has written, which may be called a success."""
    try:
        error = response.json()["error"]
        return ServerError(error["code"], error["message"], response.status_code)
    except (ValueError, LookupError, TypeError):
        message = f"the server answered {response.status_code} {response.reason_phrase}"
        if response.is_success:
            message += ", but not as `seewhy serve` does: look at this address in a browser"
        return ServerError(f"http_{response.status_code}", message, response.status_code)


def _unreachable(error: Exception) -> ServerError:
    if isinstance(error, _httpx().TimeoutException) and not isinstance(
        error, _httpx().ConnectTimeout
    ):
        return ServerError(
            "timeout", "the server did not answer in time: raise the client's timeout"
        )
    return ServerError("unreachable", f"the server cannot be reached ({first_line(error)})")


def _retry_after(headers: Mapping[str, str]) -> float:
    """The seconds that a response asks to wait, as a number or a date; 0 where it does not say."""
    value = headers.get("Retry-After", "")
    try:
        return float(value)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
