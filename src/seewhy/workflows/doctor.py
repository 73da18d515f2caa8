"""What of this machine and this installation helps or hinders, each with its remedy."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from seewhy import __version__
from seewhy.data.cache_sets import list_cache
from seewhy.data.container import cpu_quota, memory_limit
from seewhy.data.images.at_once import workers
from seewhy.errors import DataError
from seewhy.floors import numbers

# What needs each extra that a user may install.
EXTRAS = {
    "export": "`seewhy export` and `compress`",
    "serve": "`seewhy serve` and `seewhy.Client`",
    "tune": "`seewhy tune`",
    "heic": "photographs in HEIC",
    "hub": "weights from the Hugging Face Hub",
    "lite": "efficientnet_lite1 and efficientnet_lite2 with ImageNet weights",
    "timm": "networks of timm",
    "openvino": "`--runtime openvino`",
    "executorch": "`seewhy export --format executorch`",
    "otel": "`seewhy serve --traces`",
    "registry": "`seewhy registry`",
    "ray": "`--engine ray`",
    "mlflow": "`--track mlflow` and `seewhy registry push`",
    "tensorboard": "`--track tensorboard`",
}
ENOUGH_DISK = 2_000_000_000  # bytes
ENOUGH_MEMORY = 2_000_000_000  # bytes; `fast` takes as much
ENOUGH_FILES = 1024
ENOUGH_SPACE = 1_500_000_000  # bytes of addresses, below which verbs refuse to start
PATIENCE = 120  # seconds for PyTorch to start
_REQUIREMENT = re.compile(
    r"([\w.-]+)(?:\[[^]]*\])?(?:>=([\d.]+))?[^;]*(?:;.*extra == ['\"](\w+)['\"])?"
)
_DEVICE = (
    "import json, sys; from seewhy.workflows.doctor import device; json.dump(device(), sys.stdout)"
)


@dataclass(frozen=True)
class Check:
    """One finding: `ok`; `off`, an extra that is not installed; `warn`, what hinders; `fail`, without
    which SeeWhy does not work. What is not `ok` has a `remedy`."""

    name: str
    status: Literal["ok", "off", "warn", "fail"]
    detail: str
    remedy: str = ""


def doctor() -> tuple[Check, ...]:
    """Checks versions, extras, device, cores, memory, disk, cache, fonts and limits of this machine.

    PyTorch is tried in a process of its own, so that one that is broken does not end this one.
    """
    return tuple(_checks())


def _checks() -> Iterator[Check]:
    yield Check("python", "ok", f"{platform.python_version()} on {platform.platform()}")
    yield Check("seewhy", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    yield from _libraries()
    yield from _device()
    yield from _cores()
    yield from _memory()
    yield _disk("disk here", Path.cwd(), "work in another directory, or free some space")
    yield from _cache()
    yield _fonts()
    yield from _limits()


def _libraries() -> Iterator[Check]:
    """What is installed of the libraries that SeeWhy needs, and of its extras."""
    needed: dict[str, list[tuple[str, str]]] = {}
    try:
        for requirement in metadata.requires("seewhy") or ():
            if match := _REQUIREMENT.match(requirement):
                name, floor, extra = match.groups()
                needed.setdefault(extra or "", []).append((name, floor or "0"))
    except metadata.PackageNotFoundError:
        yield Check("libraries", "warn", "seewhy is not installed", "pip install seewhy")
        return
    for extra, libraries in needed.items():
        versions = {name: _version(name) for name, _ in libraries}
        floors = {f"{name}>={floor}": name for name, floor in libraries}
        missing = [name for name, version in versions.items() if version is None]
        old = [
            wanted
            for (wanted, name), (_, floor) in zip(floors.items(), libraries, strict=True)
            if (version := versions[name]) and numbers(version) < numbers(floor)
        ]
        there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        if not extra:
            wanted = [text for text, name in floors.items() if name in missing] + old
            install = "pip install " + " ".join(f"'{text}'" for text in wanted)
            lacks = f"missing or too old: {', '.join(wanted)}"
            bad = Check("libraries", "fail", lacks, install)
            yield bad if wanted else Check("libraries", "ok", there)
        elif extra in EXTRAS:
            install = f"for {EXTRAS[extra]}: pip install 'seewhy[{extra}]'"
            if missing:
                yield Check(f"extra {extra}", "off", f"without {', '.join(missing)}", install)
            elif old:
                yield Check(f"extra {extra}", "warn", f"older than {', '.join(old)}", install)
            else:
                yield Check(f"extra {extra}", "ok", there)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def device() -> dict[str, Any]:
    """What PyTorch computes on here: its version, the devices, what `auto` picks, and its threads."""
    import torch

    from seewhy.inference.device import pick_amp, pick_device

    auto = pick_device("auto")
    gpus = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    return {
        "torch": torch.__version__,
        "gpus": [torch.cuda.get_device_name(number) for number in gpus],
        "auto": auto.type,
        "bf16": pick_amp("auto", auto) is torch.bfloat16,
        "threads": torch.get_num_threads(),
    }


def _device() -> Iterator[Check]:
    """The device, its number format and its threads, by a PyTorch in a process of its own."""
    reinstall = "pip install --force-reinstall torch, or see https://pytorch.org/get-started"
    command = [sys.executable, "-P", "-c", _DEVICE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        late = f"PyTorch did not start within {PATIENCE} s"
        yield Check("device", "fail", late, "close other programs, or raise `ulimit -v`")
        return
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        yield Check("device", "fail", f"PyTorch does not start: {lines[-1]}", reinstall)
        return
    facts = json.loads(done.stdout)
    names = ", ".join(facts["gpus"]) or {"mps": "Apple's GPU"}.get(facts["auto"], "no GPU")
    about = f"--device auto is {facts['auto']} ({names}), PyTorch {facts['torch']}"
    if facts["auto"] == "cpu" and shutil.which("nvidia-smi"):
        build = "install a CUDA build of PyTorch (https://pytorch.org/get-started), and its driver"
        yield Check("device", "warn", f"{about}, though there is an NVIDIA GPU", build)
    else:
        yield Check("device", "ok", about)
    native = "has instructions for it: --amp auto is bf16"
    emulated = "has no instructions for it: --amp auto is fp32"
    yield Check("bfloat16", "ok", f"{facts['auto']} {native if facts['bf16'] else emulated}")
    if facts["threads"] > workers():
        more = (
            f"PyTorch computes in {facts['threads']} threads on {workers()} cores, which is slower"
        )
        yield Check("threads", "warn", more, f"export OMP_NUM_THREADS={workers()}")


def _cores() -> Iterator[Check]:
    quota, all_cores = cpu_quota(), os.cpu_count()
    about = f"{workers()} of {all_cores}"
    yield Check("cores", "ok", about if quota is None else f"{about}: the container has {quota:g}")


def _memory() -> Iterator[Check]:
    smaller = "close other programs, or a smaller --train.batch_size or --data.size"
    try:
        facts = dict(re.findall(r"(\w+):\s+(\d+) kB", Path("/proc/meminfo").read_text()))
        total, free = (1024 * int(facts[name]) for name in ("MemTotal", "MemAvailable"))
    except (OSError, KeyError):  # not Linux
        if not hasattr(os, "sysconf"):  # Windows
            return
        total = free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    about = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB are free"
    if (limit := memory_limit()) is not None:
        about += f"; the container may take {limit / 1e9:.1f} GB"
    short = min(free, limit or free) < ENOUGH_MEMORY
    yield Check("memory", "warn" if short else "ok", about, smaller if short else "")


def _disk(name: str, place: Path, remedy: str) -> Check:
    free = shutil.disk_usage(place).free
    about = f"{free / 1e9:,.1f} GB free at {place}"
    if not os.access(place, os.W_OK):
        return Check(name, "warn", f"{place} cannot be written to", remedy)
    if free < ENOUGH_DISK:
        return Check(name, "warn", about, remedy)
    return Check(name, "ok", about)


def _cache() -> Iterator[Check]:
    elsewhere = "set SEEWHY_CACHE to another directory"
    try:
        cache = list_cache()
    except (DataError, OSError) as error:
        yield Check("cache", "warn", str(error), elsewhere)
        return
    sizes = f"{cache.bytes / 1e9:.1f} GB, at most {cache.limit / 1e9:.0f} GB"
    yield Check("cache", "ok", f"{sizes} in {cache.directory}")
    yield _disk(
        "disk of the cache", cache.directory, f"`seewhy cache remove --all`, or {elsewhere}"
    )


def _fonts() -> Check:
    from seewhy.plots.scripts import SCRIPTS, undrawn_scripts

    undrawn = undrawn_scripts()
    if not undrawn:
        return Check("fonts", "ok", f"figures draw {', '.join(SCRIPTS)}")
    about = f"class names in {', '.join(undrawn)} are boxes in figures"
    return Check(
        "fonts", "warn", about, "install Noto fonts: apt install fonts-noto-core fonts-noto-cjk"
    )


def _limits() -> Iterator[Check]:
    try:
        import resource
    except ImportError:  # Windows
        return
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    many = files == resource.RLIM_INFINITY or files >= ENOUGH_FILES
    about = f"{'any number' if files == resource.RLIM_INFINITY else files} at a time"
    remedy = f"ulimit -n {4 * ENOUGH_FILES}"
    yield Check("open files", "ok" if many else "warn", about, "" if many else remedy)
    space, _ = resource.getrlimit(resource.RLIMIT_AS)
    if space != resource.RLIM_INFINITY:
        enough = space >= ENOUGH_SPACE
        limited = (
            f"limited to {space / 1e9:.1f} GB; {ENOUGH_SPACE / 1e9:.1f} GB are needed to start"
        )
        yield Check("address space", "warn" if enough else "fail", limited, "ulimit -v unlimited")
