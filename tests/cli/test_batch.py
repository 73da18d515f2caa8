"""`seewhy predict` over many images: tables, copies, maps, logs, and continuing after a kill."""

import csv
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from helpers import call
from PIL import Image

import seewhy
from seewhy.cli.predict import _counts
from seewhy.errors import UsageError
from seewhy.evaluation.decision.record import Decision
from seewhy.inference.classifier import Classifier
from seewhy.workflows import journal

SHUT = KeyboardInterrupt


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of four images, so that few images are many chunks."""
    monkeypatch.setattr("seewhy.inference.classifier.CHUNK", 4)


def interrupted(monkeypatch, after, run):
    """Runs until so many chunks are predicted, and then as if Ctrl-C was pressed."""
    predict = Classifier._predict_read
    chunks = iter(range(after))

    def stop(*arguments):
        if next(chunks, None) is None:
            raise KeyboardInterrupt
        return predict(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "_predict_read", stop)
        return run()


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_three_formats_hold_the_same_rows(trained, photos, tmp_path):
    bad = tmp_path / "=bad.png"
    bad.write_bytes(b"no image")
    tables = {}
    for suffix in ("csv", "jsonl", "parquet"):
        out = tmp_path / f"rows.{suffix}"
        call("predict", trained, photos / "bee", bad, "--out", out, code=1)
        tables[suffix] = out
    rows = lines_of(tables["jsonl"])
    table = pq.read_table(tables["parquet"])
    assert table.to_pylist() == rows and str(table["confidence"].type) == "double"
    with open(tables["csv"], newline="") as file:
        as_text = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
        assert list(csv.DictReader(file)) == as_text
    assert rows[-1]["status"] == "error" and rows[-1]["label"] is None
    assert not list(tmp_path.glob("*.partial"))
    assert (
        "expected a name that ends in .csv, .jsonl or .parquet"
        in call("predict", trained, photos, "--out", tmp_path / "rows.txt", code=2).err
    )


def test_a_function_gets_the_rows_a_few_at_a_time(trained, photos, tmp_path, small_chunks):
    blocks = []
    result = seewhy.label_images(trained, photos, lambda *block: blocks.append(block))
    seewhy.label_images(trained, photos, tmp_path / "rows.jsonl")
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    rows = [dict(zip(columns, row, strict=True)) for columns, block in blocks for row in block]
    assert [row["path"] for row in rows] == [json.loads(line)["path"] for line in lines]
    assert len(blocks) > 1 and result.images == len(rows) and result.out is None
    with pytest.raises(UsageError, match="--resume needs --out FILE"):
        seewhy.label_images(trained, photos, print, resume=True)


def test_interrupted_work_is_continued_to_the_same_rows(
    trained, photos, tmp_path, monkeypatch, small_chunks
):
    whole, out = tmp_path / "whole.csv", tmp_path / "rows.csv"
    partial = tmp_path / "rows.csv.partial"
    seewhy.label_images(trained, photos, whole)
    command = ["predict", trained, photos, "--out", out]
    shown = interrupted(monkeypatch, 3, lambda: call(*command, code=130))
    assert "--resume to continue" in shown.err
    assert not out.exists() and len(partial.read_text().splitlines()) == 1 + 12
    kept = partial.read_bytes()
    assert "continue it with --resume" in call(*command, code=2).err
    changes = (
        ([trained, photos / "ant"], "another length"),
        ([trained, *sorted(photos.iterdir())[::-1]], "another order"),
        ([trained, photos, "--top-k", "2"], "another --top-k"),
        (["fast", photos], "another model"),
    )
    for changed, reason in changes:
        refused = call("predict", *changed, "--out", out, "--resume", code=2)
        assert reason in refused.err and partial.read_bytes() == kept
    with open(partial, "ab") as file:
        file.write(b'["torn')  # as a kill leaves it
    (tmp_path / ".rows.csv.999999999.tmp").write_bytes(b"half a table")
    done = call(*command, "--resume", "--json")
    record = json.loads(done.out)
    assert (record["resumed"], record["images"]) == (12, 36)
    assert sum(record["by_class"].values()) == 36
    assert out.read_bytes() == whole.read_bytes()
    assert set(tmp_path.iterdir()) == {whole, out}
    assert "already exists" in call(*command, "--resume", code=2).err


def test_what_a_crash_of_the_machine_leaves_is_cut_at_the_first_row_that_is_none(
    trained, photos, tmp_path, monkeypatch, small_chunks
):
    whole, out = tmp_path / "whole.jsonl", tmp_path / "rows.jsonl"
    seewhy.label_images(trained, photos / "bee", whole)

    def label(resume):
        return seewhy.label_images(trained, photos / "bee", out, resume=resume)

    with pytest.raises(SHUT):
        interrupted(monkeypatch, 2, lambda: label(False))
    partial = tmp_path / "rows.jsonl.partial"
    lines = partial.read_bytes().splitlines(keepends=True)
    partial.write_bytes(b"".join(lines[:4]) + bytes(len(lines[4])) + b"".join(lines[5:]))
    assert label(True).resumed == 3 and out.read_bytes() == whole.read_bytes()


def test_a_start_that_kept_no_row_leaves_nothing(trained, photos, tmp_path, monkeypatch):
    out = tmp_path / "rows.csv"
    with pytest.raises(SHUT):
        interrupted(monkeypatch, 0, lambda: seewhy.label_images(trained, photos, out))
    assert not list(tmp_path.iterdir())
    partial = tmp_path / "rows.csv.partial"
    for flags in ([], ["--resume"]):
        for mine in ("my own notes", "my own notes\nof two lines\n"):
            partial.write_text(mine)
            call("predict", trained, photos / "ant", "--out", out, *flags, code=2)
            assert partial.read_text() == mine
    partial.write_text('{"seewhy": "rows of an unfinished table", "mod')  # killed before a row
    assert seewhy.label_images(trained, photos / "ant", out).images == 12


def test_one_process_writes_at_a_time(trained, photos, tmp_path):
    about = {"model": "m", "columns": ["path"], "images": 1, "inputs": ""}
    out = tmp_path / "rows.csv"
    with journal.journal(out, about, resume=False):
        assert "another process" in call("predict", trained, photos, "--out", out, code=6).err


def test_resume_needs_a_file_and_json_too(trained, photos):
    assert "--resume needs --out" in call("predict", trained, photos, "--resume", code=2).err
    assert "--json needs --out" in call("predict", trained, photos, "--json", code=2).err


def test_one_json_object_says_what_was_labelled(trained, photos, tmp_path):
    out = tmp_path / "rows.parquet"
    record = json.loads(call("predict", trained, photos, "--out", out, "--json").out)
    assert set(record) == {
        *("images", "bad", "errors", "by_class", "not_sure", "out_of_scope", "resumed"),
        *("seconds", "images_per_second", "bottleneck", "digest", "out", "copied", "explained"),
    }
    assert record["digest"] == seewhy.load(trained).digest and record["out"] == str(out)
    assert record["bottleneck"] in ("reading", "network", "writing")


# ------------------------------------------------------------------ copies


def test_copies_are_sorted_and_nothing_is_overwritten(trained, photos, tmp_path):
    images = shutil.copytree(photos, tmp_path / "images")
    (images / "ant" / "bad.png").write_bytes(b"no image")
    out, sorted_ = tmp_path / "rows.jsonl", tmp_path / "sorted"
    done = call("predict", trained, images, "--out", out, "--copy-to", sorted_, code=1)
    assert "36 images copied" in done.err
    assert "1 of 37 images could not be read and not copied" in done.err
    rows = [row for row in lines_of(out) if row["status"] == "ok"]
    copies = {path for path in sorted_.rglob("*") if path.is_file()}
    assert copies == {sorted_ / r["label"] / os.path.relpath(r["path"], images) for r in rows}
    first = rows[0]
    copy = sorted_ / first["label"] / os.path.relpath(first["path"], images)
    assert copy.read_bytes() == Path(first["path"]).read_bytes()

    copy.write_bytes(b"someone's own file")
    out.unlink()
    call("predict", trained, images, "--out", out, "--copy-to", sorted_, code=1)
    new = {path for path in sorted_.rglob("*") if path.is_file()} - copies
    assert copy.read_bytes() == b"someone's own file"
    assert new == {copy.with_name(f"{copy.stem}-2{copy.suffix}")}


def test_another_image_of_the_same_name_size_and_time_is_copied_too(trained, tmp_path):
    """As out of archives whose files have one time, and formats without compression."""
    images = [tmp_path / folder / "0.bmp" for folder in ("one", "two")]
    for place, path in enumerate(images):
        path.parent.mkdir()
        Image.new("RGB", (16, 16), (place, 0, 0)).save(path)
        os.utime(path, (10**9, 10**9))
        call("predict", trained, path.parent, "--copy-to", tmp_path / "sorted")
    copies = {path.read_bytes() for path in (tmp_path / "sorted").rglob("*.bmp")}
    assert copies == {path.read_bytes() for path in images}


def test_copies_leave_neither_their_folder_nor_the_images_alone(trained, photos, tmp_path):
    inside = call("predict", trained, photos, "--copy-to", photos / "sorted", code=2)
    assert "choose a folder outside" in inside.err and not (photos / "sorted").exists()
    outside = tmp_path / "outside"
    outside.mkdir()
    label = seewhy.load(trained).classes
    (tmp_path / "sorted").mkdir()
    for name in label:
        (tmp_path / "sorted" / name).symlink_to(outside)
    refused = call("predict", trained, photos, "--copy-to", tmp_path / "sorted", code=2)
    assert "link that leads out" in refused.err and not list(outside.iterdir())


# ------------------------------------------------------------------ maps and logs


def test_the_least_sure_are_explained(rendered, trained, photos, tmp_path):
    out, maps = tmp_path / "rows.jsonl", tmp_path / "maps"
    command = ["predict", trained, photos, "--out", out, "--explain", maps, "--explain-most", "2"]
    assert "maps of 2 images" in call(*command).err
    record = json.loads((maps / "explanations.json").read_text())
    rows = sorted(lines_of(out), key=lambda row: row["confidence"])
    assert [one["id"] for one in record["pictures"]] == [row["path"] for row in rows[:2]]
    assert (maps / "explanations-1.png").stat().st_size > 1000
    out.unlink()
    assert "is not empty" in call(*command, code=2).err and not out.exists()


def test_what_a_calibrated_model_is_not_sure_of_is_set_apart(
    trained, photos, tmp_path, monkeypatch
):
    predictor = seewhy.load(trained).predictor
    confidence = seewhy.predict(trained, sorted(photos.rglob("*.png"))).confidence()
    unsure = replace(predictor, decision=Decision(threshold=float(np.median(confidence))))
    monkeypatch.setattr("seewhy.workflows.label_blocks.load", lambda *_, **__: Classifier(unsure))
    result = seewhy.label_images(
        *("m", photos, tmp_path / "rows.jsonl"),
        copy_to=tmp_path / "sorted",
        explain=tmp_path / "maps",
        explain_most=1,
    )
    rows = lines_of(tmp_path / "rows.jsonl")
    apart = [row for row in rows if row["answer"] == "not sure"]
    assert result.not_sure == len(apart) == 18 and result.copied == 36
    assert _counts(result).endswith(" (by the likeliest class; of these 18 not sure)")
    names = {os.path.relpath(row["path"], photos) for row in apart}
    folder = tmp_path / "sorted" / "not sure"
    copies = {str(path.relative_to(folder)) for path in folder.rglob("*.png")}
    assert copies == names
    (explained,) = json.loads((tmp_path / "maps" / "explanations.json").read_text())["pictures"]
    assert explained["id"] == min(apart, key=lambda row: row["confidence"])["path"]


@pytest.mark.parametrize("as_json", [False, True])
def test_each_event_is_logged_once(trained, photos, tmp_path, as_json):
    bad = tmp_path / "bad\n\x1b.png"
    bad.write_bytes(b"no image")
    log = tmp_path / "log"
    flags = ["--log-file", log, *["--log-json"] * as_json]
    call("predict", trained, photos / "ant", bad, *flags, code=1)
    call("predict", trained, tmp_path / "none.txt", "--top-k", "0", *flags, code=2)
    call("evaluate", trained, "--data", photos, *flags)
    written = log.read_text().splitlines()
    events = ["start", "model", "images", "bad image", "progress", "end"]
    if not as_json:
        assert [line.split()[2] for line in written[:6]] == ["seewhy.predict"] * 6
        assert all(line.isprintable() for line in written)
        return
    records = [json.loads(line) for line in written]
    of_predict = [r["event"] for r in records if r["logger"] == "seewhy.predict"]
    assert of_predict == events
    assert (records[3]["path"], records[3]["code"]) == (str(bad), "unsupported_format")
    assert records[1]["digest"] == records[5]["digest"] == seewhy.load(trained).digest
    assert records[5]["images"] == 13 and records[5]["errors"] == {"unsupported_format": 1}
    of_evaluate = [r["event"] for r in records if r["logger"] == "seewhy.evaluate"]
    assert of_evaluate == ["start", "model", "images", "predicted", "end"]
