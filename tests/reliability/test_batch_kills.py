"""kill -9 at random moments of `predict`: no row is lost, doubled or in another place."""

import time
from contextlib import suppress

import pytest

import seewhy
from reliability import processes
from seewhy.inference import classifier


def label(model, images, home):
    """Labels in chunks of three, so that there are many moments; goes on with what is there."""
    classifier.CHUNK = 3
    if not (home / "rows.csv").exists():
        seewhy.label_images(
            model, images, home / "rows.csv", resume=True, copy_to=home / "sorted", device="cpu"
        )


def result(home):
    copies = {path.relative_to(home): path.read_bytes() for path in home.rglob("*.png")}
    return (home / "rows.csv").read_bytes(), copies


@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.long)])
def test_work_that_is_killed_at_any_moment_ends_with_the_same_rows(
    photos, whole, tmp_path, rng, kills
):
    home = tmp_path / "whole"
    assert processes.run(label, whole.model, photos, home) == 0
    expected = result(home)
    assert len(expected[1]) == 60 and expected[0].count(b"\n") == 61
    done, resumed = 0, 0
    while done < kills:
        home = tmp_path / f"killed-{done}"
        partial = home / "rows.csv.partial"
        moment = rng.randrange(20)
        while True:
            process = processes.start(label, whole.model, photos, home)
            while process.is_alive() and done < kills:  # until so many rows are kept
                with suppress(FileNotFoundError):  # it becomes the table at the end
                    if partial.read_bytes().count(b"\n") > 3 * moment:
                        break
                time.sleep(0.001)
            if done == kills:
                process.join()
            process.kill()
            process.join()
            if process.exitcode == 0:
                break
            done, moment = done + 1, moment + rng.randrange(1, 20)
            resumed += partial.exists()
        assert result(home) == expected
        assert not list(home.rglob("*.tmp"))
    assert resumed
