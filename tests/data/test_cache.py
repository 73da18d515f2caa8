"""The cache: warm is cold, damage is mended, two builders build once, memory stays flat."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from data.pictures import class_folders, encoded, noise, put

from seewhy.config.input_rule import InputRule
from seewhy.data import cache, checksums, load_data, stamps
from seewhy.data.cache import Stored, stored
from seewhy.data.images.decode import content_hash, decode, open_image, read
from seewhy.data.sources import find
from seewhy.data.stamps import content_of
from seewhy.errors import DataError, DiskFullError
from seewhy.events import Progress, ignore

RULE = InputRule(size=8, store=8)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return class_folders(tmp_path / "pictures", {"a": 5, "b": 4}, side=12)


def get(root: Path, rule: InputRule = RULE, on_event=ignore) -> Stored:
    source = find(root)
    return stored(source, rule, content_of(source), on_event)


def entries(home: Path) -> list[Path]:
    """Finished ones: what a killed builder left may hold a part of its checksums."""
    found = {path.parent for path in home.glob("sets/*/*/checksums.json")}
    return sorted(found - set(temporaries(home)))


def temporaries(home: Path) -> list[Path]:
    return [*home.glob("sets/*/*.tmp"), *home.glob("pixels/*/*.tmp")]


def segments(home: Path) -> list[Path]:
    return sorted(path.parent for path in home.glob("pixels/*/*/checksums.json"))


def count_calls(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> list[tuple]:
    calls, real = [], getattr(module, name)

    def counted(*arguments):
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(module, name, counted)
    return calls


def same(one: Stored, other: Stored) -> bool:
    arrays = ("images", "labels", "splits", "hashes", "sizes", "ids")
    return (
        all(np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays)
        and (one.classes, one.bad, one.pixels) == (other.classes, other.bad, other.pixels)
        and (one.groups is None) == (other.groups is None)
    )


# ------------------------------------------------------------------ what is stored


def test_sizes_are_of_the_whole_images(home, tmp_path):
    put(tmp_path / "p", "a/1.png", data=encoded(noise(30, 20)))
    put(tmp_path / "p", "b/2.png", data=encoded(noise(9, 40)))
    found = get(tmp_path / "p")
    assert found.sizes.tolist() == [[20, 30], [40, 9]] and found.pixels == "of several sizes"


def test_one_name_in_two_forms_of_unicode_is_one_class(home, tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    assert composed != decomposed
    put(tmp_path / "p", f"train/{composed}/1.png", "train/é/2.png", f"val/{decomposed}/3.png")
    found = get(tmp_path / "p")
    assert found.classes == (composed, "é") and found.labels.tolist() == [0, 1, 0]
    assert found.merged == (composed,)


def test_what_the_source_knows_to_be_missing_is_a_bad_file(home, tmp_path):
    put(tmp_path / "p", "1.png", "2.png")
    (tmp_path / "p/labels.csv").write_text("id,label\n1,a\n2,b\n3,b\n")
    found = get(tmp_path / "p")
    assert [(file.path, file.code) for file in found.bad] == [("3", "not_found")]
    assert len(found.labels) == 2


def test_an_entry_holds_what_reading_one_by_one_gives(home, pictures):
    found = get(pictures)
    paths = sorted(pictures.rglob("*.png"))
    assert found.ids.tolist() == [path.relative_to(pictures).as_posix() for path in paths]
    assert found.classes == ("a", "b") and found.labels.tolist() == [0] * 5 + [1] * 4
    assert found.pixels == "12x12" and found.bad == () and found.groups is None
    assert found.sizes.tolist() == [[12, 12]] * 9 and found.merged == ()
    for row, path in enumerate(paths):
        assert np.array_equal(found.images[row], read(path, RULE))
        assert found.hashes[row].decode() == content_hash(decode(path.read_bytes()))


def test_warm_is_cold_and_decodes_nothing(home, pictures, monkeypatch):
    cold = get(pictures)
    decoded = count_calls(monkeypatch, cache, "read_hashed")
    assert same(get(pictures), cold) and decoded == []
    get(pictures, InputRule(size=6, store=6))
    assert len(decoded) == 9  # another stored side is another entry
    get(pictures, InputRule(size=5, store=6))
    assert len(decoded) == 9  # the part of it that is looked at is not


def test_images_come_in_order_whether_threads_help_or_not(home, tmp_path, monkeypatch):
    root = class_folders(tmp_path / "many", {"a": 40, "b": 40})
    monkeypatch.setattr(cache, "_CHUNK_ROWS", 3)
    found = get(root)
    assert [read(root / key, RULE).tobytes() for key in found.ids] == [
        i.tobytes() for i in found.images
    ]
    monkeypatch.setattr(cache, "_SMALL", 1 << 40)  # all in one thread
    assert same(get(root, InputRule(size=7, store=8)), found)


def test_progress_runs_to_the_end(home, pictures):
    seen = []
    get(pictures, on_event=seen.append)
    assert seen[-1] == Progress("reading", 9, 9)
    assert seen == sorted(seen, key=lambda event: event.done)


def test_no_file_of_an_entry_is_a_pickle(home, pictures):
    get(pictures)
    (entry,) = entries(home)
    for path in [*entry.glob("[!.]*"), *segments(home)[0].iterdir()]:
        if path.suffix == ".npy":
            np.load(path, allow_pickle=False)
        else:
            json.loads(path.read_text("ascii"))


# ------------------------------------------------------------------ content


def test_a_change_of_content_or_name_is_another_set(home, pictures):
    first = content_of(find(pictures)).id
    assert content_of(find(pictures)).id == first
    os.rename(pictures / "a/00000.png", pictures / "a/first.png")
    renamed = content_of(find(pictures)).id
    (pictures / "a/first.png").write_bytes(encoded(noise(12, 12, 99)))
    changed = content_of(find(pictures)).id
    assert len({first, renamed, changed}) == 3


def test_a_change_that_hides_behind_its_size_and_time_is_seen(home, pictures, monkeypatch):
    monkeypatch.setattr(stamps, "_SETTLED", 0)
    path = pictures / "a/00000.png"
    first, times, data = content_of(find(pictures)).id, path.stat(), bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_mtime_ns == times.st_mtime_ns and path.stat().st_size == times.st_size
    assert content_of(find(pictures)).id != first


def test_files_that_look_the_same_are_not_read_again(home, pictures, monkeypatch):
    monkeypatch.setattr(stamps, "_SETTLED", 0)
    first = content_of(find(pictures)).id
    hashed = count_calls(monkeypatch, stamps, "_hash")
    assert content_of(find(pictures)).id == first and hashed == []
    os.utime(pictures / "b/00001.png")
    assert content_of(find(pictures)).id == first
    assert hashed == [(pictures / "b/00001.png",)]
    class_folders(pictures, {"c": 1}, start=50)
    content_of(find(pictures))
    assert [path.relative_to(pictures).parts[0] for (path,) in hashed] == ["b", "c"]


def test_a_file_just_written_is_read_again(home, pictures, monkeypatch):
    monkeypatch.setattr(stamps, "_SETTLED", 10**15)
    first = content_of(find(pictures)).id
    hashed = count_calls(monkeypatch, stamps, "_hash")
    assert content_of(find(pictures)).id == first
    assert len(hashed) == 9


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x93NUMPY\1\0"], ids=["empty", "junk", "head"])
def test_a_damaged_index_of_files_is_made_anew(home, pictures, junk, monkeypatch):
    monkeypatch.setattr(stamps, "_SETTLED", 0)
    first = content_of(find(pictures)).id
    (index,) = (home / "stamps").iterdir()
    good = index.read_bytes()
    index.write_bytes(junk)
    assert content_of(find(pictures)).id == first
    assert index.read_bytes() == good


# ------------------------------------------------------------------ damage


def flip(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << place % 8
    path.write_bytes(data)


FILES = (
    "labels.npy",
    "splits.npy",
    "hashes.npy",
    "rows.npy",
    "table.json",
    "set.json",
    "checksums.json",
)
IMAGES = ("images.npy", "facts.npy", "checksums.json")


def damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "flip":
        flip(path, len(whole) - 3)
    elif how == "head":
        flip(path, 9)
    elif how == "cut":
        path.write_bytes(whole[:-1])
    elif how == "longer":
        path.write_bytes(whole + b"x")
    else:
        path.unlink()


DAMAGES = ("flip", "head", "cut", "longer", "gone")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_entry_is_built_again(home, pictures, name, how):
    good = get(pictures)
    images = good.images.copy()
    (entry,) = entries(home)
    whole = (entry / name).read_bytes()
    damage(entry / name, how)
    found = get(pictures)
    assert np.array_equal(found.images, images) and found.classes == ("a", "b")
    assert (entry / name).read_bytes() == whole and len(segments(home)) == 1


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize("how", DAMAGES)
def test_damaged_images_are_decoded_again(home, pictures, name, how):
    images = get(pictures).images.copy()
    (segment,) = segments(home)
    damage(segment / name, how)
    assert np.array_equal(get(pictures).images, images)
    (mended,) = segments(home)  # the damaged one is removed
    assert mended != segment


def test_every_block_is_checked(home, pictures, monkeypatch):
    monkeypatch.setattr(checksums, "_BLOCK", 100)
    good = get(pictures).images.copy()
    for place in range(0, (segments(home)[0] / "images.npy").stat().st_size, 197):
        flip(segments(home)[0] / "images.npy", place)
        assert np.array_equal(get(pictures).images, good)


def test_a_builder_that_fails_leaves_nothing(home, pictures, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(cache, "_write_table", killed)
        get(pictures)
    assert entries(home) == [] and temporaries(home) == []
    assert len(get(pictures).labels) == 9


CHILD = """
import sys, os
from pathlib import Path
from seewhy.data import cache
from seewhy.config.input_rule import InputRule
from seewhy.data.sources import find
from seewhy.data.stamps import content_of

real = cache._build
def build(*arguments):
    with open(sys.argv[2], "a") as log:
        log.write("built\\n")
    real(*arguments)
cache._build = build
source = find(sys.argv[1])
found = cache.stored(source, InputRule(size=8, store=8), content_of(source))
print(len(found.labels), found.images.sum())
"""


def start(pictures: Path, log: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", CHILD, str(pictures), str(log)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_ask_at_once_build_once(home, pictures, tmp_path):
    log = tmp_path / "log"
    children = [start(pictures, log) for _ in range(4)]
    answers = {child.communicate(timeout=60)[0] for child in children}
    assert log.read_text() == "built\n"
    assert answers == {f"9 {get(pictures).images.sum()}\n"}


def kill_while_building(home: Path, pictures: Path, log: Path, moments: list[float]) -> None:
    for moment in moments:
        child = start(pictures, log)
        time.sleep(moment)
        child.send_signal(signal.SIGKILL)
        child.wait(60)
        child.stdout.close()
        for entry in entries(home):
            assert cache._open(entry) is not None
    assert len(get(pictures).labels) == len(list(pictures.rglob("*.png")))
    assert temporaries(home) == []


def test_a_killed_builder_leaves_a_whole_entry_or_none(home, tmp_path):
    pictures = class_folders(tmp_path / "p", {"a": 100, "b": 100}, side=32)
    kill_while_building(home, pictures, tmp_path / "log", [0.2, 0.3, 0.4])


@pytest.mark.long
def test_forty_killed_builders_leave_whole_entries(home, tmp_path):
    pictures = class_folders(tmp_path / "p", {"a": 500, "b": 500}, side=64)
    moments = np.random.default_rng(0).uniform(0.1, 1.2, 40).tolist()
    kill_while_building(home, pictures, tmp_path / "log", moments)


def test_a_full_disk_is_named_and_leaves_nothing(home, pictures):
    source = find(pictures)
    content = content_of(source)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (900, before[1]))
    try:
        with pytest.raises(DiskFullError, match="disk full"):
            stored(source, RULE, content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert entries(home) == [] and temporaries(home) == []
    assert len(get(pictures).labels) == 9


def test_space_is_asked_for_before_anything_is_decoded(home, pictures, monkeypatch):
    def refuse(path: Path, needed: int, what: str) -> None:
        assert needed == 9 * 8 * 8 * 3
        raise DiskFullError("full")

    monkeypatch.setattr(cache, "require_space", refuse)
    decoded = count_calls(monkeypatch, cache, "read_hashed")
    with pytest.raises(DiskFullError):
        get(pictures)
    assert decoded == []


def test_a_cache_that_cannot_be_is_an_error(tmp_path, pictures, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match="set SEEWHY_CACHE"):
        content_of(find(pictures))


def test_a_cache_in_which_a_file_is_in_the_way_is_an_error(home, pictures):
    home.mkdir()
    (home / "stamps").write_text("")
    with pytest.raises(DataError, match=r"cannot write to the cache .*: set SEEWHY_CACHE"):
        load_data(pictures)


def test_a_cache_that_may_not_be_written_is_an_error(home, pictures, monkeypatch):
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(cache, "exclusive", refuse)
    with pytest.raises(
        DataError, match=r"cannot write to the cache .* \(Read-only file system\): set SEEWHY_CACHE"
    ):
        load_data(pictures)


# ------------------------------------------------------------------ bad images


def test_one_bad_image_of_32_leaves_the_others_as_they_are(home, tmp_path):
    """R6: at each place."""
    root = class_folders(tmp_path / "p", {"a": 16, "b": 16})
    good = get(root)
    for place, key in enumerate(good.ids):
        whole = (root / key).read_bytes()
        (root / key).write_bytes((b"", b"junk", whole[:60])[place % 3])
        found = get(root)
        rest = np.arange(32) != place
        assert [file.path for file in found.bad] == [key]
        assert found.bad[0].code in ("undecodable", "unsupported_format")
        for name in ("images", "labels", "ids", "hashes", "splits"):
            assert np.array_equal(getattr(found, name), getattr(good, name)[rest])
        (root / key).write_bytes(whole)
    assert same(get(root), good)


def test_bad_images_are_remembered(home, pictures, monkeypatch):
    (pictures / "a/00001.png").write_bytes(b"junk")
    first = get(pictures)
    decoded = count_calls(monkeypatch, cache, "read_hashed")
    assert get(pictures).bad == first.bad != () and decoded == []


def test_no_good_image_at_all_is_an_error_and_no_entry(home, tmp_path):
    (tmp_path / "p/a").mkdir(parents=True)
    (tmp_path / "p/a/x.png").write_bytes(b"junk")
    with pytest.raises(
        DataError, match=r"1 of 1 image cannot be used: a/x.png \(unsupported_format"
    ):
        get(tmp_path / "p")
    assert entries(home) == []


def test_an_error_of_our_own_is_not_taken_for_a_bad_image(home, pictures, monkeypatch):
    monkeypatch.setattr(cache, "read_hashed", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        get(pictures)


def test_a_file_that_goes_while_it_is_read_is_bad(home, pictures, monkeypatch):
    source = find(pictures)
    content = content_of(source)
    (pictures / "b/00003.png").unlink()
    found = stored(source, RULE, content)
    assert [(file.path, file.code) for file in found.bad] == [("b/00003.png", "not_found")]


# ------------------------------------------------------------------ memory

MEASURE = """
import sys
from pathlib import Path
from seewhy.data import cache
from seewhy.config.input_rule import InputRule
from seewhy.data.sources import find
from seewhy.data.stamps import content_of

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon")))

source = find(sys.argv[1])
peak = []
found = cache.stored(
    source, InputRule(size=128, store=128), content_of(source), lambda *_: peak.append(anonymous())
)
total = sum(int(found.images[row].sum()) for row in range(len(found.images)))
print(max(peak + [anonymous()]))
"""


def anonymous_peak(pictures: Path) -> int:
    """The highest anonymous memory of a process that reads these images and goes over them, bytes."""
    command = [sys.executable, "-c", MEASURE, str(pictures)]
    # One heap: of a busy machine's threads each would get its own, 8 MB more in all.
    environment = os.environ | {"MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_anonymous_memory_does_not_grow_with_the_images(home, tmp_path):
    few = class_folders(tmp_path / "few", {"a": 150, "b": 150}, side=16, start=5000)
    many = class_folders(tmp_path / "many", {"a": 600, "b": 600}, side=16)
    growth = anonymous_peak(many) - anonymous_peak(few)
    assert growth < 10e6, growth  # the pixels: 44 MB more


def test_chunks_are_bounded_in_rows_and_bytes():
    records = [cache.Record(str(n), "a", "", bytes(1 << 20)) for n in range(20)]
    assert max(len(chunk) for chunk, _ in cache._chunks(records, 8)) == 4
    small = [record._replace(image=b"") for record in records * 10]
    assert max(len(chunk) for chunk, _ in cache._chunks(small, 8)) == cache._CHUNK_ROWS
    assert max(len(chunk) for chunk, _ in cache._chunks(small, 2048)) == 1
    for chunks in (cache._chunks(records, 8), cache._chunks(small, 300)):
        assert sum(len(chunk) for chunk, _ in chunks) in (20, 200)


def test_few_chunks_wait_at_a_time(monkeypatch):
    """Else a slow disk would pile decoded images up in memory."""
    given = 0

    def records():
        nonlocal given
        for number in range(100):
            given += 1
            yield cache.Record(str(number), "a", "", encoded(noise(4, 4, number)))

    monkeypatch.setattr(cache, "_CHUNK_ROWS", 1)
    taken = 0
    for _ in cache.read_all(records(), 4, open_image):
        taken += 1
        assert given - taken <= 2 * cache.workers() + 1
    assert taken == 100


def test_forked_processes_read_the_same_memory_map(home, pictures):
    found = get(pictures)
    assert isinstance(found.images, np.ndarray)  # of one segment, in order
    base = found.images.base
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap) or type(found.images.base).__name__ == "mmap"
    assert not found.images.flags.writeable
