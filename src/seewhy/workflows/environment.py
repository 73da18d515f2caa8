"""The machine and the packages of a training."""

import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path

import torch

from seewhy.files import write_json
from seewhy.run import Run

PACKAGES = ("torch", "numpy", "pillow", "scikit-learn", "pyarrow", "safetensors", "pydantic")


def write_environment(run: Run) -> None:
    """Stores the working directory, the machine and the package versions of a run."""
    facts = {
        "directory": os.getcwd(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": dict(_versions()),
    }
    write_json(facts, run.path / "environment.json")


@cache
def _versions() -> dict[str, str]:
    """Of the packages that are installed, which a process reads once."""
    return {name: metadata.version(name) for name in ("seewhy", *PACKAGES)}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor()
