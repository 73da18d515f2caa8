"""Cores and memory by the control groups of a container, whichever version and wherever the limit is."""

import pytest

from seewhy.data.container import cpu_quota, memory_limit
from seewhy.data.images import at_once

V1 = "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"


@pytest.fixture
def root(tmp_path):
    """Writes the files of control groups, by path from the root, and gives the root."""

    def made(groups, **files):
        files = {"proc/self/cgroup": groups} | {
            f"sys/fs/cgroup/{name}": text for name, text in files.items()
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return made


def test_a_container_of_version_2_is_the_mounted_root(root):
    made = root("0::/\n", **{"cpu.max": "150000 100000\n", "memory.max": "536870912\n"})
    assert cpu_quota(made) == 1.5 and memory_limit(made) == 512 << 20


def test_the_lowest_limit_of_all_groups_around_holds(root):
    files = {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000", "cpu.max": "400000 100000"}
    made = root("0::/a/b\n", **files, **{"a/b/memory.max": "max", "a/memory.max": "1000"})
    assert cpu_quota(made) == 1 and memory_limit(made) == 1000


def test_a_group_of_version_1_that_is_not_mounted_is_the_root(root):
    quota = {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}
    made = root(V1, **quota, **{"memory/memory.limit_in_bytes": "1073741824\n"})
    assert cpu_quota(made) == 0.5 and memory_limit(made) == 1 << 30


def test_without_a_limit_there_is_none(root, tmp_path):
    assert cpu_quota(tmp_path / "no-linux") is None and memory_limit(tmp_path / "no-linux") is None
    unlimited = {"memory/memory.limit_in_bytes": "9223372036854771712\n"}
    made = root(V1, **unlimited, **{"cpu/cpu.cfs_quota_us": "-1\n"})
    assert cpu_quota(made) is None and memory_limit(made) is None


@pytest.mark.parametrize(("quota", "cores"), [(None, 8), (1.5, 2), (0.2, 1), (16.0, 8)])
def test_no_more_workers_than_the_quota(monkeypatch, quota, cores):
    monkeypatch.setattr(at_once.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(at_once, "cpu_quota", lambda: quota)
    assert at_once.workers() == cores
