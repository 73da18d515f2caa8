"""What a container may use of its machine: the limits of Linux control groups, versions 1 and 2.

A group's own limit, and those of the groups around it, all hold. In a container, the group that
`/proc/self/cgroup` names may lie outside what is mounted; then the mounted root is the container's own.
"""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path("/")
UNLIMITED = 1 << 60  # bytes; version 1 writes a number near 2**63 for no limit


@cache  # it is asked for each image
def cpu_quota(root: Path = ROOT) -> float | None:
    """The cores whose time the container may take, such as 1.5; None without a limit or off Linux."""

    def quota(group: Path) -> float | None:
        if (limit := _read(group / "cpu.max")) is not None:
            most, period = limit.split()
        else:
            most = _read(group / "cpu.cfs_quota_us") or "-1"
            period = _read(group / "cpu.cfs_period_us") or "100000"
        return None if most in ("max", "-1") else int(most) / int(period)

    return min(_limits(root, "cpu", quota), default=None)


def memory_limit(root: Path = ROOT) -> int | None:
    """The bytes of memory that the container may take; None without a limit or off Linux."""

    def limit(group: Path) -> int | None:
        text = _read(group / "memory.max") or _read(group / "memory.limit_in_bytes") or "max"
        return None if text == "max" or int(text) >= UNLIMITED else int(text)

    most = min(_limits(root, "memory", limit), default=None)
    return None if most is None else int(most)


def _limits(root: Path, controller: str, limit: Callable[[Path], float | None]) -> Iterator[float]:
    """The limits of this process's group and of those around it."""
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / (controllers and controller)
        group = PurePosixPath(path.lstrip("/"))
        for one in {mount / group, *(mount / parent for parent in group.parents), mount}:
            if (most := limit(one)) is not None:
                yield most


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
