"""A coverage-guided fuzz of the bundle reader (R3): anything but `ModelFileError` is a finding.

    python tests/fuzz/fuzz_bundle.py SECONDS

Each input stands for the header after the digest's digits; the digest is then made true, so that the
checks behind it are reached. Findings are written to the working directory as `crash-*`.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["seewhy.inference.bundle"]):
    from seewhy.config.input_rule import InputRule
    from seewhy.errors import ModelFileError
    from seewhy.inference import bundle, container
    from seewhy.inference.bundle import Bundle
    from seewhy.models.registry import build

DIGITS_END = container._DIGITS.stop


def written() -> bytes:
    """A small whole bundle."""
    network = build("simple_cnn", num_classes=2, size=4)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        rule = InputRule(size=4, store=4)
        bundle.save(Bundle(network, ("ant", "bee"), rule), path)
        return path.read_bytes()


WHOLE = written()
HEADER_END = 8 + int.from_bytes(WHOLE[:8], "little")


def target(text: bytes) -> None:
    header = WHOLE[8:DIGITS_END] + text
    data = bytearray(len(header).to_bytes(8, "little") + header + WHOLE[HEADER_END:])
    data[container._DIGITS] = container.digest(data).encode()
    try:
        bundle._decode(data, None)
    except ModelFileError as error:
        assert "\n" not in str(error)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "whole").write_bytes(WHOLE[DIGITS_END:HEADER_END])
        limits = [f"-max_total_time={sys.argv[1]}", "-timeout=10", "-rss_limit_mb=2048"]
        atheris.Setup([sys.argv[0], folder, "-max_len=8000", *limits], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
