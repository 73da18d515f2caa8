"""`seewhy retrain`: the same inputs train once, and a worse or unproven model is not used."""

import json
import shlex
import shutil
from io import BytesIO

import numpy as np
import pytest
from helpers import call
from PIL import Image
from sklearn.datasets import load_digits

import seewhy
from seewhy.errors import DataError, LockedError, RegistryError, UsageError
from seewhy.events import ignore
from seewhy.files import exclusive
from seewhy.inference.registered import open_feedback
from seewhy.registry.records import KeptImage, ServedAnswer, now
from seewhy.run import Run
from seewhy.workflows import retrain as workflow
from seewhy.workflows.candidate import DecisionTargets, make_plan

CLASSES = ("ant", "bee", "cow")
QUICK = {"data.size": 8, "train.epochs": 2, "train.batch_size": 32, "train.amp": "fp32"}
LIMITS = seewhy.GateLimits(margin=8, class_limit=30, robust_margin=15)
LIMITED = ("--margin", 8, "--class-limit", 30, "--robust-margin", 15)
WRONG = {"train.lr": 0.5, "train.optimizer": "adam", "train.schedule": "constant", "train.clip": 1}


def write(path, first, last, *, classes=CLASSES, seed=0, **parts):
    """Images number `first` to `last` of one endless set, of 8x8 pixels, as an .npz without splits."""
    arrays = {"images": [], "labels": []}
    for number in range(first, last):
        rng, label = np.random.default_rng((seed, number)), number % len(classes)
        image = rng.integers(0, 90, (8, 8, 3))
        image[..., label % 3] += 40 + 60 * (label // 3)
        arrays["images"].append(image.astype(np.uint8))
        arrays["labels"].append(label)
    np.savez(path, **{name: np.array(one) for name, one in arrays.items()}, names=np.array(classes))
    return path


@pytest.fixture(scope="session")
def first(tmp_path_factory):
    """A run on the first 200 images, to be read only."""
    home = tmp_path_factory.mktemp("first")
    data = write(home / "old.npz", 0, 200)
    seewhy.train(data, "regularized-cnn", out=home / "run", overrides=QUICK)
    return home / "run"


@pytest.fixture
def place(first, tmp_path, monkeypatch):
    """The registry, in which that run's model is the champion; the working directory is empty."""
    monkeypatch.setenv("SEEWHY_REGISTRY", str(tmp_path / "registry.db"))
    monkeypatch.chdir(tmp_path)
    seewhy.register(first, "photos")
    with seewhy.open_registry() as opened:
        opened.promote("photos", 1)
        yield opened


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("data") / "new.npz", 0, 600)


@pytest.fixture(scope="session")
def made(first, data, tmp_path_factory):
    """What a retraining of `first` on `data` leaves in its folder, to be read only."""
    home = tmp_path_factory.mktemp("made")
    seewhy.register(first, "photos", registry=home / "registry.db")
    with seewhy.open_registry(home / "registry.db") as opened:
        opened.promote("photos", 1)
    return seewhy.retrain(
        "photos", data, registry=home / "registry.db", out=home / "out", limits=LIMITS
    ).folder


@pytest.fixture
def candidate(made, tmp_path):
    """Has a retraining on `data` find its candidate trained: it goes on from there."""
    shutil.copytree(made, tmp_path / "runs" / "retrain-photos" / made.name)


def retrain(data, **settings):
    return seewhy.retrain("photos", data, **{"limits": LIMITS, **settings})


@pytest.fixture
def untrained(monkeypatch):
    """Has any training fail."""

    def refuse(*_):
        raise AssertionError("trained again")

    return lambda: monkeypatch.setattr(workflow, "make_candidate", refuse)


def pointing(registry):
    return {alias: one.version for one in registry.versions("photos") for alias in one.aliases}


def test_what_passes_becomes_the_challenger_and_the_same_inputs_train_once(place, data, untrained):
    made = json.loads(call("retrain", "photos", "--data", data, *LIMITED, "--json").out)
    assert (made["outcome"], made["version"], made["parent"]) == ("challenger", 2, 1)
    assert not made["repeated"] and made["gate"]["passed"]
    assert pointing(place) == {"champion": 1, "challenger": 2}
    events = place.history("photos")
    assert [one.kind for one in events] == ["add", "promote", "add", "promote"]
    assert all(one.evidence["gate"]["images"] == made["gate"]["images"] for one in events[2:])
    assert all(one.evidence["retrain"]["key"] == made["key"] for one in events[2:])
    version = place.find("photos@2")
    assert place.find("photos@1").digest in version.facts["parents"]
    untrained()
    again = json.loads(call("retrain", "photos", "--data", data, *LIMITED, "--json").out)
    assert again["repeated"] and again["key"] == made["key"] and again["gate"] == made["gate"]
    assert again["reasons"][0].startswith("nothing was trained: photos@2 was made of the same data")
    assert len(place.history("photos")) == 4
    promoted = call("retrain", "photos", "--data", data, *LIMITED, "--promote", "gate")
    assert "photos@champion is version 2, was version 1" in promoted.out
    assert pointing(place) == {"champion": 2, "challenger": 2}
    for flags in ([], ["--promote", "gate"]):
        assert "nothing to do" in call("retrain", "photos", "--data", data, *flags).out
    assert len(place.history("photos")) == 5


def test_the_next_command_is_of_the_registry_that_was_named(place, data, candidate, tmp_path):
    named = ("--registry", str(tmp_path / "registry.db"))
    told = call("retrain", "photos", "--data", data, *LIMITED, *named).out
    assert shlex.split(told.split("next: ")[1])[-2:] == list(named)


def test_what_a_person_took_back_is_not_promoted_again(place, data, candidate, untrained):
    assert retrain(data, promote="gate").outcome == "promoted"
    place.rollback("photos", why="worse at night")
    untrained()
    again = retrain(data, promote="gate")
    assert (again.outcome, again.version) == ("challenger", 2)
    assert any("was version 2 before, and is version 1 since" in one for one in again.reasons)
    assert pointing(place)["champion"] == 1


def answered(registry, labels):
    """Both models have answered 100 images, the half of them otherwise; people have sent some labels."""
    champion, challenger = (
        registry.find(f"photos@{alias}").digest for alias in ("champion", "challenger")
    )
    said = {"label": "ant", "answer": "ant", "confidence": 0.9, "top": ("ant",), "at": now()}
    both = {"digest": champion, "shadow_digest": challenger, "shadow_confidence": 0.9}
    with open_feedback() as feedback:
        feedback.record(
            [
                ServedAnswer(
                    request_id=f"{number:03}",
                    image=0,
                    name="photos",
                    shadow_label="bee" if number < 50 else "ant",
                    **said,
                    **both,
                )
                for number in range(100)
            ]
        )
        for number, label in enumerate(labels):
            feedback.label(f"{number:03}", label, source="person")


def test_served_images_with_a_label_are_trained_on_while_the_registry_keeps_them(
    place, data, candidate, tmp_path
):
    notes = []
    plain = retrain(data, feedback=True, on_event=notes.append)
    assert any("no answer of photos has a label yet" in getattr(one, "text", "") for one in notes)
    served = np.load(write(tmp_path / "served.npz", 5000, 5006))
    answers, images = [], []
    for number, pixels in enumerate(served["images"]):
        file = BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        about = {"request_id": f"{number:03}", "image": 0, "at": now()}
        said = {"label": "ant", "answer": "ant", "confidence": 0.9, "top": ("ant",)}
        answers.append(
            ServedAnswer(name="photos", digest=place.find("photos").digest, **about, **said)
        )
        images.append(KeptImage(about["request_id"], 0, file.getvalue()))
    with open_feedback() as opened:
        opened.record(answers, images)
        for number, label in enumerate(served["labels"]):
            opened.label(f"{number:03}", CLASSES[label], source="review")
    made = retrain(data, feedback=True)
    assert made.key != plain.key and made.version == 3
    added = [event for event in place.history("photos") if event.kind == "add"][-1]
    assert added.why.startswith(f"retrained from version 1 on {data} and served images: ")
    rows = Run(made.folder / "run").rows("splits.csv")
    assert sum(row["split"] == "train" for row in rows) == 420 + 6
    assert not list(made.folder.parent.glob(".feedback*"))
    assert not [one for one in seewhy.list_cache().sets if ".feedback" in one.source]
    assert retrain(data, feedback=True).repeated
    assert seewhy.retrain("registry:photos", data, feedback=True, limits=LIMITS).key == made.key
    assert retrain(data).key == plain.key
    said = call("feedback", "forget", "001").out
    assert "trained on it: photos@3; train again without it to forget it" in said
    assert seewhy.forget_request("000").models == ("photos@3",)
    with pytest.raises(RegistryError, match="no answer to request"):
        seewhy.forget_request("000")


def test_a_folder_of_a_user_loses_nothing(place, first, tmp_path):
    kept = [
        tmp_path / name for name in ("data/own.npz", "served/a", ".draft.tmp", "sub/.notes.tmp")
    ]
    for path in kept:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    write(kept[0], 0, 200)
    left = tmp_path / ".feedback.999999999.tmp"  # of a process that was killed
    left.mkdir()
    told = call("retrain", "photos", "--data", kept[0], "--out", ".", "--feedback")
    assert "nothing to do" in told.out and not left.exists()
    assert all(path.exists() for path in kept)


def test_a_challenger_on_trial_is_promoted_when_its_test_is_won(place, data, candidate, untrained):
    assert retrain(data, promote="ab").outcome == "challenger"
    untrained()
    waiting = retrain(data, promote="ab", overrides={"train.epochs": 1})
    assert (waiting.outcome, waiting.repeated) == ("challenger", True)
    assert "--challenger registry:photos@challenger" in waiting.reasons[-1]
    answered(place, ["bee", "ant"] * 3)
    undecided = retrain(data, promote="ab")
    assert undecided.outcome == "challenger" and pointing(place)["champion"] == 1
    assert any(one.startswith("It cannot be told yet") for one in undecided.reasons)
    answered(place, ["bee"] * 40)
    won = retrain(data, promote="ab")
    assert won.outcome == "promoted" and pointing(place) == {"champion": 2, "challenger": 2}
    assert place.history("photos")[-1].evidence["test"]["verdict"] == "challenger"


def test_a_worse_candidate_is_rejected_and_says_why(place, data, untrained):
    overrides = [f"--{name}={value}" for name, value in WRONG.items()]
    arguments = ("retrain", "photos", "--data", data, *LIMITED, "--promote", "gate", *overrides)
    shown = call(*arguments, code=1).out
    assert shown.startswith("version 2 is rejected") and "the candidate is worse" in shown
    assert "photos@champion stays version 1" in shown
    assert pointing(place) == {"champion": 1}
    assert place.history("photos")[-1].why.endswith(": worse")
    untrained()
    assert [one.version for one in place.collect(keep=0)] == [2]  # its verdict stays
    assert "nothing was trained" in call(*arguments).out
    assert pointing(place) == {"champion": 1}


def test_an_unproven_candidate_is_rejected_and_judged_again_by_other_limits(
    place, data, candidate, untrained
):
    strict = seewhy.GateLimits(margin=0.1, class_limit=30, robust_margin=15)
    notes = []
    made = retrain(data, limits=strict, promote="gate", on_event=notes.append)
    assert (made.outcome, made.gate.verdict) == ("rejected", "unproven")
    assert any("--margin allows more" in one for one in made.reasons)
    assert any("few to compare models on" in getattr(one, "text", "") for one in notes)
    assert pointing(place) == {"champion": 1}
    untrained()
    assert (retrain(data).version, retrain(data).outcome) == (2, "challenger")


@pytest.mark.parametrize(
    "targets", [{"precision": 0.9, "coverage": 0.5}, {"precision": 90.0}, {"coverage": np.nan}]
)
def test_a_decision_that_cannot_be_fitted_is_refused_before_the_training(
    place, data, untrained, targets
):
    untrained()
    with pytest.raises(UsageError, match=r"--precision and --coverage|expected a share"):
        retrain(data, **targets)


def test_data_with_errors_stop_it(place, tmp_path):
    data = write(tmp_path / "wrong.npz", 0, 300)
    arrays = dict(np.load(data))
    arrays["images"][1] = arrays["images"][0]  # one image under two labels
    np.savez(data, **arrays)
    error = call("retrain", "photos", "--data", data, code=2).err
    assert (
        "the data have errors" in error and "two labels" in error and "seewhy data check" in error
    )
    assert len(place.history("photos")) == 2
    assert not list((tmp_path / "runs").rglob("run"))


def test_images_that_the_champion_was_trained_on_judge_nothing(place, first, tmp_path):
    rows = [row for row in Run(first).rows("splits.csv") if row["split"] == "train"]
    seen = [int(row["id"].rpartition("/")[2]) for row in rows][:30]
    arrays = np.load(write(tmp_path / "all.npz", 0, 360))

    def parts(path, val):
        chosen = {"train": [*range(200, 300)], "val": val}
        of = {"x": arrays["images"], "y": arrays["labels"]}
        named = {f"{k}_{part}": of[k][rows] for k in of for part, rows in chosen.items()}
        np.savez(path, **named, names=arrays["names"])
        return path

    made = retrain(parts(tmp_path / "some.npz", [*seen, *range(299, 360)]))  # 299: also in train
    assert made.gate.left_out == {"training images of the champion": 30} and made.gate.images == 61
    assert "left out: 30 training images of the champion" in made.reasons
    with pytest.raises(DataError, match=r"no image of val can judge .* 30 are training images"):
        retrain(parts(tmp_path / "none.npz", seen))


def test_a_hold_out_judges_without_images_of_train_and_test(place, data, candidate, tmp_path):
    """The images of the data are in it too: of these only those of val, and no sealed one."""
    hold_out = write(tmp_path / "all.npz", 0, 700)
    splits = seewhy.load_data(data)
    made = retrain(data, hold_out=hold_out)
    left = made.gate.left_out
    assert len(splits.test) == 60 and left["test images of the data, which stay sealed"] > 50
    assert sum(left.values()) >= len(splits.train) + 60
    assert made.gate.images == 700 - sum(left.values()) and made.gate.source == str(hold_out)
    assert made.gate.images >= 200  # most of val, and all that are not in the data


def test_a_champion_of_unknown_training_images_needs_a_hold_out(
    first, tmp_path, monkeypatch, data, candidate
):
    monkeypatch.setenv("SEEWHY_REGISTRY", str(tmp_path / "other.db"))
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "photos.safetensors"
    file.write_bytes((first / "model.safetensors").read_bytes())
    seewhy.register(file, "photos")
    with seewhy.open_registry() as opened:
        opened.promote("photos", 1)
        with pytest.raises(UsageError, match="not known on which images photos@1 was trained"):
            retrain(data)
        made = retrain(data, hold_out=write(tmp_path / "hold-out.npz", 1000, 1100))
        assert made.gate.images == 100 and "taken on trust" in made.reasons[0]
        assert opened.trained_on(opened.find("photos@2").digest) is None
        assert seewhy.register(first, "photos").version == 1  # from its run: now they are known
        assert retrain(data).gate.source == "val"


def test_a_move_that_was_lost_says_who_was_first(place, data, candidate, monkeypatch):
    make = workflow.make_candidate

    def make_slowly(*arguments):
        make(*arguments)
        seewhy.register("fast", "photos")
        place.promote("photos", 2, why="by hand, meanwhile")

    monkeypatch.setattr(workflow, "make_candidate", make_slowly)
    with pytest.raises(
        RegistryError, match=r"points at version 2, not at version 1 .* moved it at"
    ):
        retrain(data, promote="gate")
    assert pointing(place) == {"champion": 2, "challenger": 3}


def test_two_at_once_have_one_winner(place, data, candidate, tmp_path, monkeypatch):
    with (
        exclusive((tmp_path / "busy").with_name("retrain.lock")),
        pytest.raises(LockedError, match="is being written by process"),
    ):
        retrain(data, out=tmp_path)
    make = workflow.make_candidate

    def while_another_machine_does(plan, on_event):
        make(plan, on_event)
        monkeypatch.setattr(workflow, "make_candidate", make)
        assert retrain(data, out=tmp_path / "elsewhere").outcome == "challenger"

    monkeypatch.setattr(workflow, "make_candidate", while_another_machine_does)
    made = retrain(data)
    assert (made.version, made.outcome) == (2, "challenger")
    assert len(place.versions("photos")) == 2 and len(place.history("photos")) == 4
    assert made.gate == seewhy.retrain("photos", data, limits=LIMITS).gate


def test_classes_that_come_are_told_and_those_that_go_stop_it(place, tmp_path):
    more = retrain(write(tmp_path / "more.npz", 0, 480, classes=(*CLASSES, "dog")))
    assert any("1 class is new to the champion (dog)" in one for one in more.reasons)
    fewer = retrain(write(tmp_path / "fewer.npz", 0, 400, classes=CLASSES[:2]))
    assert fewer.outcome == "rejected"
    assert any(one.startswith("the candidate never answers cow") for one in fewer.reasons)


def test_a_champion_that_abstains_has_a_successor_that_does(place, first, data, tmp_path):
    seewhy.calibrate(
        first, write(tmp_path / "old.npz", 0, 200), out=first / "sure.safetensors", coverage=0.5
    )
    version = seewhy.register(first / "sure.safetensors", "photos")
    (first / "sure.safetensors").unlink()
    place.promote("photos", version.version)
    made = retrain(data)
    candidate = seewhy.load(made.folder / "model.safetensors")
    assert candidate.decision.threshold is not None
    assert place.trained_on(version.digest) is not None  # a copy in the directory of its run


def test_the_recipe_is_the_champions_unless_another_is_named(place, first, data, candidate):
    own = Run(first).config["recipe"]["train"]
    run = Run(retrain(data).folder / "run")
    assert run.config["recipe"]["train"]["lr"] == own["lr"]
    other = retrain(data, overrides={"train.epochs": 1, "train.lr": 1e-4})
    assert Run(other.folder / "run").config["recipe"]["train"]["lr"] == 1e-4
    assert other.version == 3 and other.key != retrain(data).key
    with pytest.raises(UsageError, match="has no effect"):
        retrain(data, overrides={"model.dropout": 0.9})


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"promote": "always"}, UsageError, "no policy 'always'"),
        ({"registry": "nowhere.db"}, RegistryError, "there is no registry"),
    ],
)
def test_what_cannot_be_retrained_is_said(place, data, settings, error, message):
    with pytest.raises(error, match=message):
        retrain(data, **settings)


def test_images_that_are_not_there_are_missed_before_anything_is_trained(
    place, data, first, untrained
):
    untrained()
    with pytest.raises(DataError, match="no data at nowhere"):
        retrain(data, out_of_scope="nowhere")
    old = first.parent / "old.npz"
    assert retrain(old).outcome == "unchanged"
    with pytest.raises(DataError, match="no data at nowhere"):
        retrain(old, hold_out="nowhere")


def test_other_images_out_of_distribution_make_another_model_and_another_path_does_not(
    place, data, tmp_path
):
    def key(path):
        targets = DecisionTargets(out_of_scope=path)
        version = place.find("photos")
        return make_plan(place, version, data, None, {}, targets, tmp_path, ignore).key

    first, moved, other = (
        write(f"{name}.npz", 0, 30, seed=seed) for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert key(first) == key(moved) != key(other)


class Table:
    """What is used of a table of pandas, which is compared cell by cell."""

    columns = ("path", "label")

    def __init__(self, files):
        self._columns = {"path": files, "label": ["other"] * len(files)}

    def __len__(self):
        return len(self._columns["path"])

    def __getitem__(self, column):
        return self._columns[column]

    def __eq__(self, other):
        return np.zeros((len(self), 2), bool)


def test_images_out_of_distribution_may_be_a_table(place, data, untrained, tmp_path):
    files = [str(tmp_path / f"{number}.png") for number in range(20)]
    for number, file in enumerate(files):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(file)
    untrained()
    with pytest.raises(AssertionError, match="trained again"):
        retrain(data, out_of_scope=Table(files))


def test_an_unknown_model_and_an_onnx_file_are_refused(place, data, exported):
    with pytest.raises(RegistryError, match="model in the registry"):
        seewhy.retrain("nobody", data)
    place.promote("photos", seewhy.register(exported, "photos").version)
    with pytest.raises(UsageError, match="ONNX"):
        retrain(data)


@pytest.mark.long
def test_more_digits_make_a_better_model_within_the_limits_by_default(tmp_path, monkeypatch):
    digits = load_digits()
    images, labels = (digits.images * 15.9).astype(np.uint8), digits.target
    np.savez(tmp_path / "old.npz", images=images[:200], labels=labels[:200])
    np.savez(tmp_path / "new.npz", images=images, labels=labels)
    monkeypatch.setenv("SEEWHY_REGISTRY", str(tmp_path / "registry.db"))
    monkeypatch.chdir(tmp_path)
    run = seewhy.train(tmp_path / "old.npz", "digits", out=tmp_path / "run")
    call("registry", "add", run.path, "digits")
    call("registry", "promote", "digits", 1)
    for expected in ("promoted", "unchanged"):
        shown = call("retrain", "digits", "--data", "new.npz", "--promote", "gate", "--json").out
        assert json.loads(shown)["outcome"] == expected
