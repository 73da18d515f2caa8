"""The oldest versions of libraries that read what strangers send: older ones have known holes.

pip keeps them at an installation; this asks again where such a library is imported, since another package
may have replaced it.
"""

import re
from types import ModuleType

from seewhy.errors import UsageError

# By the name in `import`: the name in `pip install`, and the version. As in pyproject.toml.
FLOORS = {
    "PIL": ("pillow", "12.3"),
    "h11": ("h11", "0.16"),
    "onnx": ("onnx", "1.22"),
    "python_multipart": ("python-multipart", "0.0.22"),
    "safetensors": ("safetensors", "0.8"),
    "starlette": ("starlette", "1.0.1"),
    "torch": ("torch", "2.11"),
}


def require(*libraries: ModuleType) -> None:
    """Raises `UsageError` for an imported library that is older than its floor."""
    for library in libraries:
        name, floor = FLOORS[library.__name__]
        found = str(library.__version__)
        if numbers(found) < numbers(floor):
            raise UsageError(
                f"{name} {found} has known security holes: pip install '{name}>={floor}'"
            )


def numbers(version: str) -> list[int]:
    """The numbers of a version, without what a build adds: [2, 13, 0] of "2.13.0+cpu"."""
    return [int(number) for number in re.findall(r"\d+", version.partition("+")[0])]
