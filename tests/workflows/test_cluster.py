"""Jobs that a cluster does: their order, their events, their errors, and what each gets of the machines."""

import os
from functools import partial

import pytest
from workflows.clusters import MACHINE, RayError, RayTaskError, pretended

from seewhy.errors import DivergedError, RankError, UsageError
from seewhy.events import Note, Progress
from seewhy.workflows.cluster import enter, on_cluster


def job(number, on_event):
    on_event(Progress("training", number, 3))
    on_event(Note(f"note {number}"))
    if number == 1:
        error = DivergedError("the loss is NaN", step=7)
        error.highest_lr = 0.5
        raise error
    return 10 * number, os.getpid()


def test_results_are_in_order_and_events_arrive_job_by_job(monkeypatch):
    ray, seen = pretended(monkeypatch), []
    jobs = [partial(job, number) for number in (0, 2, 3)]
    assert [result for result, _ in on_cluster(jobs, "auto", seen.append)] == [0, 20, 30]
    assert [event.text for event in seen] == [
        "Ray: 2 of 3 jobs at a time, each with 1 core",
        *("note 3", "note 2", "note 0"),
    ]
    assert ray.options["max_retries"] == 3 and not ray.cancelled


def test_an_error_of_a_job_keeps_its_type_and_stops_the_others(monkeypatch):
    ray, seen = pretended(monkeypatch), []
    with pytest.raises(DivergedError, match=r"NaN at step 7.*--train\.lr 0\.05") as raised:
        on_cluster([partial(job, number) for number in (0, 2, 1)], "cpu", seen.append)
    assert raised.value.exit_code == 7
    assert seen[-1] == Note("note 1") and ray.cancelled == ["task 0", "task 1"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RayError("The node died\nits log"), r"lost.*3 others.*\(The node died\): run the same"),
        (RayTaskError("a bug"), "a bug"),
    ],
)
def test_a_job_whose_workers_are_lost_is_given_up_and_a_bug_is_shown(monkeypatch, error, message):
    def get(task):
        raise error

    ray = pretended(monkeypatch)
    ray.get = get
    expected = RayTaskError if isinstance(error, RayTaskError) else RankError
    with pytest.raises(expected, match=message):
        on_cluster([partial(job, 0)], "cpu", print)


@pytest.mark.parametrize(
    ("machines", "jobs", "device", "threads", "at_once", "needs"),
    [
        ([MACHINE], 1, "auto", None, 1, (2, 0)),
        ([MACHINE], 5, "auto", None, 2, (1, 0)),
        ([MACHINE], 5, "auto", "2", 1, (2, 0)),
        ([MACHINE], 5, "auto", "8", 1, (2, 0)),
        ([{"CPU": 16.0}, {"CPU": 8.0}, {}], 4, "cpu", None, 4, (5, 0)),
        ([{"CPU": 16.0}, {"CPU": 8.0}], 2, "cpu", None, 2, (8, 0)),
        ([{"CPU": 16.0, "GPU": 4.0}], 8, "auto", None, 4, (4, 1)),
        ([{"CPU": 16.0, "GPU": 4.0}], 8, "cpu", None, 8, (2, 0)),
        ([{"CPU": 4.0, "GPU": 2.0}, {"CPU": 64.0}], 9, "cuda", None, 2, (2, 1)),
        ([{}], 3, "auto", None, 1, (1, 0)),
    ],
)
def test_jobs_share_the_cores_or_have_a_gpu_each(
    monkeypatch, machines, jobs, device, threads, at_once, needs
):
    monkeypatch.setenv("SEEWHY_DATA", "/data")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    ray, seen = pretended(monkeypatch, *machines), []
    on_cluster([partial(job, 0)] * jobs, device, seen.append)
    assert (ray.options["num_cpus"], ray.options["num_gpus"]) == needs
    settings = ray.options["runtime_env"]["env_vars"]
    assert settings["SEEWHY_DATA"] == "/data" and settings["OMP_NUM_THREADS"] == str(needs[0])
    assert seen[0].text.startswith(f"Ray: {at_once} of {jobs} job")
    assert seen[0].text.endswith("and a GPU") == bool(needs[1])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", r"RAY_ADDRESS=127\.0\.0\.1:1 \(.*refused\): .* needs RAY_AUTH_MODE=token"),
        ("auto", r"RAY_ADDRESS=auto \(no cluster\): see `ray status`; one that wants a token"),
        ("", r"cannot use a Ray cluster here \(no cluster\): see `ray status`$"),
    ],
)
def test_a_cluster_that_cannot_be_used_is_named(monkeypatch, address, message):
    def init(**options):
        raise ConnectionError("no cluster\nand more")

    ray = pretended(monkeypatch)
    ray.is_initialized, ray.init = lambda: False, init
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UsageError, match=message):
        on_cluster([partial(job, 0)], "cpu", print)


def test_a_machine_without_the_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"has no folder .*none: let all machines share a folder"):
        enter(str(tmp_path / "none"))
