"""Downloads a file: resumable, locked and verified; it appears only when it is complete."""

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from seewhy.errors import ChecksumError, DataError
from seewhy.events import OnEvent, Progress, ignore
from seewhy.files import exclusive, require_space, sync_directory

TIMEOUT = 30  # seconds without a byte
_BLOCK = 1 << 20


class Download(NamedTuple):
    """A file to download: its address, its size in bytes and its sha256."""

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]


def download(what: Download, folder: Path, on_event: OnEvent = ignore) -> Path:
    """Returns the file in `folder`, downloaded if it is not there.

    An interrupted download is kept in `<name>.part` and continued. Two processes at the same time
    download once. Raises `DataError` if the download fails, `ChecksumError` if two downloads in a row
    have the wrong checksum.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / what.name
    if path.exists():
        return path
    with exclusive(folder / f"{what.name}.lock", wait=True):
        if path.exists():  # another process has just finished it
            return path
        part = folder / f"{what.name}.part"
        received = ""
        for _ in range(2):
            try:
                _fetch(what, part, on_event)
            except (OSError, http.client.HTTPException) as error:
                reason = error.reason if isinstance(error, urllib.error.URLError) else error
                raise DataError(
                    f"{what.url} could not be downloaded: {reason}. Try again later: the download will "
                    f"continue; or get the file elsewhere (sha256 {what.sha256}) and put it at {path}, or "
                    "in a folder that SEEWHY_DATA names"
                ) from None
            with open(part, "rb") as file:
                received = hashlib.file_digest(file, "sha256").hexdigest()
            if received == what.sha256:
                os.replace(part, path)
                sync_directory(folder)
                return path
            part.unlink()
    raise ChecksumError(what.url, received, what.sha256, path)


def _fetch(what: Download, part: Path, on_event: OnEvent) -> None:
    """Appends to `part` until it is complete."""
    have = part.stat().st_size if part.exists() else 0
    if have >= what.size:
        return
    require_space(part.parent, what.size - have, what.name)
    request = urllib.request.Request(what.url)
    if have:
        request.add_header("Range", f"bytes={have}-")
    with _open(request) as reply:
        continued = reply.status == 206 and _start(reply) == have
        with open(part, "ab" if continued else "wb") as file:
            done = have if continued else 0
            while done < what.size and (block := reply.read(min(_BLOCK, what.size - done))):
                file.write(block)
                done += len(block)
                on_event(Progress("downloading", done, what.size))
            file.flush()
            os.fsync(file.fileno())
    if done < what.size:
        raise ConnectionError(f"it stopped after {done:,} of {what.size:,} bytes")


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)  # type: ignore[no-any-return]
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and request.has_header("Range"):  # it cannot be continued
            request.remove_header("Range")
            return _open(request)
        raise ConnectionError(f"the answer was {error.code} {error.reason}") from None


def _start(reply: http.client.HTTPResponse) -> int:
    """Returns the first byte of a partial answer ("bytes 100-199/200"), or -1."""
    unit, _, span = (reply.headers.get("Content-Range") or "").partition(" ")
    first = span.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else -1
