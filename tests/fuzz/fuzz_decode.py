"""A coverage-guided fuzz of `decode` (R3): anything but `ImageError`, a crash or a hang is a finding.

    python tests/fuzz/fuzz_decode.py SECONDS

Needs `atheris`, which is in no extra: install it beside the package. Findings are written to the
working directory by libFuzzer as `crash-*`, `timeout-*` or `oom-*`.
"""

import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["PIL", "seewhy.data"]):
    from data.corpus import seeds

    from seewhy.config.input_rule import InputRule
    from seewhy.data.images.decode import UPLOAD, content_hash, decode, store
    from seewhy.errors import ImageError


def target(data: bytes) -> None:
    try:
        image = decode(data, UPLOAD)
        store(image, InputRule(size=16, store=16))
        content_hash(image)
    except ImageError:
        pass


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(seeds()):
            (Path(folder) / str(number)).write_bytes(data)
        limits = [f"-max_total_time={sys.argv[1]}", "-timeout=10", "-rss_limit_mb=1024"]
        atheris.Setup([sys.argv[0], folder, "-max_len=20000", *limits], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
