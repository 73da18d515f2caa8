"""`seewhy data pack`, and packs as --data."""

import json

from helpers import call


def test_a_pack_is_data(tmp_path, photos, trained):
    out = tmp_path / "photos.pack"
    printed = call("data", "pack", photos, "--out", out, "--size", 16, "--raw")
    assert "36 images of 16x16" in printed.out
    ours, theirs = (json.loads(call("data", "stats", p, "--json").out) for p in (out, photos))
    assert ours["splits"] == theirs["splits"]
    ours, theirs = (call("data", "check", data, code=1).out for data in (out, photos))
    assert ours == theirs
    call("evaluate", trained, "--data", out)
    assert "already exists" in call("data", "pack", photos, "--out", out, code=2).err


def test_a_damaged_pack_is_one_line(tmp_path, photos):
    out = tmp_path / "photos.pack"
    result = json.loads(call("data", "pack", photos, "--out", out, "--raw", "--json").out)
    assert result["images"] == 36 and result["side"] == 16
    out.write_bytes(out.read_bytes()[:-9])
    err = call("data", "stats", out, code=2).err
    assert "photos.pack: it is damaged" in err and err.count("\n") == 1
