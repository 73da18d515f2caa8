"""An answer of a server, as it is recorded; tests change what matters to them."""

from seewhy.registry.records import ServedAnswer

ANSWER = ServedAnswer(
    request_id="a",
    image=0,
    name="photos",
    digest="d" * 64,
    at="2026-11-29T12:00:00.000+00:00",
    label="ant",
    answer="ant",
    confidence=0.9,
    top=("ant", "bee"),
)
