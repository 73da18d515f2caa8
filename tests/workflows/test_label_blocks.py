"""Rows that a Ray cluster makes are those of one process."""

import csv
import sys

import pytest

import seewhy
from seewhy.config.data import DataConfig
from seewhy.errors import UsageError
from seewhy.inference.classifier import Pass
from seewhy.workflows.label_blocks import Job, _Worker, blocks_here
from seewhy.workflows.label_tables import columns_of


@pytest.fixture
def job(tmp_path, photos, trained, monkeypatch):
    """A folder of images and a pack, labelled five at a time."""
    monkeypatch.setattr("seewhy.inference.classifier.CHUNK", 5)
    monkeypatch.chdir(tmp_path)
    seewhy.pack_data(photos, "x.pack", DataConfig(size=16), raw=True)
    (tmp_path / "bad.png").write_bytes(b"no image")
    paths = (str(photos / "ant"), "x.pack", "bad.png")
    return Job(str(trained), paths, "cpu", "auto", False, str(tmp_path))


def test_workers_make_the_rows_of_one_process(job):
    columns = columns_of(2, False)
    with job.load() as classifier:
        images = job.images()
        blocks = blocks_here(job, classifier, images, columns)(0, Pass())
        whole = [row for block in blocks for row in block]
        workers = [_Worker(job, (classifier.digest, images.digest), columns) for _ in range(2)]
        rows, errors = [], []
        for number, start in enumerate(range(0, len(images), 2 * classifier.chunk)):
            some, error = workers[number % 2].rows(start, 2 * classifier.chunk)
            rows, errors = rows + some, [*errors, error]
    assert rows == whole and len(rows) == 12 + 36 + 1 and set(errors) == {None}
    assert rows[-1][:2] == ["bad.png", "error"]


def test_a_worker_that_finds_something_else_says_so(job):
    rows, error = _Worker(job, ("0" * 64, "0" * 64), ("path",)).rows(0, 5)
    assert rows == [] and "another model or other images" in error


def test_without_ray_it_is_named(job, trained, photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'seewhy\[ray\]'"):
        seewhy.label_images(trained, photos, print, engine="ray")


@pytest.mark.long
def test_a_cluster_makes_the_rows_of_one_process(trained, tmp_path):
    ray = pytest.importorskip("ray", reason="no Ray: pip install 'seewhy[ray]'")
    seewhy.pack_data("digits", tmp_path / "digits.pack", raw=True)  # two tasks
    tables = []
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        for engine in ("local", "ray"):
            out = tmp_path / f"{engine}.csv"
            seewhy.label_images(trained, tmp_path / "digits.pack", out, engine=engine)
            with open(out, newline="") as file:
                tables.append(list(csv.reader(file)))
    finally:
        ray.shutdown()
    assert tables[0] == tables[1] and len(tables[0]) == 1798
