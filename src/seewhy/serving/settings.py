"""What a server accepts and how long it waits: every limit, in one record."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from seewhy.registry.records import KEEP_DAYS

MiB = 1 << 20


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_private(url: str) -> bool:
    """Whether it is the address of a host, and nobody on the way there can read what is sent."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url and host != ""
    return plain and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))


class ServeSettings(BaseModel):
    """The settings of a server. `seewhy serve` has a flag for each field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0: a free one")
    admin_port: int | None = Field(
        None, ge=0, le=65535, description="loopback port of metrics and reload [PORT + 1000]"
    )
    api_key_file: Path | None = Field(
        None, description="file whose text a request must send as `Authorization: Bearer TEXT`"
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="names by which clients may address the server, besides its own address"
    )
    runtime: Literal["auto", "onnx", "openvino", "torch"] = Field(
        "auto",
        description="what computes a bundle; auto: ONNX Runtime where it can; openvino: also ONNX files",
    )
    trust_onnx: bool = Field(False, description="open ONNX files that another machine exported")
    traces: str | None = Field(
        None,
        pattern=r"^https?://[^/]",
        description="OpenTelemetry collector to send spans to, such as http://127.0.0.1:4318",
    )
    drift: Path | None = Field(
        None,
        description="compare what is answered with a reference: a file of `seewhy drift --save`, or a folder "
        "of them",
    )
    drift_window: int = Field(200, ge=1, le=2000, description="images that are compared at a time")
    alert_command: str | None = Field(
        None, description="program to run, with JSON as its input, when drift begins or ends"
    )
    alert_url: str | None = Field(
        None, description="address to send the same JSON to, by POST; https, or of this machine"
    )
    reload: bool = Field(False, description="load a model again when its file changes")

    challenger: str | None = Field(
        None,
        description="[NAME=]MODEL that answers beside the one served, unseen; recorded, for `seewhy ab`",
    )
    split: float | None = Field(
        None, gt=0, lt=1, description="share of the units that are shown the challenger instead"
    )
    feedback: bool = Field(
        False, description="record answers in the registry, to which labels can be sent"
    )
    audit_share: float = Field(
        0.02, ge=0, le=1, description="share of all answers that is drawn to be labelled"
    )
    keep_images: bool = Field(
        False, description="keep the images, without metadata: for that you need consent"
    )
    keep_days: float = Field(
        KEEP_DAYS, gt=0, le=36_500, description="days for which an image is kept"
    )
    keep_bytes: int = Field(
        1 << 30, ge=1, description="bytes of all images that are kept; then the oldest go"
    )

    runners: int | None = Field(
        None, ge=1, le=256, description="batches computed at once, one thread each [cores]"
    )
    decoders: int | None = Field(
        None, ge=1, le=256, description="processes that decode images [cores]"
    )
    queue: int = Field(64, ge=1, le=100_000, description="images at work or waiting; then 429")
    batch: int = Field(32, ge=1, le=1024, description="images that a model is shown at a time")

    image_bytes: int = Field(10 * MiB, ge=1, description="bytes of an image")
    image_pixels: int = Field(25_000_000, ge=1, description="pixels of an image")
    image_side: int = Field(16_384, ge=1, le=65_500, description="pixels of a side of an image")
    decode_seconds: float = Field(5, gt=0, description="seconds to decode an image")
    decode_memory: int = Field(
        1024 * MiB, ge=256 * MiB, description="bytes of address space of a decoding process"
    )

    images: int = Field(32, ge=1, description="images in a request")
    parts: int = Field(40, ge=1, description="parts of a form, files and others")
    text_bytes: int = Field(64 << 10, ge=1, description="bytes of a form's parts that are no files")
    request_bytes: int = Field(64 * MiB, ge=1, description="bytes of a request's body")
    upload_memory: int = Field(
        256 * MiB, ge=1, description="bytes of all uploads that are held at once; then 429"
    )
    top_k: int = Field(100, ge=1, description="largest `top_k` that may be asked for")

    header_bytes: int = Field(16 << 10, ge=256, description="bytes of a request's headers")
    header_seconds: float = Field(10, gt=0, description="seconds to receive a request's headers")
    body_seconds: float = Field(30, gt=0, description="seconds to receive a request's body")
    write_seconds: float = Field(30, gt=0, description="seconds in which a client must read on")
    idle_seconds: int = Field(5, ge=1, description="seconds that an idle connection is kept open")
    connections: int = Field(512, ge=1, description="open connections")
    connections_per_address: int | None = Field(
        None, ge=1, description="open connections of one address [no limit]"
    )
    drain_seconds: int = Field(20, ge=0, description="seconds to finish requests after SIGTERM")

    @field_validator("alert_url")
    @classmethod
    def _read_by_nobody_else(cls, value: str | None) -> str | None:
        if value is not None and not _is_private(value):
            raise ValueError("expected https://HOST/PATH, or http://127.0.0.1:PORT/PATH")
        return value

    @field_validator("audit_share", "keep_images", "keep_days", "keep_bytes")
    @classmethod
    def _needs_its_switch(cls, value: Any, about: ValidationInfo) -> Any:
        """Only what is set is validated, and what has no effect is refused."""
        switch = "keep_images" if about.field_name in ("keep_days", "keep_bytes") else "feedback"
        recorded = switch == "feedback" and about.data.get("challenger")
        if value and not (about.data.get(switch) or recorded):
            raise ValueError(f"it has no effect without --{switch.replace('_', '-')}")
        return value
