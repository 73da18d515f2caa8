"""Experiments whose runs a Ray cluster trains: the results are those of one process."""

import json
import os
import sys
import time
from threading import Thread

import pytest
from helpers import QUICK, same_weights
from workflows.clusters import pretended
from workflows.experiments.studies import begin

import seewhy
from seewhy.config.plan import make_plan
from seewhy.errors import UsageError
from seewhy.events import Note
from seewhy.run import Run
from seewhy.workflows.experiments import study, tuning

ROWS = {"recipe": "regularized-cnn", "seeds": 1, "rows": {"smooth": {"with": {"train.ema": 0.5}}}}
TIMES = ("seconds", "target_seconds", "elapsed")
SLOW = QUICK | {"train.epochs": 4, "train.checkpoint_seconds": 1e-6}


def seeds(photos, out, engine, overrides=QUICK, **options):
    options |= {"overrides": overrides, "engine": engine}
    seewhy.seeds(photos, "regularized-cnn", 2, out=out, **options)
    return "seeds.json"


def folds(photos, out, engine):
    seewhy.folds(photos, "regularized-cnn", 2, out=out, overrides=QUICK, engine=engine)
    return "folds.json"


def ablate(photos, out, engine):
    plan = make_plan(ROWS, "the plan")
    seewhy.ablate(photos, plan, out=out, overrides=QUICK, engine=engine)
    return "ablation.json"


def learning_curve(photos, out, engine):
    options = {"out": out, "overrides": QUICK, "engine": engine}
    seewhy.learning_curve(photos, "regularized-cnn", (0.5, 1), 1, **options)
    return "learning_curve.json"


def tune(photos, out, engine, trials=1, **options):
    options = {"overrides": QUICK, "engine": engine, **options}
    seewhy.tune(photos, begin(out.parent), trials, out=out, **options)
    return "tuning.json"


@pytest.fixture(autouse=True)
def one_repeat(monkeypatch):
    monkeypatch.setattr(tuning, "REPEATS", 1)


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in TIMES}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def result(path, home):
    """What a file of JSON says, but for times and the place of the experiment."""
    return without_times(json.loads(path.read_text().replace(str(home), "HOME")))


def require_same(one, other, name):
    """Requires the same results and the same runs, to the bit, in two experiments."""
    assert result(one / name, one) == result(other / name, other)
    paths = [path.relative_to(one) for path in sorted(one.rglob("metrics.json"))]
    assert paths == [path.relative_to(other) for path in sorted(other.rglob("metrics.json"))]
    for path in paths:
        assert result(one / path, one) == result(other / path, other)
        ours, theirs = (Run((home / path).parent) for home in (one, other))
        assert ours.finished == theirs.finished
        assert not ours.finished or same_weights(ours.model, theirs.model)


@pytest.mark.parametrize("work", [ablate, tune])
def test_jobs_that_are_sent_away_give_the_results_of_one_process(
    photos, tmp_path, monkeypatch, work
):
    ray = pretended(monkeypatch)
    name = work(photos, tmp_path / "ray", "ray")
    assert len(ray.tasks) == {ablate: 2, tune: 1 + 2}[work]
    work(photos, tmp_path / "local", "local")
    require_same(tmp_path / "ray", tmp_path / "local", name)


def test_finished_runs_ask_for_no_cluster(photos, tmp_path, monkeypatch):
    name = seeds(photos, tmp_path / "s", "local")
    before, ray = (tmp_path / "s" / name).read_bytes(), pretended(monkeypatch)
    seeds(photos, tmp_path / "s", "ray")
    assert not ray.tasks and (tmp_path / "s" / name).read_bytes() == before


def test_a_study_in_a_file_is_for_one_machine(tmp_path):
    with (
        study.quiet(),
        pytest.raises(UsageError, match=r"on other, which .* --storage postgresql:"),
    ):
        study.open_study(f"sqlite:///{tmp_path / 's.db'}", "s", "max", "none", 2, "other")


@pytest.mark.parametrize("work", [seeds, folds, ablate, learning_curve, tune])
def test_without_ray_it_is_named_and_nothing_is_begun(photos, tmp_path, monkeypatch, work):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'seewhy\[ray\]'"):
        work(photos, tmp_path / "out", "ray")
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------ a real cluster


@pytest.fixture(scope="module")
def cluster():
    """Two workers of one core each."""
    ray = pytest.importorskip("ray", reason="no Ray: pip install 'seewhy[ray]'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        yield ray
        ray.shutdown()


def tune_more(photos, out, engine):
    return tune(photos, out, engine, 5)


@pytest.mark.long
@pytest.mark.parametrize("work", [seeds, folds, ablate, learning_curve, tune_more])
def test_a_cluster_gives_the_results_of_one_process(photos, tmp_path, cluster, work):
    name = work(photos, tmp_path / "ray", "ray")
    work(photos, tmp_path / "local", "local")
    require_same(tmp_path / "ray", tmp_path / "local", name)


def worker(run):
    """The process that trains a run, or has trained it."""
    return json.loads(run.lock.read_text())["pid"]


def killed_at_a_step(run, work, *arguments, **options):
    """Has `work` done while the worker is killed that trains the run; returns what it returns."""

    def kill():
        while run.saved_step is None:
            time.sleep(0.01)
        killed.append(worker(run))
        os.kill(killed[0], 9)

    killed = []
    killer = Thread(target=kill)
    killer.start()
    result = work(*arguments, **options)
    killer.join()
    assert killed != [worker(run)] and os.getpid() not in (*killed, worker(run))
    texts = [event.text for event in run.events if isinstance(event, Note)]
    assert any(text.startswith("resumed at step") for text in texts)
    return result


@pytest.mark.long
def test_the_run_of_a_lost_worker_is_continued_by_another(photos, tmp_path, cluster):
    out = tmp_path / "ray"
    name = killed_at_a_step(Run(out / "seed-0"), seeds, photos, out, "ray", SLOW)
    seeds(photos, tmp_path / "local", "local", SLOW)
    require_same(out, tmp_path / "local", name)


@pytest.mark.long
def test_the_trial_of_a_lost_worker_is_continued_by_another(photos, tmp_path, cluster):
    out, fields = tmp_path / "ray", {"trials": 3, "overrides": SLOW}
    killed_at_a_step(Run(out / "trial-0001"), tune, photos, out, "ray", **fields)
    trials = json.loads((out / "tuning.json").read_text())["tuning"]["trials"]
    assert sorted(trial["state"] for trial in trials) == ["complete"] * 3 + ["failed"]
    (failed,) = (trial for trial in trials if trial["state"] == "failed")
    (again,) = (trial for trial in trials if trial["number"] == 3)
    assert again["params"] == failed["params"] and again["path"] == failed["path"]
    tune(photos, tmp_path / "local", "local", **fields)
    local = json.loads((tmp_path / "local" / "tuning.json").read_text())["tuning"]["trials"]
    kept = [(trial["params"], trial["value"]) for trial in trials if trial is not failed]
    assert sorted(map(repr, kept)) == sorted(repr((t["params"], t["value"])) for t in local)
