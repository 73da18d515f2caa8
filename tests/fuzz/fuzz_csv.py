"""A coverage-guided fuzz of the CSV writer (R3): a cell that acts, or does not come back, is a finding.

    python tests/fuzz/fuzz_csv.py SECONDS

Each input is the text of a row's cells. Findings are written to the working directory as `crash-*`.
"""

import csv
import io
import sys

import atheris

with atheris.instrument_imports(include=["csv", "seewhy.text"]):
    from seewhy.text import csv_text

NAMES = ["path", "status", "label", "confidence", "code", "error", "answer"]

ACTIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "＝", "＋", "－", "＠")


def target(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    row = [provider.ConsumeUnicode(20) for _ in NAMES]
    text = csv_text([NAMES, row])
    header, read = csv.reader(io.StringIO(text, newline=""))
    assert header == NAMES and len(read) == len(NAMES)
    for cell, given in zip(read, row, strict=True):
        assert not cell.startswith(ACTIVE)
        assert cell in (given, "'" + given)


def main() -> None:
    limits = [f"-max_total_time={sys.argv[1]}", "-timeout=10", "-rss_limit_mb=1024"]
    atheris.Setup([sys.argv[0], *limits], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
