import pytest
import torch

from seewhy.training import busy


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of four cores, each of which gets the given shares of its ticks as work, sample by sample."""
    stat, cores = tmp_path / "stat", range(4)
    ticks = {core: [0, 0] for core in cores}
    monkeypatch.setattr(busy, "STAT", stat)
    monkeypatch.setattr(busy.os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def told():
        lines = [f"cpu{core} {work} 0 0 {idle} 0 0 0 0 0 0" for core, (work, idle) in ticks.items()]
        stat.write_text("\n".join(["cpu  9 9 9 9 9 9 9 9 0 0", *lines, "intr 1 2", ""]))

    def given(*samples):
        rows = iter(samples)

        def sleep(seconds):
            for core, share in enumerate(next(rows)):
                ticks[core][0] += round(100 * share)
                ticks[core][1] += round(100 * (1 - share))
            told()

        monkeypatch.setattr(busy.time, "sleep", sleep)
        told()

    return given


@pytest.mark.parametrize(
    ("shares", "threads"),
    [
        ((0.0, 0.1, 0.2, 1.0), 3),  # the last core is not this process's
        ((1.0, 0.0, 0.1, 0.0), 2),
        ((0.6, 0.6, 0.0, 0.0), 2),
        ((1.0, 1.0, 0.0, 0.0), 1),
        ((1.0, 1.0, 1.0, 1.0), 1),
    ],
)
def test_a_thread_is_left_out_for_each_core_that_others_keep_busy(machine, shares, threads):
    machine(shares, shares, shares)
    assert busy.free_threads() == threads


def test_what_ends_soon_counts_for_nothing(machine):
    machine((1.0, 1.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
    assert busy.free_threads() == 3


def test_what_the_user_sets_holds(machine, monkeypatch):
    machine()  # which is not looked at
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert busy.free_threads() == 3


def test_elsewhere_than_on_linux_nothing_is_looked_at(machine, monkeypatch, tmp_path):
    machine()
    monkeypatch.setattr(busy, "STAT", tmp_path / "none")
    assert busy.free_threads() == 3
