import json

import pytest
from helpers import call, write_folder

import seewhy


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "cache"))
    return write_folder(tmp_path / "photos", count=4)


def test_the_cache_is_listed_checked_and_emptied(photos, tmp_path):
    assert call("cache").out.startswith("no sets; ")
    seewhy.load_data(photos)
    (cached,) = json.loads(call("cache", "--json").out)["sets"]
    assert (cached["images"], cached["source"]) == (12, str(photos))
    shown = call("cache", "list").out
    assert cached["id"] in shown and str(photos) in shown and "20.0 GB at most" in shown
    assert call("cache", "check").out == "nothing is damaged\n"
    (file,) = (tmp_path / "cache").glob("pixels/*/*/images.npy")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert cached["id"] in call("cache", "check", code=1).out
    seewhy.load_data(photos)
    assert "say which sets" in call("cache", "remove", code=2).err
    assert call("cache", "remove", "--unused-days", "3").out == "nothing was removed\n"
    assert (
        json.loads(call("cache", "remove", "--all", "--json").out)["removed"][0]["id"]
        == cached["id"]
    )
    assert call("cache").out.startswith("no sets; ")


def test_an_unknown_set_is_answered_with_the_nearest_and_not_with_all(photos, tmp_path):
    for count in (1, 2, 3):
        seewhy.load_data(write_folder(tmp_path / f"more-{count}", count=count + 2))
    ids = [one.id for one in seewhy.list_cache().sets]
    error = call("cache", "remove", "zzz", code=2).err
    assert "no set 'zzz'. `seewhy cache` lists the 3 sets" in error
    assert not any(one in error for one in ids)
    nearly = ids[1][:-1] + ("0" if ids[1][-1] != "0" else "1")
    assert f"did you mean {ids[1]}? `seewhy cache`" in call("cache", "remove", nearly, code=2).err
