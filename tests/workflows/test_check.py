"""Each defect that is planted is found, alone, and clean data have none."""

import io
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from data.pictures import encoded, put, scenes, write_scenes
from PIL import Image, ImageFilter

from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.inspect import is_wrong
from seewhy.errors import DataError
from seewhy.workflows.check import Report, find_faults

SPLITS = ("train", "val", "test")
CLEAN = {f"{split}/{name}": 20 for split in SPLITS for name in ("ant", "bee", "cow")}
LOOK = DataConfig(size=32, on_bad="skip", max_bad=1)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("clean") / "data", CLEAN)


@pytest.fixture
def root(clean: Path, tmp_path: Path) -> Path:
    """A copy of the clean images, to be spoiled."""
    return shutil.copytree(clean, tmp_path / "data")


def report(root: Path, **options: str) -> Report:
    return find_faults(load_data(root, LOOK.model_copy(update=options), trainable=False))


def found(root: Path, **options: str) -> dict[str, list[str]]:
    """The kinds of findings, with the paths (or names) of the examples of each."""
    result = report(root, **options)
    return {
        finding.kind: sorted(
            " ".join(str(result.gathered.ids[row]) for row in example.rows) or example.name
            for example in finding.examples
        )
        for finding in result.findings
    }


def copy(root: Path, source: str, *targets: str, change=None) -> None:
    data = (root / source).read_bytes()
    if change is not None:
        image = change(Image.open(io.BytesIO(data)))
        data = encoded(image)
    for target in targets:
        put(root, target, data=data)


def jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return Image.open(file).convert("RGB")


def mirrored(image: Image.Image) -> Image.Image:
    return jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def test_clean_data_have_no_findings(root):
    assert found(root) == {} and not is_wrong(report(root).findings)


def test_clean_data_without_a_split_have_none(tmp_path):
    assert found(write_scenes(tmp_path, {"ant": 40, "bee": 40})) == {}


def test_unreadable(root):
    put(root, "train/ant/broken.png", "test/bee/text.jpg", data=b"no picture")
    assert found(root) == {"unreadable": ["test/bee/text.jpg", "train/ant/broken.png"]}
    assert report(root).findings[0].severity == "error"


def test_an_empty_folder_is_a_warning_and_not_counted_among_what_training_refuses(tmp_path):
    root = write_scenes(tmp_path / "data", {"ant": 40, "bee": 40})
    (root / "fox").mkdir()
    (first,) = report(root).findings
    assert (first.kind, first.severity) == ("unreadable", "warning")
    assert first.advice == "replace or remove them; training goes on without them"
    put(root, "ant/broken.png", "ant/worse.png", data=b"no picture")
    (first,) = report(root).findings
    assert first.severity == "error" and first.count == 3
    flags = "--on-bad skip --max-bad 0.025"
    assert first.advice == f"replace or remove them; {flags} trains without them"
    with pytest.raises(DataError, match=flags):
        load_data(root, DataConfig(size=32))


def test_an_identical_image_in_a_later_split_is_a_leak(root):
    copy(root, "test/ant/003.png", "train/ant/again.png")
    copy(root, "val/bee/004.png", "train/bee/again.png")
    assert found(root) == {
        "leak": [
            "train/ant/again.png test/ant/003.png",
            "train/bee/again.png val/bee/004.png",
        ]
    }
    assert report(root).findings[0].severity == "error"


def test_an_image_twice_in_a_split(root):
    copy(root, "train/ant/003.png", "train/ant/again.png", "train/ant/third.png")
    assert found(root) == {
        "duplicate": [
            "train/ant/003.png train/ant/again.png",
            "train/ant/003.png train/ant/third.png",
        ]
    }


def test_one_image_under_two_labels(root):
    copy(root, "train/ant/003.png", "train/bee/again.png")
    kinds = found(root)
    assert kinds["two-labels"] == ["train/ant/003.png train/bee/again.png"]
    assert set(kinds) == {"two-labels"}


def test_labels_of_test_are_not_read(root):
    copy(root, "test/ant/003.png", "train/bee/again.png")
    assert found(root) == {"leak": ["train/bee/again.png test/ant/003.png"]}
    result = report(root)
    assert result.gathered.label(result.findings[0].examples[0].rows[1]) == ""


@pytest.mark.parametrize("change", [jpeg, mirrored])
def test_an_image_that_looks_like_one_of_another_split(root, change):
    copy(root, "test/ant/003.png", "train/ant/again.png", change=change)
    copy(root, "train/bee/003.png", "val/bee/again.png", change=change)
    assert found(root) == {
        "near-leak": [
            "train/ant/again.png test/ant/003.png",
            "train/bee/003.png val/bee/again.png",
        ]
    }


def test_an_image_that_looks_like_one_of_its_split(root):
    copy(root, "train/ant/003.png", "train/ant/again.png", change=jpeg)
    copy(root, "test/ant/003.png", "test/ant/again.png", change=jpeg)  # no matter of ours
    assert found(root) == {"near-duplicate": ["train/ant/003.png train/ant/again.png"]}


def test_images_that_look_alike_under_two_labels(root):
    copy(root, "train/ant/003.png", "train/bee/again.png", change=jpeg)
    kinds = found(root)
    assert kinds["near-two-labels"] == ["train/ant/003.png train/bee/again.png"]


def test_a_group_on_both_sides(root):
    (root / "train/ant/000.png").rename(root / "train/ant/p7_a.png")
    (root / "test/ant/000.png").rename(root / "test/ant/p7_b.png")
    assert found(root, group_from=r"(p\d+)_") == {"group-leak": ["train/ant/p7_a.png"]}


SCENE = scenes(1, 32, seed=9)[0]


@pytest.mark.parametrize(
    "kind, picture",
    [
        ("dark", SCENE // 5),
        ("bright", 200 + SCENE // 5),
        ("flat", 110 + SCENE // 14),
        ("blurry", np.asarray(Image.fromarray(SCENE).filter(ImageFilter.GaussianBlur(2)))),
        ("odd-shape", scenes(1, 128, seed=8)[0][:32]),
        ("small", scenes(1, 12, seed=8)[0]),
    ],
)
def test_images_that_show_little(root, kind, picture):
    put(root, "val/ant/planted.png", data=encoded(picture.astype(np.uint8)))
    kinds = found(root)
    kinds.pop("blurry", None) if kind == "small" else None  # what is enlarged is blurred, too
    assert kinds == {kind: ["val/ant/planted.png"]}


def test_images_of_test_are_not_judged(root):
    put(root, "test/ant/dark.png", data=encoded(SCENE // 5))
    assert found(root) == {}


def test_brightness_that_gives_a_label_away(tmp_path):
    images = scenes(90, 32, seed=4)
    for n, picture in enumerate(images):
        name = "abc"[n % 3]
        planted = picture // 2 if name == "a" else 90 + picture // 2
        put(tmp_path, f"{name}/{n}.png", data=encoded(planted.astype(np.uint8)))
    kinds = found(tmp_path)
    assert kinds.pop("shortcut")[0] == "a" and kinds == {}


def test_names_that_deceive(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    names = ["cat", "Cat", " dog", "a\u200bb", f"x{composed}"]
    write_scenes(tmp_path / "d", dict.fromkeys(names, 6))
    write_scenes(tmp_path / "d", {f"x{decomposed}": 6}, seed=7)
    assert set(found(tmp_path / "d")) == {"alike-names", "odd-names", "unicode-names"}
    write_scenes(tmp_path / "n", dict.fromkeys(("1", "2", "10"), 6))
    result = report(tmp_path / "n")
    assert [finding.kind for finding in result.findings] == ["number-names"]
    assert not is_wrong(result.findings)


def test_what_training_would_refuse(tmp_path):
    write_scenes(tmp_path, {"train/a": 5, "val/a": 2, "test/b": 3})
    kinds = found(tmp_path)
    assert kinds == {"untrainable": ["all"]}
    (finding,) = report(tmp_path).findings
    assert finding.advice == "add some, or remove the class with all its images"
    write_scenes(tmp_path, {"train/b": 5, "train/c\x01": 5}, seed=3)
    assert "cannot be shown" in report(tmp_path).findings[0].examples[0].detail


def test_small_images_are_not_compared(tmp_path):
    write_scenes(tmp_path, {"a": 20, "b": 20}, side=12)
    (finding,) = report(tmp_path).findings
    assert (finding.kind, finding.severity) == ("not-compared", "note")


def test_a_crowd(tmp_path):
    image = scenes(1, 32)[0].astype(int)
    rng = np.random.default_rng(0)
    for number in range(30):
        frame = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
        put(tmp_path, f"{'ab'[number % 2]}/{number}.png", data=encoded(frame))
    assert "crowd" in found(tmp_path)


def test_test_alone_is_only_counted(tmp_path):
    write_scenes(tmp_path, {"test/a": 3, "test/b": 3})
    assert set(found(tmp_path)) == {"untrainable"}


def test_a_colon_in_a_class_name_is_not_where_the_remedy_begins(tmp_path):
    write_scenes(tmp_path, {"a: b": 5})
    (finding,) = [one for one in report(tmp_path).findings if one.kind == "untrainable"]
    assert finding.advice.startswith("a classifier needs two")


def test_the_gravest_come_first(root):
    put(root, "val/ant/planted.png", data=encoded(SCENE // 5))
    put(root, "train/ant/broken.png", data=b"no picture")
    assert [finding.severity for finding in report(root).findings] == ["error", "warning"]


def test_the_same_images_give_the_same_findings(root):
    copy(root, "test/ant/003.png", "train/ant/again.png", change=jpeg)
    one, other = found(root), found(root)
    assert one == other
