import csv
import json
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from helpers import QUICK, TinyNet, image_set, same_weights, write_folder
from PIL import Image

import seewhy
from seewhy.errors import (
    DataError,
    DiskFullError,
    LockedError,
    MemoryLimitError,
    ModelFileError,
    UsageError,
)
from seewhy.evaluation.predictions import Predictions
from seewhy.events import Diagnostic, Epoch, RunFinished, RunStarted, Step
from seewhy.files import exclusive, to_json
from seewhy.run import Run
from seewhy.training.checkpoint import latest_checkpoint
from seewhy.workflows import prepare
from seewhy.workflows import train as module


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    return train(photos, tmp_path_factory.mktemp("runs") / "run")


def train(data, out, recipe="regularized-cnn", **changes):
    overrides = {**QUICK, **changes.pop("overrides", {})}
    return seewhy.train(data, recipe, out=out, overrides=overrides, **changes)


def test_a_run_holds_all_that_was_promised(run, photos):
    names = {path.name for path in run.path.iterdir()}
    assert {
        *("config.yaml", "history.csv", "metrics.json", "predictions-val.parquet", "splits.csv"),
        *("bad_files.csv", "checkpoints", "model.safetensors", "environment.json", "log.txt"),
    } <= names
    assert run.config["recipe"]["train"]["epochs"] == 2
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert run.metrics["val"]["n"] == len(Predictions.from_parquet(run.predictions("val")))
    assert "test" not in run.metrics


def test_a_share_of_val_alone_is_stored_with_that_of_test(photos, tmp_path):
    run = train(photos, tmp_path / "run", overrides={"data.val": 0.3})
    stored = run.config["recipe"]["data"]
    assert (stored["val"], stored["test"], run.metrics["val"]["n"]) == (0.3, 0.1, 18)
    again, _ = seewhy.evaluate(run.path, photos, "val")
    assert to_json(again.accuracy) == run.metrics["val"]["accuracy"]
    train(photos, tmp_path / "run", overrides={"data.val": 0.3, "train.epochs": 3}, resume=True)


def test_a_model_that_gives_one_class_to_everything_is_said_to_have_collapsed(photos, tmp_path):
    network, events = TinyNet(), []
    with torch.no_grad():
        network.linear.weight.zero_()
        network.linear.bias.copy_(torch.tensor([0.0, 9, 0]))
    still = {"train.lr": 1e-9, "train.epochs": 1}
    run = train(photos, tmp_path / "run", model=network, overrides=still, on_event=events.append)
    *_, collapsed, finished = events
    assert collapsed.kind == "collapsed" and "are predicted as bee" in collapsed.finding
    assert isinstance(finished, RunFinished) and collapsed in run.events
    assert collapsed.text in (run.path / "log.txt").read_text()
    assert run.metrics["val"]["diagnostics"] == [to_json(collapsed)]


def test_the_published_figures_are_those_of_the_stored_model(run, photos):
    stored = run.metrics["val"]
    predictions = Predictions.from_parquet(run.predictions("val"))
    figures, again = seewhy.evaluate(run.path, photos, "val")
    assert to_json(figures) == stored
    assert np.array_equal(again.logits, predictions.logits)


def test_training_never_opens_the_test_split(photos, tmp_path, monkeypatch):
    def opened(self):
        raise AssertionError("the test split was opened")

    monkeypatch.setattr("seewhy.data.split.SealedSet.unseal", opened)
    finished = train(photos, tmp_path / "run")
    with pytest.raises(AssertionError, match="opened"):
        seewhy.evaluate(finished.path, photos, "test")


def test_each_reading_of_test_is_numbered(run, photos):
    for reading in (1, 2):
        seewhy.evaluate(run.path, photos, "test")
        assert run.metrics["test"]["reading"] == reading
    assert "reading 2" in (run.path / "log.txt").read_text()


def test_three_trainings_of_one_seed_have_the_same_bits_and_another_seed_has_not(
    photos, tmp_path, run
):
    again = train(photos, tmp_path / "again")
    other = train(photos, tmp_path / "other", overrides={"train.seed": 1})
    assert same_weights(run.model, again.model)
    assert not same_weights(run.model, other.model)


def test_stopped_and_resumed_gives_the_same_bits(photos, tmp_path, run):
    class Stop(Exception):
        pass

    for stop_at in (1, 4, 7):
        out = tmp_path / f"run-{stop_at}"
        seen = []

        def stop(event, seen=seen, stop_at=stop_at):
            seen.append(event)
            if sum(isinstance(e, Step | Epoch) for e in seen) == stop_at:
                raise Stop

        with pytest.raises(Stop):
            train(photos, out, on_event=stop, overrides={"train.checkpoint_seconds": 1e-9})
        config = yaml.safe_load((out / "config.yaml").read_text())
        config["recipe"]["train"]["checkpoint_seconds"] = 60.0
        (out / "config.yaml").write_text(yaml.safe_dump(config))
        assert same_weights(train(photos, out, resume=True).model, run.model)


def leave_at(kind, photos, out, **options):
    """Leaves a training at its first event of a kind; gives what was yielded."""
    seen = []
    with seewhy.training_events(
        photos, "regularized-cnn", out=out, overrides=QUICK, **options
    ) as events:
        for event in events:
            seen.append(event)
            if isinstance(event, kind):
                break
    return seen


def told(run):
    """The events of a run, without notes of where it was resumed, and without times."""
    events = [event for event in run.events if "resumed" not in getattr(event, "text", "")]
    return [replace(e, seconds=0.0) if hasattr(e, "seconds") else e for e in events]


@pytest.mark.parametrize("kind", [RunStarted, Step, Epoch])
def test_leaving_early_leaves_a_run_that_resumes_to_the_same_bits(photos, tmp_path, run, kind):
    out = tmp_path / "run"
    leave_at(kind, photos, out)
    assert (len(Run(out).history) if (out / "history.csv").exists() else 0) == (kind is Epoch)
    with exclusive(out / "run.lock"):
        pass  # it is free
    resumed = train(photos, out, resume=True)
    assert same_weights(resumed.model, run.model)
    renamed = [
        replace(e, path=str(run.path)) if isinstance(e, RunStarted | RunFinished) else e
        for e in told(resumed)
    ]
    assert renamed == told(run)


def test_events_run_from_the_start_to_the_finished_run(photos, tmp_path):
    seen = leave_at(RunFinished, photos, tmp_path / "run")
    finished = Run(tmp_path / "run")
    kinds = [type(event).__name__ for event in seen]
    assert kinds.index("RunStarted") < kinds.index("Step") and kinds[-1] == "RunFinished"
    assert seen[-1].value == finished.metrics["val"]["accuracy"]["value"]
    assert finished.finished and finished.events == [e for e in seen if not isinstance(e, Step)]
    (again,) = leave_at(RunFinished, photos, tmp_path / "run", resume=True)
    assert again == replace(seen[-1], note="nothing to resume")


def test_an_epoch_is_yielded_when_its_checkpoint_and_history_are_on_disk(photos, tmp_path):
    out = tmp_path / "run"
    with seewhy.training_events(photos, "regularized-cnn", out=out, overrides=QUICK) as events:
        for event in events:
            if isinstance(event, Epoch):
                latest = json.loads(
                    (latest_checkpoint(Run(out).checkpoints) / "state.json").read_text()
                )
                assert len(latest["progress"]["history"]) == event.epoch
                assert len(Run(out).history) == event.epoch
                length = latest["progress"]["events_length"]
                assert length == (out / "events.jsonl").stat().st_size


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_is_honoured_at_the_end_of_a_step(photos, tmp_path, run, number, error):
    def stop(event):
        if isinstance(event, Step) and event.step == 2:
            signal.raise_signal(number)

    before = signal.getsignal(number)
    with pytest.raises(error):
        train(photos, tmp_path / "run", on_event=stop)
    assert signal.getsignal(number) is before
    assert latest_checkpoint(Run(tmp_path / "run").checkpoints).name == "step-2"
    assert same_weights(train(photos, tmp_path / "run", resume=True).model, run.model)


def test_a_training_within_another_changes_neither_and_installs_no_handlers(photos, tmp_path, run):
    handlers = []

    def nest(event):
        handlers.append(signal.getsignal(signal.SIGINT))
        if isinstance(event, Epoch) and event.epoch == 1:
            inner = lambda event: handlers.append(signal.getsignal(signal.SIGINT))  # noqa: E731
            finished.append(train(photos, tmp_path / "inner", on_event=inner))

    finished = []
    finished.append(train(photos, tmp_path / "outer", on_event=nest))
    assert all(same_weights(one.model, run.model) for one in finished)
    assert len(set(handlers)) == 2  # those of before and after, and those of the outer training


def test_a_signal_stops_a_training_within_another_and_both_go_on(photos, tmp_path, run):
    def nest(event):
        if isinstance(event, Epoch) and event.epoch == 1:
            train(photos, tmp_path / "inner", on_event=stop)

    def stop(event):
        if isinstance(event, Step):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(photos, tmp_path / "outer", on_event=nest)
    for name in ("inner", "outer"):
        assert same_weights(train(photos, tmp_path / name, resume=True).model, run.model)


def test_resume_starts_a_run_where_there_is_none_and_leaves_a_finished_one(photos, tmp_path):
    said = []
    out = tmp_path / "run"
    first = train(photos, out, resume=True)
    before = first.model.read_bytes()
    train(photos, out, resume=True, on_event=said.append)
    assert first.model.read_bytes() == before and said[-1].note == "nothing to resume"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"overrides": {"train.lr": 0.5}}, r"train\.lr"),
        ({"overrides": {"train.seed": 5}}, r"train\.seed"),
        ({"overrides": {"augment.flip": 0.1}}, r"augment\.flip"),
    ],
)
def test_resuming_with_another_recipe_names_the_key(run, photos, changes, key):
    with pytest.raises(UsageError, match=key):
        train(photos, run.path, resume=True, **changes)


def test_a_run_begun_before_a_field_of_recipes_existed_is_resumed(run, photos, tmp_path):
    older = Run(tmp_path / "older")
    shutil.copytree(run.path, older.path)
    config = older.config
    del config["recipe"]["train"]["compile"]
    older.write_config(config)
    said = []
    train(photos, older.path, resume=True, on_event=said.append)
    assert said[-1].note == "nothing to resume"


def test_resuming_with_other_data_names_it(run, tmp_path):
    other = write_folder(tmp_path / "other", seed=5)
    with pytest.raises(UsageError, match="data"):
        train(other, run.path, resume=True)


def test_nothing_is_written_over(photos, run, tmp_path):
    with pytest.raises(UsageError, match="is not empty"):
        train(photos, run.path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="is not empty"):
        train(photos, tmp_path / "mine")
    with pytest.raises(UsageError):
        train(photos, tmp_path / "mine", resume=True)
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_without_out_runs_are_numbered(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [str(train(photos, None).path) for _ in range(2)]
    assert names == ["runs/regularized-cnn", "runs/regularized-cnn-2"]


def test_a_second_writer_is_refused(photos, tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    with exclusive(out / "run.lock"), pytest.raises(LockedError):
        train(photos, out, resume=True)


def test_bad_files_are_named_and_change_no_bit(photos, tmp_path, run):
    copy = tmp_path / "copy"
    shutil.copytree(photos, copy)
    (copy / "ant" / "zz.png").write_bytes(b"not a picture")
    (copy / "bee" / "000a.jpg").write_bytes((copy / "bee" / "001.png").read_bytes()[:100])
    with pytest.raises(DataError, match=r"zz\.png|000a\.jpg"):
        train(copy, tmp_path / "refused")
    skipping = {"data.on_bad": "skip", "data.max_bad": 0.1}
    finished = train(copy, tmp_path / "run", overrides=skipping)
    with open(finished.path / "bad_files.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["path"] for row in rows) == ["ant/zz.png", "bee/000a.jpg"]
    assert {row["code"] for row in rows} <= {"undecodable", "unsupported_format"}
    assert same_weights(finished.model, run.model)


def test_fine_tuning_matches_classes_by_name(photos, tmp_path, run):
    other = tmp_path / "other"
    for name in ("cow", "ant"):  # one class fewer, another order of training
        shutil.copytree(photos / name, other / name)
    start = seewhy.load(run.path)
    splits = seewhy.load_data(other, seewhy.DataConfig(size=16))
    recipe = seewhy.load_recipe("regularized-cnn", QUICK)
    network, _ = prepare._build(recipe, splits, start.predictor.bundle, None, None)
    old, new = start.module().head.classes.weight, network.head.classes.weight
    assert splits.classes == ("ant", "cow")
    assert torch.equal(new[0], old[0]) and torch.equal(new[1], old[2])
    tuned = train(other, tmp_path / "tuned", init=run.path, overrides={"train.lr": 1e-5})
    assert seewhy.load(tuned.path).predictor.parents == (start.digest,)


def test_gradient_norms_are_kept_by_step_and_layer(photos, tmp_path, run):
    finished = train(photos, tmp_path / "run", overrides={"train.gradient_norms": 2})
    rows = finished.gradient_norms
    assert [row["step"] for row in rows] == [1, 3, 5]
    assert list(rows[0]) == ["step", "conv1", "conv2", "head.hidden", "head.classes"]
    assert same_weights(finished.model, run.model)  # looking changes nothing
    assert run.gradient_norms == []


def test_a_dropout_schedule_without_dropout_is_refused_before_training(photos, tmp_path):
    with pytest.raises(UsageError, match="no dropout layer"):
        scheduled = {"train.dropout_schedule": [0.1, 0.2]}
        train(photos, tmp_path / "run", "simple-cnn", overrides=scheduled)
    assert not (tmp_path / "run").exists()


def test_a_network_of_ones_own_trains_and_loads(photos, tmp_path):
    finished = train(photos, tmp_path / "run", model=TinyNet())
    with pytest.raises(ModelFileError, match="model="):
        seewhy.load(finished.path)
    classifier = seewhy.load(finished.path, model=TinyNet())
    assert len(classifier.predict(next(photos.rglob("*.png")))) == 1


def test_too_little_memory_is_advice(photos, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."
        )

    monkeypatch.setattr(module, "training_loop", full)
    with pytest.raises(MemoryLimitError, match=r"--train\.batch_size 8"):
        train(photos, tmp_path / "run")


@pytest.mark.parametrize("step", ["load_data", "_build"])
def test_too_little_memory_before_the_training_is_advice(photos, tmp_path, monkeypatch, step):
    def full(*arguments, **options):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(prepare, step, full)
    with pytest.raises(MemoryLimitError, match=r"no memory left \(CUDA out of memory"):
        train(photos, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_unknown_metric_is_refused_before_training(photos, tmp_path):
    with pytest.raises(UsageError, match=r"train\.monitor"):
        train(photos, tmp_path / "run", overrides={"train.monitor": "beauty"})
    assert not (tmp_path / "run").exists()


def test_a_metric_that_the_classes_do_not_allow_is_refused_before_training(photos, tmp_path):
    with pytest.raises(UsageError, match="at least six classes"):
        train(photos, tmp_path / "run", overrides={"train.monitor": "top5"})
    assert not (tmp_path / "run").exists()


def test_an_input_too_small_for_the_net_is_refused_before_training(tmp_path):
    small = write_folder(tmp_path / "small", size=6)
    with pytest.raises(UsageError, match="at least"):
        train(small, tmp_path / "run", "fast")
    assert not (tmp_path / "run").exists()


def test_data_with_another_class_is_refused_by_evaluate(run, photos, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(photos, other)
    (other / "cow").rename(other / "yak")
    with pytest.raises(DataError, match="yak"):
        seewhy.evaluate(run.path, other, "val")


def test_one_image_by_every_way_in(run, photos):
    classifier = seewhy.load(run.path)
    path = photos / "bee" / "003.png"
    image = Image.open(path)
    ways = [path, str(path), path.read_bytes(), image, np.asarray(image)]
    tensors = [classifier.preprocess(way) for way in ways]
    assert all(np.array_equal(tensors[0], tensor) for tensor in tensors)
    together = classifier.predict(ways).logits
    alone = classifier.predict(path).logits
    assert np.abs(together - alone).max() <= 1e-4 * max(1, np.abs(alone).max())


def test_one_bad_image_leaves_the_others_as_they_were(run, photos):
    classifier = seewhy.load(run.path)
    good = sorted(photos.rglob("*.png"))[:9]
    expected = classifier.predict(good).logits
    for position in range(10):
        mixed = [*good[:position], b"damaged", *good[position:]]
        found = classifier.predict(mixed, on_error="row")
        assert list(found.errors) == [position]
        rest = np.delete(found.logits, position, axis=0)
        np.testing.assert_allclose(rest, expected, rtol=1e-4, atol=1e-4)


def test_saving_copies_and_never_overwrites(run, tmp_path):
    classifier = seewhy.load(run.path)
    classifier.save(tmp_path / "copy.safetensors")
    assert seewhy.load(tmp_path / "copy.safetensors").digest == classifier.digest
    with pytest.raises(UsageError, match="already exists"):
        classifier.save(tmp_path / "copy.safetensors")


def test_an_existing_path_wins_over_a_name_and_an_unknown_name_lists_the_known(run, tmp_path):
    with pytest.raises(UsageError, match=r"shipped model .*fast"):
        seewhy.load("no-such-model")
    with pytest.raises(ModelFileError, match="is no run directory"):
        seewhy.load(tmp_path)


def test_a_sign_of_trouble_is_shown_as_it_appears_and_kept_in_the_log(photos, tmp_path, run):
    bleached = shutil.copytree(photos, tmp_path / "bleached")
    for path in bleached.glob("*/*.png"):
        Image.fromarray(224 + np.asarray(Image.open(path)) // 8).save(path)
    shown = []
    tuned = train(bleached, tmp_path / "tuned", init=run.path, on_event=shown.append)
    assert "wrong normalisation" in [e.kind for e in shown if isinstance(e, Diagnostic)]
    assert "wrong normalisation" in [e.kind for e in tuned.events if isinstance(e, Diagnostic)]
    assert "wrong normalisation" in (tuned.path / "log.txt").read_text()
    events = []
    before = run.metrics, run.predictions("val").read_bytes()
    seewhy.evaluate(run.path, bleached, "val", on_event=events.append)
    assert "wrong normalisation" in [e.kind for e in events if isinstance(e, Diagnostic)]
    assert (run.metrics, run.predictions("val").read_bytes()) == before  # those of its own images


def test_environment_and_log_are_plain(run):
    facts = json.loads((run.path / "environment.json").read_text())
    assert (
        facts["packages"]["torch"] == torch.__version__.split("+")[0]
        or "torch" in facts["packages"]
    )
    Run(run.path).log("a\x1b[31mb\nc")
    last = (run.path / "log.txt").read_text().splitlines()[-1]
    assert last.endswith(r"a\x1b[31mb\nc")


def test_helpers_make_what_they_say():
    assert image_set([0, 1, 2]).classes == ("class 0", "class 1", "class 2")


def test_a_full_disk_names_the_command_that_continues_the_run(photos, tmp_path):
    def full(event):
        if isinstance(event, Epoch):
            raise DiskFullError("a file")

    with pytest.raises(DiskFullError) as caught:
        train(photos, tmp_path / "a b", on_event=full)
    assert f"continue with `seewhy train --resume --out '{tmp_path}/a b'`" in str(caught.value)
