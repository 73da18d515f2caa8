"""What a training starts from, new or resumed; the whole of a small training through public names."""

import json
import shlex
import shutil

import numpy as np
import pytest
import torch
from helpers import QUICK, TinyNet, call, same_weights, write_folder
from safetensors.torch import load_file

import seewhy
from seewhy.errors import UsageError
from seewhy.events import Epoch, Note, RunFinished, Step
from seewhy.run import Run

TINY = {"data.size": 16, "train.epochs": 2, "train.batch_size": 16, "train.amp": "fp32"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("photos") / "my photos", count=12)


def train(data, out, recipe="regularized-cnn", **changes):
    overrides = {**TINY, **changes.pop("overrides", {})}
    return seewhy.train(data, recipe, out=out, overrides=overrides, **changes)


def notes(events):
    return " | ".join(event.text for event in events if isinstance(event, Note))


# ------------------------------------------------------------------ few images


def test_a_batch_is_of_no_more_images_than_there_are(photos, tmp_path):
    seen = []
    run = train(photos, tmp_path / "run", overrides={"train.batch_size": 512}, on_event=seen.append)
    images = run.split_sizes["train"]
    assert f"batch_size is {images} and not 512" in notes(seen) and "rate stays 0.001" in notes(
        seen
    )
    assert run.config["recipe"]["train"]["batch_size"] == images
    steps = [event.epoch for event in seen if isinstance(event, Step)]
    assert steps == [1, 2] and all(row["train_loss"] > 0 for row in run.history)
    assert f"batch_size is {images}" in notes(run.events)
    few = [event for event in run.events if getattr(event, "kind", "") == "few steps"]
    assert "2 in all" in few[0].finding and "--epochs 300" in few[0].advice
    # With the recipe's batch, with its own, or by itself: it is the same run.
    for batch in ({"train.batch_size": 512}, {"train.batch_size": images}):
        train(photos, run.path, overrides=batch, resume=True)


@pytest.mark.parametrize("parts", [{"train.accumulate": 48}, {"train.shards": 24}])
def test_a_batch_of_few_images_is_cut_into_no_more_parts_than_it_has(photos, tmp_path, parts):
    """Its recipe was stored with more, which nothing could read again."""
    settings = {"train.batch_size": 64, "train.epochs": 1, **parts}
    run = train(photos, tmp_path / "run", overrides=settings)
    seewhy.train(resume=True, out=run.path)
    train(photos, run.path, overrides=settings, resume=True)


def test_a_run_begun_with_a_larger_batch_keeps_it(photos, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("seewhy.workflows.prepare._fitting", lambda recipe, *_: (recipe, ()))
        with seewhy.training_events(
            photos, "regularized-cnn", out=out, overrides={**TINY, "train.batch_size": 512}
        ) as events:
            next(event for event in events if isinstance(event, Step))
    seen = []
    run = train(photos, out, overrides={"train.batch_size": 512}, resume=True, on_event=seen.append)
    assert run.config["recipe"]["train"]["batch_size"] == 512 and "batch_size" not in notes(seen)


# ------------------------------------------------------------------ resumed by the run alone


def test_a_run_is_resumed_by_its_directory_alone(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(seewhy, "report", lambda *_, **__: None)  # it is slow, and tested elsewhere
    whole = train(photos, tmp_path / "whole")
    out = tmp_path / "a run"
    with seewhy.training_events(photos, "regularized-cnn", out=out, overrides=TINY) as events:
        next(event for event in events if isinstance(event, Step))
    command = shlex.split(Run(out).resume_command)
    assert command == ["seewhy", "train", "--resume", "--out", str(out)]
    assert "nothing to resume" not in call(*command[1:]).err
    assert same_weights(Run(out).model, whole.model)
    seen = []
    seewhy.train(resume=True, out=out, on_event=seen.append)
    assert seen[-1].note == "nothing to resume"


def test_what_is_left_out_is_the_runs_own_and_what_is_given_must_agree(photos, tmp_path):
    run = train(photos, tmp_path / "run")
    seewhy.train(resume=True, out=run.path, recipe="regularized-cnn", overrides=TINY)
    seewhy.train(photos, resume=True, out=run.path)
    with pytest.raises(UsageError, match=r"train\.lr"):
        seewhy.train(resume=True, out=run.path, overrides={"train.lr": 0.5})
    with pytest.raises(UsageError, match=r"recipe\.|name|model"):
        seewhy.train(resume=True, out=run.path, recipe="simple-cnn")


def test_a_directory_without_a_run_starts_none_by_itself(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("typo", "empty"):
        assert (
            "holds no run to resume"
            in call("train", "--resume", "--out", tmp_path / name, code=2).err
        )
    assert not (tmp_path / "typo").exists()


def leave_unfinished(data, out, recipe="regularized-cnn"):
    with seewhy.training_events(data, recipe, out=out, overrides=TINY) as events:
        next(event for event in events if isinstance(event, Step))


def test_the_one_unfinished_run_is_found_and_several_are_listed(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.yaml").write_text("learning: {rate: 3}")
    error = call("train", "--resume", code=2).err
    assert "there is no run to resume in" in error and "or --data to start a run" in error
    leave_unfinished(photos, None)
    leave_unfinished(photos, "my run", "simple-cnn")
    error = call("train", "--resume", code=2).err
    assert "seewhy train --resume --out runs/regularized-cnn\n" in error
    assert "seewhy train --resume --out 'my run'\n" in error and "downloading" not in error
    assert seewhy.train(resume=True, recipe="simple-cnn", overrides=TINY).path.name == "my run"
    run = seewhy.train(resume=True)
    assert run.path.name == "regularized-cnn" and run.finished
    error = call("train", "--resume", code=2).err
    assert "all runs here are finished: with more --epochs" in error and "'my run'\n" in error
    assert not list(tmp_path.glob("runs/*-2"))


def test_a_run_begun_beside_others_is_resumed_where_there_are_no_more_threads(
    photos, tmp_path, monkeypatch
):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with monkeypatch.context() as patch:
            patch.setattr("seewhy.workflows.prepare.free_threads", lambda: 1)
            with seewhy.training_events(
                photos, "regularized-cnn", out=tmp_path / "run", overrides=TINY
            ) as events:
                next(event for event in events if isinstance(event, Step))
        torch.set_num_threads(1)
        run = seewhy.train(resume=True, out=tmp_path / "run")
    finally:
        torch.set_num_threads(before)
    assert run.config["threads"] == 1 and run.finished


def test_data_in_memory_must_be_given_again(tmp_path):
    images = torch.randint(0, 256, (24, 16, 16, 3), dtype=torch.uint8).numpy()
    labels = [k % 2 for k in range(24)]
    out = train((images, labels), tmp_path / "run").path
    with pytest.raises(UsageError, match=r"in memory: 24 images.*data="):
        seewhy.train(resume=True, out=out)
    seewhy.train((images, labels), resume=True, out=out)


def test_a_run_goes_on_to_the_same_bits_with_its_images_in_another_order(tmp_path):
    """Renamed files come in another order; among them one image under two labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    images = rng.integers(0, 256, (48, 16, 16, 3)).astype(np.uint8)
    images[4] = images[3]
    overrides = TINY | {
        "data.val": 0.25,
        "train.hardest": 0.5,
        "train.hardest_after": 0.2,
        "augment.flip": None,
    }
    whole = train((images, labels), tmp_path / "whole", overrides=overrides)
    options = {"out": tmp_path / "run", "overrides": TINY | overrides}
    with seewhy.training_events((images, labels), "regularized-cnn", **options) as events:
        next(event for event in events if isinstance(event, Epoch))
    other = rng.permutation(48)
    run = train((images[other], labels[other]), resume=True, **options)
    assert same_weights(run.model, whole.model) and run.metrics == whole.metrics
    names = [row["id"] for row in run.rows("splits.csv") if row["split"] == "train"]
    first = [row["id"] for row in whole.rows("splits.csv") if row["split"] == "train"]
    assert names == [f"memory/{other.tolist().index(int(name.split('/')[1]))}" for name in first]


# ------------------------------------------------------------------ more epochs


def test_a_finished_run_is_trained_on_and_its_model_kept(photos, tmp_path):
    run = train(photos, tmp_path / "run")
    seewhy.evaluate(run.path, photos, "test")
    before = run.model.read_bytes()
    seen = []
    again = seewhy.train(
        resume=True, out=run.path, overrides={"train.epochs": 4}, on_event=seen.append
    )
    assert [event.epoch for event in seen if isinstance(event, Epoch)] == [3, 4]
    assert "goes on after epoch 2, to epoch 4" in notes(seen)
    assert [row["epoch"] for row in again.history] == [1, 2, 3, 4]
    assert again.config["recipe"]["train"]["epochs"] == 4
    assert (
        (run.path / "epochs-2" / "model.safetensors").read_bytes()
        == before
        != run.model.read_bytes()
    )
    assert "test" not in run.metrics, "those were of the earlier model"
    seewhy.evaluate(run.path, photos, "test")
    assert run.metrics["test"]["reading"] == 2
    kinds = [type(event).__name__ for event in again.events]
    assert kinds.count("RunFinished") == 1 and kinds[-1] == "RunFinished"
    seewhy.train(resume=True, out=run.path, on_event=seen.append)
    assert seen[-1].note == "nothing to resume"


def test_a_run_that_is_trained_on_may_be_stopped_and_loses_nothing(photos, tmp_path):
    out = train(photos, tmp_path / "run").path
    before = Run(out).model.read_bytes()
    with seewhy.training_events(resume=True, out=out, overrides={"train.epochs": 4}) as events:
        next(event for event in events if isinstance(event, Epoch))
    assert Run(out).model.read_bytes() == before
    assert len(json.loads((out / "metrics.json").read_text())) == 1
    seewhy.report(out)  # of the model, whatever the epochs that came since
    with pytest.raises(UsageError, match=r"train\.epochs=4, not 9"):
        seewhy.train(resume=True, out=out, overrides={"train.epochs": 9})
    resumed = seewhy.train(resume=True, out=out)
    assert len(resumed.history) == 4
    whole = tmp_path / "whole"
    train(photos, whole)
    seewhy.train(resume=True, out=whole, overrides={"train.epochs": 4})
    assert same_weights(resumed.model, Run(whole).model)


def test_the_hardest_images_are_chosen_again_where_other_epochs_have_them(photos, tmp_path):
    """Of ten epochs the last seven had the hardest alone, of thirteen the last nine."""
    hardest = {"train.hardest": 0.25, "train.batch_size": 4, "train.epochs": 10}
    out = train(photos, tmp_path / "run", overrides=hardest).path
    longer = {"train.epochs": 13}
    with seewhy.training_events(resume=True, out=out, overrides=longer) as events:
        next(event for event in events if isinstance(event, Step) and event.step > 36)
    assert len(seewhy.train(resume=True, out=out).history) == 13
    whole = train(photos, tmp_path / "whole", overrides=hardest)
    again = seewhy.train(resume=True, out=whole.path, overrides=longer)
    assert weights_after(again) == weights_after(Run(out))


def test_the_rate_of_a_schedule_that_had_ended_is_said(photos, tmp_path):
    ending = {"train.schedule": "cosine"}
    out = train(photos, tmp_path / "run", overrides=ending).path
    seen = []
    seewhy.train(resume=True, out=out, overrides={"train.epochs": 4}, on_event=seen.append)
    assert "cosine schedule now spans all of them" in notes(seen)
    assert "goes on at 0.0005, where it had ended at 0" in notes(seen)


def test_a_run_is_resumed_whatever_its_recipe_says_of_itself(photos, tmp_path):
    recipe = tmp_path / "mine.yaml"
    for about in ("in four minutes", "in five minutes"):
        recipe.write_text(f"about: {about}\nextends: regularized-cnn\n")
        run = train(photos, tmp_path / "run", recipe, resume=True)
    assert run.config["recipe"]["about"] == "in four minutes" and len(run.history) == 2


def test_patience_and_fewer_epochs_do_not_train_on(photos, tmp_path):
    patient = {"train.epochs": 9, "train.patience": 1, "train.lr": 1e-9}
    out = train(photos, tmp_path / "run", overrides=patient).path
    done = len(Run(out).history)
    assert done < 9
    for fewer in ({"train.epochs": 1}, {"train.epochs": 50}):
        with pytest.raises(UsageError, match="would not have trained it longer"):
            seewhy.train(resume=True, out=out, overrides=fewer)
    seewhy.train(resume=True, out=out, overrides={"train.patience": 2})
    assert len(Run(out).history) > done


def test_more_epochs_of_a_last_layer_alone_are_refused_with_what_would_help(photos, tmp_path):
    start = train(photos, tmp_path / "start")
    last_layer = {"train.unfreeze": "none"}
    out = train(photos, tmp_path / "run", init=start.path, overrides=last_layer).path
    with pytest.raises(UsageError, match=r"layer is fitted.*another run with --train.unfreeze all"):
        seewhy.train(resume=True, out=out, overrides={"train.epochs": 9})


def weights_after(run):
    """The bytes of the weights after the run's last step, whichever epoch it keeps."""
    path = max(run.checkpoints.glob("step-*"), key=lambda path: int(path.name[5:]))
    return {k: v.numpy().tobytes() for k, v in load_file(path / "state.safetensors").items()}


def test_a_last_epoch_that_the_time_limit_ended_goes_on_to_the_same_bits(photos, tmp_path):
    whole = train(photos, tmp_path / "whole", overrides={"train.epochs": 1})
    limit = {"train.epochs": 1, "train.time_limit": 1e-9}
    out = train(photos, tmp_path / "run", overrides=limit).path
    with pytest.raises(UsageError, match=r"1 epoch.*\(time limit of 2e-09 s reached\)"):
        seewhy.train(resume=True, out=out, overrides={"train.time_limit": 2e-9})
    seen = []
    longer = {"train.time_limit": 1e6}
    again = seewhy.train(resume=True, out=out, overrides=longer, on_event=seen.append)
    assert "goes on in epoch 1, which the time limit had ended; its rest is epoch 2" in notes(seen)
    assert [row["epoch"] for row in again.history] == [1, 2]
    last = [event for event in seen if isinstance(event, Step)][-1]
    assert last.step == last.total_steps
    assert again.history[-1]["lr"] == whole.history[-1]["lr"]
    assert weights_after(again) == weights_after(whole)
    seewhy.train(resume=True, out=out, on_event=seen.append)
    assert seen[-1].note == "nothing to resume"


def test_without_checkpoints_a_finished_run_stays_as_it_is(photos, tmp_path):
    out = train(photos, tmp_path / "run").path
    shutil.rmtree(out / "checkpoints")
    with pytest.raises(UsageError, match=r"train\.epochs=2, not 4"):
        seewhy.train(resume=True, out=out, overrides={"train.epochs": 4})


# ------------------------------------------------------------------ fine-tuning


def test_what_a_fine_tuned_run_used_is_in_its_config_and_its_page(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    narrow = {"model.dropout": 0.25, "data.size": 12}
    start = train(photos, "the start", overrides=narrow)
    tuned = train(photos, "tuned", init="the start", overrides={"data.size": 12})
    recipe = tuned.config["recipe"]
    assert (recipe["data"]["size"], recipe["model"]["dropout"]) == (12, 0.25)
    assert tuned.config["init_model"] == "the start"
    page = seewhy.report(tuned).read_text()
    assert "--init &#39;the start&#39;" in page or "--init 'the start'" in page
    with pytest.raises(UsageError, match=r"model\.dropout=0\.5 has no effect with --init.*0\.25"):
        train(photos, "other", init="the start", overrides={**narrow, "model.dropout": 0.5})
    seen = []
    seewhy.train(resume=True, out="tuned", on_event=seen.append)
    assert seen[-1].note == "nothing to resume"
    assert start.config["init_model"] is None


def test_a_run_fine_tuned_before_its_settings_were_stored_is_resumed(photos, tmp_path):
    start = train(photos, tmp_path / "start", overrides={"data.size": 12})
    tuned = train(photos, tmp_path / "tuned", init=start.path, overrides={"data.size": 12})
    config = tuned.config
    del config["init_model"]
    config["recipe"]["data"]["size"] = 16  # the recipe's own, which had no effect
    tuned.write_config(config)
    seen = []
    train(photos, tuned.path, init=start.path, resume=True, on_event=seen.append)
    assert isinstance(seen[-1], RunFinished) and seen[-1].note == "nothing to resume"
    with pytest.raises(UsageError, match="name its file with --init"):
        seewhy.train(resume=True, out=tuned.path)


def test_a_network_of_ones_own_is_resumed_with_it(photos, tmp_path):
    out = tmp_path / "run"
    with seewhy.training_events(
        photos, "regularized-cnn", out=out, overrides=QUICK, model=TinyNet()
    ) as events:
        next(event for event in events if isinstance(event, Step))
    assert seewhy.train(resume=True, out=out, model=TinyNet()).finished


@pytest.mark.parametrize("option", ["model.name", "model.weights"])
def test_options_of_networks_by_name_are_refused_beside_a_network(photos, tmp_path, option):
    with pytest.raises(UsageError, match=f"{option} has no effect on a network of your own"):
        train(photos, tmp_path / "run", model=TinyNet(), overrides={option: "resnet18"})
    assert not (tmp_path / "run").exists()


def test_a_network_that_does_not_fit_is_refused_before_anything_is_written(photos, tmp_path):
    with pytest.raises(UsageError, match=r"model= gives cannot be trained: .*shape \(2, 10\)"):
        train(photos, tmp_path / "run", model=TinyNet(10))
    assert not (tmp_path / "run").exists()


def test_a_network_of_ones_own_is_not_taken_for_the_pretrained_one_of_a_recipe(photos, tmp_path):
    alone = {"train.unfreeze": None, "train.freeze": None}
    with pytest.raises(UsageError, match=r"train\.unfreeze has no effect on random weights"):
        train(photos, tmp_path / "run", "transfer", model=TinyNet(), overrides=alone)
    steps = {"train.unfreeze": "all", "train.freeze": None, "train.epochs": 1}
    run = train(photos, tmp_path / "run", "transfer", model=TinyNet(), overrides=steps)
    assert [row["epoch"] for row in run.history] == [1]
