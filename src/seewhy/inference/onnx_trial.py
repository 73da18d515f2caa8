"""Opens an ONNX file from standard input within limits: `python -m seewhy.inference.onnx_trial`.

Ends with 0 if the file opens and answers to the golden images; else it prints why, or is ended by the system.
"""

import resource
import sys
from contextlib import suppress

from seewhy.errors import ModelFileError
from seewhy.inference import onnx_file
from seewhy.inference.onnx import opened

ROOM = 4 << 30  # bytes of address space, with the libraries; and ten times the file
CPU_SECONDS = 60


def main() -> None:
    data = sys.stdin.buffer.read()
    room = ROOM + 10 * len(data)
    # Refused where a lower limit holds already, and by macOS, which has no such limits.
    with suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    try:
        opened(onnx_file.parse(data), threads=1)
    except (ModelFileError, MemoryError) as error:
        sys.exit(str(error) or "it needs more memory than is allowed")


if __name__ == "__main__":
    main()
