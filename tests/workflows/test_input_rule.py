"""Elongated and deep images by every way in: training, evaluation, prediction, a reloaded model (R37)."""

import json

import numpy as np
import pytest
import yaml
from data.pictures import STORED, exif
from helpers import QUICK, call, write_folder
from PIL import Image
from safetensors.torch import save_file

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.data.images.decode import read
from seewhy.errors import UsageError
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Note
from seewhy.models.registry import build
from seewhy.run import Run

TINY = {**QUICK, "train.epochs": 1}


def grey_of_12_bits(seed, level):
    """A wide scan whose values are 240 to 420, and whose left end tells its class."""
    values = np.random.default_rng(seed).normal(330, 20, (24, 40))
    values[:, :8] += level
    return values.clip(240, 420).astype(np.uint16)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Wide scans of 12 bits, some of them lying on their side with an orientation that turns them back."""
    root = tmp_path_factory.mktemp("scans")
    for label, name in enumerate(("healthy", "ill")):
        (root / name).mkdir()
        for number in range(20):
            upright, turn = grey_of_12_bits(20 * label + number, 40 * label), 1 + 5 * (number % 2)
            lying = np.ascontiguousarray(STORED[turn](upright))
            Image.fromarray(lying).save(root / name / f"{number:02}.png", exif=exif(turn))
    return root


def trained(data, out, **changes):
    return seewhy.train(data, "regularized-cnn", out=out, overrides={**TINY, **changes})


@pytest.mark.parametrize("fit", [None, "crop", "pad", "squash"])
def test_every_way_in_gives_the_same_pixels_and_logits(scans, tmp_path, fit):
    run = trained(scans, tmp_path / "run", **({"data.fit": fit} if fit else {}))
    model = seewhy.load(run)
    low, high = model.rule.depth
    assert model.rule.fit == (fit or "squash") and 230 <= low < 300 and 400 < high <= 430
    val = model.splits(scans).val
    new = seewhy.load_data(scans, seewhy.DataConfig(size=16, fit=fit))
    assert new.rule == model.rule and new.fingerprint == model.predictor.fingerprint
    assert len(np.unique(val.images[:])) > 50, "the upper byte alone has two levels"
    paths = [scans / key for key in val.ids]
    arrays = [np.asarray(Image.open(path)) for path in paths]
    upright = [values if values.shape == (24, 40) else np.rot90(values, -1) for values in arrays]
    for row, path in enumerate(paths):
        for image in (path, path.read_bytes(), Image.open(path), upright[row]):
            assert np.array_equal(read(image, model.rule), val.images[row])
    stored = Predictions.from_parquet(run.predictions("val")).logits
    for images in (paths, upright, [Image.fromarray(values) for values in upright]):
        assert model.predict(images).logits == pytest.approx(stored, abs=1e-4)
    seen = model.preprocess(paths[0])
    margin = (model.rule.store - model.rule.size) // 2
    assert np.array_equal(seen, val.images[0][margin : margin + 16, margin : margin + 16])


def test_what_lies_outside_the_centre_is_lost_by_crop_alone(scans):
    """The left end of these scans tells their class."""
    kept = {}
    for fit in ("crop", "pad", "squash"):
        train = seewhy.load_data(scans, seewhy.DataConfig(size=16, fit=fit)).train
        means = train.images[:].mean((1, 3))
        apart = means[train.labels == 1].mean(0) - means[train.labels == 0].mean(0)
        kept[fit] = float(np.abs(apart).max())
    assert kept["crop"] < 10 and kept["squash"] > 25 and kept["pad"] > 25


def test_a_training_says_what_was_decided(scans, tmp_path):
    notes = []
    run = seewhy.train(
        scans,
        "regularized-cnn",
        out=tmp_path / "run",
        overrides={**TINY, "data.fit": "crop"},
        on_event=notes.append,
    )
    texts = [event.text for event in notes if isinstance(event, Note)]
    low, high = seewhy.load(run).rule.depth
    assert any(f"{low:g} becomes black and {high:g} white" in text for text in texts)
    far = next(text for text in texts if "times as long as the other" in text)
    assert far.startswith("28 of 28 training images") and "--data.fit squash or pad" in far
    assert far in (run.path / "log.txt").read_text()
    # So does whatever gives such images to the model, once; an unreadable one does not count.
    wide, odd = sorted(scans.glob("*/*.png"))[:2], tmp_path / "odd.png"
    odd.write_bytes(b"no image")
    square = tmp_path / "square.png"
    Image.new("RGB", (30, 30)).save(square)
    said = call("predict", run.path, *wide, odd, square, code=1)
    assert said.err.count("2 of 3 images have one side more than 1.4 times as long") == 1
    assert "only their centre square is used (by its training: --data.fit squash" in said.err
    said = call("explain", run.path, wide[0], square, "--no-check", "--out", tmp_path / "why")
    assert said.err.count("1 of 2 images has one side") == 1
    assert "only its centre square is used" in said.err
    assert "one side" not in call("predict", run.path, square).err


def test_long_images_are_a_note_where_something_can_be_chosen_or_is_lost(tmp_path):
    write_folder(tmp_path, classes=("ant", "bee"), count=12)
    for path in (tmp_path / "ant").iterdir():
        Image.open(path).resize((48, 16)).save(path)

    def noted(rule=None, **options):
        config = seewhy.DataConfig(size=16, **options)
        notes = seewhy.load_data(tmp_path, config, rule=rule).notes
        return any("times as long as the other" in note for note in notes)

    assert noted(fit="squash") and noted(fit="crop")
    assert noted(folds=3, fold=0) and not noted(folds=3, fold=1), "the first fold says it for all"
    assert noted(InputRule(size=16, store=16, fit="crop")), "the model cuts the images"
    assert not noted(InputRule(size=16, store=16, fit="squash"))


def test_the_depth_is_decided_on_train_alone(scans, tmp_path):
    """Bright images in val and test change nothing."""
    root = tmp_path / "splits"
    for split, level in (("train", 0), ("val", 9_000), ("test", 60_000)):
        for label, name in enumerate(("healthy", "ill")):
            (root / split / name).mkdir(parents=True)
            for number in range(6):
                values = grey_of_12_bits(40 * label + number + level, 40 * label) + level
                Image.fromarray(values.astype(np.uint16)).save(
                    root / split / name / f"{number}.png"
                )
    (low, high), whole = seewhy.load_data(root).rule.depth, seewhy.load_data(root)
    assert low >= 230 and high <= 430
    assert (whole.val.images[:] == 255).all()
    assert seewhy.load_data(root, seewhy.DataConfig(depth="upper_byte")).rule.depth is None


def test_folds_of_one_data_set_share_a_depth(scans):
    configs = [seewhy.DataConfig(folds=4, fold=fold) for fold in range(4)]
    assert len({seewhy.load_data(scans, config).rule.depth for config in configs}) == 1


def test_a_run_begun_before_the_settings_existed_goes_on_as_it_began(scans, tmp_path):
    whole = trained(scans, tmp_path / "whole", **{"data.fit": "crop", "data.depth": "upper_byte"})
    home = tmp_path / "old"
    with seewhy.training_events(
        scans, "regularized-cnn", out=home,
        overrides={**TINY, "data.fit": "crop", "data.depth": "upper_byte", "train.epochs": 1},
    ) as events:  # fmt: skip
        next(event for event in events if not isinstance(event, Note))
        next(events)
    config = yaml.safe_load((home / "config.yaml").read_text())
    del config["recipe"]["data"]["fit"], config["recipe"]["data"]["depth"]
    (home / "config.yaml").write_text(yaml.safe_dump(config))
    assert Run(home).config["recipe"]["data"]["fit"] == "crop"
    with pytest.raises(UsageError, match=r"data\.fit='crop', not 'pad'"):
        seewhy.train(
            scans, "regularized-cnn", out=home, overrides={**TINY, "data.fit": "pad"}, resume=True
        )
    run = seewhy.train(scans, "regularized-cnn", out=home, overrides=TINY, resume=True)
    rule = seewhy.load(run).rule
    assert (rule.fit, rule.depth) == ("crop", None)
    ours, theirs = (Predictions.from_parquet(one.predictions("val")) for one in (run, whole))
    assert np.array_equal(ours.logits, theirs.logits) and list(ours.ids) == list(theirs.ids)


def test_square_images_keep_the_rule_of_old_models(tmp_path, photos):
    assert seewhy.load_data(photos).rule.fit == "crop"
    assert seewhy.load_data(photos, seewhy.DataConfig(fit="pad")).rule.fit == "pad"


def test_images_are_resized_as_those_that_the_weights_have_seen(tmp_path):
    data = tmp_path / "data"
    for number in range(12):
        (data / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(data / "ab"[number % 2] / f"{number}.png")
    network = build("resnet18", num_classes=3, size=16, width=0.125)
    tensors = {k: v for k, v in network.state_dict().items() if k not in ("mean", "std")}
    save_file(tensors, tmp_path / "w.safetensors")
    card = {"mean": [0.5] * 3, "std": [0.2] * 3, "input_size": [3, 16, 16]}
    (tmp_path / "config.json").write_text(json.dumps({**card, "interpolation": "bilinear"}))
    changes = {"model.weights": str(tmp_path / "w.safetensors"), "model.width": 0.125}
    (tmp_path / "plain.yaml").write_text("model: {name: resnet18}")  # sets no size
    small = {name: value for name, value in TINY.items() if name != "data.size"} | changes
    run = seewhy.train(data, tmp_path / "plain.yaml", out=tmp_path / "run", overrides=small)
    rule = seewhy.load(run.path).rule
    assert (rule.size, rule.interpolation) == (16, "bilinear")
    image = Image.open(data / "a" / "0.png")
    expected = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR))
    assert np.array_equal(read(data / "a" / "0.png", rule), expected)
