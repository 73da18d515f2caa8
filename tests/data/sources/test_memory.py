"""Data in memory: arrays, tables and data sets are read as the same images in files are."""

import json
from io import BytesIO

import numpy as np
import pytest
import torch
from helpers import QUICK, write_folder
from PIL import Image
from torch.utils.data import Subset, TensorDataset

import seewhy
from seewhy.config.data import DataConfig
from seewhy.data import load_data
from seewhy.data.sources import describe, find
from seewhy.data.stamps import content_of
from seewhy.errors import DataError, UsageError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (30, 8, 8, 3), np.uint8)
LABELS = np.arange(30) % 3
NAMES = ["ant", "bee", "cow"]
WORDS = [NAMES[label] for label in LABELS]


class Frame:
    """What is used of a DataFrame of pandas."""

    def __init__(self, **columns):
        self._values = columns
        self.columns = list(columns)

    def __len__(self):
        return len(next(iter(self._values.values())))

    def __getitem__(self, column):
        return self._values[column]


class ClassLabel:
    names = NAMES


def feature(name):
    return type(name, (), {})()


class Hub:
    """What is used of a `Dataset` of Hugging Face."""

    def __init__(self, features, rows):
        self.features, self._rows = features, rows
        self.column_names = list(features)

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, row):
        return self._rows[row]


class Items:
    """A `Dataset` of PyTorch."""

    def __init__(self, images, labels, classes=None):
        self._pixels, self._labels = images, labels
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self._labels)

    def __getitem__(self, row):
        return self._pixels[row], self._labels[row]


def hub(images=IMAGES, labels=LABELS, **more):
    features = {"image": feature("Image"), "label": ClassLabel()} | dict.fromkeys(more)
    rows = [
        {"image": Image.fromarray(image), "label": int(label)} | dict(zip(more, cells, strict=True))
        for image, label, *cells in zip(images, labels, *more.values(), strict=True)
    ]
    return Hub(features, rows)


def records(data, group_from=None):
    reading = find(data, DataConfig(group_from=group_from)).read()
    rows = list(reading.records)
    assert len(rows) == reading.total
    return reading.classes, rows


def png(image):
    file = BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The paths of the images as files, a class a folder."""
    root = tmp_path_factory.mktemp("files")
    paths = [root / WORDS[row] / f"{row:02}.png" for row in range(len(IMAGES))]
    for path, image in zip(paths, IMAGES, strict=True):
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return paths


def forms(files):
    """The same images and labels in every form."""
    pillow = [Image.fromarray(image) for image in IMAGES]
    tensor = torch.from_numpy(IMAGES)
    first = tensor.permute(0, 3, 1, 2)
    return {
        "arrays": (IMAGES, WORDS),
        "list of arrays": (list(IMAGES), WORDS),
        "floats": (IMAGES.astype(np.float32) / 255, WORDS),
        "tensors": (tensor, WORDS),
        "channels first": (first, WORDS),
        "floats as ToTensor makes them": (first.float().div(255), WORDS),
        "Pillow": (pillow, WORDS),
        "bytes": ([png(image) for image in IMAGES], WORDS),
        "paths": (files, WORDS),
        "table": Frame(path=[str(path) for path in files], label=WORDS),
        "Dataset": Items(pillow, LABELS.tolist(), NAMES),
        "Dataset of words": Items(first, WORDS),
        "pairs": list(zip(pillow, WORDS, strict=True)),
        "hub": hub(),
        "hub, not decoded": Hub(
            {"img": feature("Image"), "label": ClassLabel()},
            [
                {"img": {"bytes": png(image), "path": None}, "label": label}
                for image, label in zip(IMAGES, LABELS, strict=True)
            ],
        ),
    }


def test_every_form_is_split_as_the_same_files_are(files):
    whole = load_data(files[0].parents[1])
    for name, data in forms(files).items():
        splits = load_data(data)
        assert splits.classes == whole.classes, name
        assert splits.fingerprint == whole.fingerprint, name
        assert splits.test.fingerprint == whole.test.fingerprint, name
        order, expected = np.argsort(splits.train.hashes), np.argsort(whole.train.hashes)
        assert np.array_equal(splits.train.images[order], whole.train.images[expected]), name


def test_numbers_are_classes_in_their_order():
    labels = np.array([10, 2, 0] * 10)
    assert records((IMAGES, labels))[0] == ("0", "2", "10")
    assert records((IMAGES, labels[:, None]))[0] == ("0", "2", "10")
    assert records((IMAGES, torch.from_numpy(labels)))[0] == ("0", "2", "10")


def test_names_of_a_data_set_keep_their_order():
    names = ["cow", "ant", "bee"]
    data = Items(IMAGES, LABELS, names)
    assert records(data)[0] == tuple(names)
    assert records(Subset(Subset(data, range(9)), [0, 1, 2]))[0] == tuple(names)
    assert [row.label for row in records(data)[1][:4]] == ["cow", "ant", "bee", "cow"]


def test_a_part_without_names_takes_those_of_the_others():
    classes, rows = records(
        {"train": Items(IMAGES, LABELS, NAMES), "test": TensorDataset(*tensors(6))}
    )
    assert classes == tuple(NAMES)
    assert [row.label for row in rows[-6:]] == WORDS[:6]


def tensors(count):
    return torch.from_numpy(IMAGES[:count]), torch.from_numpy(LABELS[:count])


def test_a_dict_gives_the_splits():
    data = {
        "train": (IMAGES[:15], WORDS[:15]),
        "validation": (IMAGES[15:24], WORDS[15:24]),
        "test": hub(IMAGES[24:], LABELS[24:]),
    }
    splits = load_data(data)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (15, 9, 6)
    assert list(splits.train.ids[:2]) == ["train/0", "train/1"]
    assert describe(data) == "in memory: 30 images"


def test_a_table_gives_splits_and_groups(files):
    splits = ["test" if row < 6 else "valid" if row < 12 else "train" for row in range(30)]
    groups = [f"g{row // 3}" for row in range(30)]
    table = Frame(path=files, label=WORDS, split=splits, group=[None, *groups[1:]])
    _, rows = records(table)
    assert [row.split for row in rows[::6]] == ["test", "val", "train", "train", "train"]
    assert [row.group for row in rows[:4]] == ["", "g0", "g0", "g1"]
    assert [row.id for row in rows] == list(map(str, files))
    assert [row.group for row in records(table, group_from="label")[1][:2]] == ["ant", "bee"]
    grouped = load_data(Frame(path=files, label=WORDS, who=groups), DataConfig(group_from="who"))
    assert not set(grouped.train.groups) & set(grouped.val.groups)


def test_a_column_of_the_hub_gives_groups_also_beside_parts_without():
    who = [f"p{row // 3}" for row in range(30)]
    data = {"train": hub(who=who), "test": (IMAGES[:2], WORDS[:2])}
    _, rows = records(data, group_from="who")
    assert [row.group for row in rows[2:4]] == ["p0", "p1"] and rows[-1].group == ""
    load_data(data, DataConfig(group_from="who", val=0.3))


def test_pandas_is_taken(files):
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"path": files, "label": WORDS, "split": ["test", "train"] * 15})
    splits = {row.split for row in records(table)[1]}
    assert splits == {"test", "train"}


def test_tables_of_pyarrow_and_polars_are_taken(files):
    pyarrow = pytest.importorskip("pyarrow")
    names = [str(path) for path in files]
    table = pyarrow.table({"path": names, "label": WORDS, "split": ["test", "train"] * 15})
    assert {(row.label, row.split) for row in records(table)[1]} == {
        (word, split) for word in NAMES for split in ("test", "train")
    }
    assert records(table)[1] == records(Frame(**table.to_pydict()))[1]
    decoded = load_data((IMAGES, WORDS), DataConfig(val=0.2))
    images = [{"bytes": png(image), "path": None} for image in IMAGES]
    hidden = pyarrow.table({"image": images, "label": LABELS})
    features = {"label": {"names": NAMES, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    named = load_data(hidden.replace_schema_metadata(metadata), DataConfig(val=0.2))
    assert named.fingerprint == decoded.fingerprint and named.classes == tuple(NAMES)
    assert load_data(hidden).classes == ("0", "1", "2")


def test_a_frame_is_read_as_a_csv_is(files):
    names = [str(path) for path in files]
    frame = Frame(Filename=names, age=list(range(30)), Breed=WORDS)
    with pytest.raises(DataError, match=r"2 columns may hold the labels \(age, Breed\)"):
        records(frame)
    source = find(frame, DataConfig(label_column="breed"))
    assert [record.label for record in source.read().records] == WORDS
    hot = Frame(path=names, **{name: [float(w == name) for w in WORDS] for name in NAMES})
    assert [row.label for row in records(hot)[1]] == WORDS
    with pytest.raises(UsageError, match="label_column has no effect on data without columns"):
        load_data((IMAGES, WORDS), DataConfig(label_column="breed"))


def test_a_file_that_is_named_twice_is_one_image_with_one_label(files):
    twice = Frame(path=[*files, files[0]], label=[*WORDS, WORDS[0]])
    _, rows = records(twice)
    assert [row.id for row in rows] == list(map(str, files)) and find(twice).read().total == 30
    for again in ("cow", None):
        with pytest.raises(DataError, match=r"two rows name .*\.png, as ant and as .*: keep the"):
            find(([*files, files[0]], [*WORDS, again]))
    with pytest.raises(DataError, match="as ant, train and as ant, test: keep the right one"):
        find({"train": (files, WORDS), "test": (files[:1], WORDS[:1])})


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.astype(np.float32),
        torch.from_numpy(LABELS).double(),
        torch.nn.functional.one_hot(torch.from_numpy(LABELS)),
        np.eye(3)[LABELS],
        [np.int64(label) for label in LABELS],
        [f" {label} " for label in LABELS],
        LABELS[:, None],
    ],
)
def test_labels_in_every_form_are_the_same_classes(labels):
    classes, rows = records((IMAGES, labels))
    assert classes == ("0", "1", "2") and [row.label for row in rows] == [str(k) for k in LABELS]


def test_images_without_a_label_are_left_out_and_counted():
    labels = [None, float("nan"), -1, *WORDS[3:]]
    splits = load_data((IMAGES, labels))
    assert any("without a label" in note and "3 images" in note for note in splits.notes)
    assert splits.classes == tuple(NAMES)


# ------------------------------------------------------------------ content


def test_the_content_tells_data_apart_and_knows_them_again():
    def content(images, labels):
        return content_of(find((images, labels))).id

    changed = IMAGES.copy()
    changed[3, 0, 0, 0] ^= 1
    same = content(IMAGES, WORDS)
    assert same == content(list(IMAGES.copy()), list(WORDS))
    assert len({same, content(changed, WORDS), content(IMAGES, WORDS[1:] + WORDS[:1])}) == 3


def test_a_file_that_changes_is_read_again(files, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(files[0].read_bytes())
    data = ([path, *files[1:]], WORDS)
    before = content_of(find(data)).id
    path.write_bytes(files[3].read_bytes())
    assert content_of(find(data)).id != before


def test_what_is_no_image_is_a_bad_file(files, tmp_path):
    data = ([tmp_path / "none.png", b"no image", *files[2:]], WORDS)
    with pytest.raises(DataError, match=r"2 of 30 images cannot be used"):
        load_data(data)
    splits = load_data(data, DataConfig(on_bad="skip", max_bad=0.1))
    assert [(bad.path, bad.code) for bad in splits.bad] == [
        (str(tmp_path / "none.png"), "not_found"),
        ("memory/1", "unsupported_format"),
    ]


def test_the_size_is_known_from_outside_test():
    large = np.zeros((30, 40, 20, 3), np.uint8)
    large[:, 0, 0, 0] = np.arange(30)
    data = {"train": (large, WORDS), "test": (IMAGES, WORDS)}
    assert load_data(data, DataConfig(size=64, val=0.3)).rule.store == 20


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((IMAGES, WORDS[1:]), "memory has 30 images and 29 labels: expected one label per image"),
        ({"train": (IMAGES, WORDS[:1])}, "train has 30 images and 1 label"),
        ((IMAGES / 255 - 0.5, WORDS), r"memory/0 has float64 values from .* save np"),
        ((IMAGES > 9, WORDS), "memory/0 has values of type bool: expected uint8"),
        ((IMAGES, np.full((30, 2), 0.5)), "rows of labels .* that are not one-hot"),
        ((IMAGES, list(np.eye(30))), "memory/0 has the label .* argmax"),
        ((IMAGES, LABELS - 2), "memory/0 has the label -2: expected a name, or a number from 0"),
        ((IMAGES, LABELS / 2), r"memory/1 has the label 0\.5: expected a name"),
        (Items(IMAGES, LABELS, NAMES[:2]), "memory/2 has the label 2: expected one of ant, bee"),
        (Items(IMAGES, WORDS, NAMES[:2]), "memory/2 has the label cow: expected one of ant, bee"),
        ({"holdout": (IMAGES, WORDS)}, "no split 'holdout': expected train, val or test"),
        (Frame(path=["a"]), "no column label, only path"),
        (Frame(path=["a"], x=["b"], y=["c"]), r"2 columns may hold the labels \(x, y\)"),
        (Frame(what=["a"], label=["b"]), "no column path, only what, label"),
        (Frame(path=["a"], label=["b"], split=["c"]), "no split 'c'"),
        (
            Frame(path=["a", "b"], label=["x", "y"], split=["val", None]),
            "row 1 has no split, but others have one: add it",
        ),
        (
            {"train": {"images": IMAGES, "labels": LABELS}},
            r"this data is of type dict: expected \(images, labels\)",
        ),
        (
            Hub({"a": feature("Image")}, [{"a": IMAGES[0]}]),
            "0 of the columns a may hold the labels",
        ),
        (IMAGES, "this data is of type ndarray: expected"),
        ([1, 2], r"item 0 of memory is of type int, not \(image, label\)"),
        (({}, []), "this data has no images"),
        (7, "this data is of type int: expected"),
        ((IMAGES, [WORDS[0]] * 30), "there is one class, ant: a classifier needs two"),
    ],
)
def test_what_cannot_be_used_says_what_is_expected(data, message):
    with pytest.raises(DataError, match=message):
        load_data(data)


def test_a_layout_has_no_effect():
    with pytest.raises(UsageError, match=r"data\.layout has no effect on data in memory"):
        load_data((IMAGES, WORDS), DataConfig(layout="folders"))


# ------------------------------------------------------------------ from end to end


def test_arrays_are_trained_on_evaluated_and_predicted_as_their_files_are(tmp_path):
    folder = write_folder(tmp_path / "photos", count=12)
    paths = sorted(folder.rglob("*.png"))
    images = np.stack([np.asarray(Image.open(path)) for path in paths])
    labels = [path.parent.name for path in paths]
    run = seewhy.train((images, labels), "regularized-cnn", out=tmp_path / "run", overrides=QUICK)
    assert run.config["data"] == "in memory: 36 images"
    assert run.metrics["val"]["n"] == 6
    ours, _ = seewhy.evaluate(run.path, (images, labels), "test")
    theirs, _ = seewhy.evaluate(run.path, folder, "test")
    assert run.metrics["test"]["reading"] == 2
    assert seewhy.to_json(ours) == seewhy.to_json(theirs)
    classifier = seewhy.load(run.path)
    expected = classifier.predict(images).logits
    for data in (
        Items(images, labels),
        hub(images, np.zeros(36, int)),
        Frame(path=paths),
        paths,
        list(images),
    ):
        assert np.array_equal(classifier.predict(data).logits, expected)
