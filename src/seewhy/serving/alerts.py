"""Tells the operator's own program or address of what has changed, once, without holding anything up."""

import json
import logging
import shlex
import shutil
import subprocess
import threading
from collections.abc import Mapping
from tempfile import TemporaryFile
from typing import IO, Any
from urllib.request import HTTPRedirectHandler, Request, build_opener

from seewhy.errors import UsageError
from seewhy.files import to_json
from seewhy.serving.metrics import DriftMetrics
from seewhy.serving.settings import ServeSettings
from seewhy.text import visible

logger = logging.getLogger("seewhy.serving")

COMMAND_SECONDS, URL_SECONDS = 30, 5


class Alerts:
    """Sends messages to the command and to the address that the server was started with.

    Raises `UsageError` for a command that is not there.
    """

    def __init__(self, settings: ServeSettings, metrics: DriftMetrics) -> None:
        self._alerts, self._url = metrics.alerts, settings.alert_url
        self._command = shlex.split(settings.alert_command or "")
        if self._command and shutil.which(self._command[0]) is None:
            raise UsageError(f"--alert-command: there is no program {self._command[0]}")

    def send(self, message: Mapping[str, Any]) -> None:
        """Sends a message in a thread of its own, which the end of the server does not wait for."""
        data = json.dumps(to_json(message), allow_nan=False).encode()
        for deliver, wanted in ((self._run, self._command), (self._post, self._url)):
            if wanted:
                threading.Thread(target=self._tried, args=(deliver, data), daemon=True).start()

    def _tried(self, deliver: Any, data: bytes) -> None:
        try:
            deliver(data)
        except Exception as error:  # whatever it is: nobody else would learn that none has come
            # Not the whole message, in which an address may be that holds a secret.
            logger.error("an alert failed", extra={"reason": _reason(error)})
            self._alerts.labels("failed").inc()
        else:
            self._alerts.labels("sent").inc()

    def _run(self, data: bytes) -> None:
        # A pipe would wait for processes that the command leaves behind.
        with TemporaryFile() as said:
            try:
                subprocess.run(
                    self._command,
                    input=data,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    timeout=COMMAND_SECONDS,
                    check=True,
                )
            except subprocess.CalledProcessError as error:
                said.seek(0)
                error.stderr = said.read()
                raise

    def _post(self, data: bytes) -> None:
        assert self._url is not None
        request = Request(self._url, data, {"Content-Type": "application/json"})
        with build_opener(_NoRedirects).open(request, timeout=URL_SECONDS):
            pass


class _NoRedirects(HTTPRedirectHandler):
    """The operator has named one address: an answer that leads to another one is a failure."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = visible(error.stderr.decode(errors="replace").strip())[-200:]
        return f"the command ended with {error.returncode}: {said}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"the command took more than {COMMAND_SECONDS} s"
    return f"{type(error).__name__} {getattr(error, 'code', '')}".strip()
