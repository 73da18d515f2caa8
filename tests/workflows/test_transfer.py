"""Transfer learning: what is trained, for how long, by which recipe, and that it can be resumed."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import QUICK, TinyNet, same_weights, write_folder

import seewhy
from seewhy.config.networks import NETWORKS
from seewhy.config.recipe import load_recipe
from seewhy.config.training import TrainConfig
from seewhy.data import sources
from seewhy.errors import MemoryLimitError, UsageError
from seewhy.evaluation.metrics import score
from seewhy.events import Epoch, Note
from seewhy.inference import bundle
from seewhy.inference.locate import find_model
from seewhy.models.pretrained import read_weights
from seewhy.workflows import suited, transfer
from seewhy.workflows.suited import TINY, suited_recipe

SMALL: dict[str, Any] = {"data.size": 48, "model.stem": "imagenet", "train.amp": "fp32"}
ALL = {**SMALL, "train.unfreeze": "all", "train.epochs": 2, "train.keep": "last"}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("data") / "pictures", count=12, size=80)


@pytest.fixture(scope="module")
def frozen(
    pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[seewhy.Run, list[Any]]:
    """A run of the recipe as it stands on few images, and its events."""
    events: list[Any] = []
    out = tmp_path_factory.mktemp("runs") / "run"
    return seewhy.train(
        pictures, "transfer", out=out, overrides=SMALL, on_event=events.append
    ), events


@pytest.fixture(scope="module")
def whole(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> seewhy.Run:
    """A run that trains all layers."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return seewhy.train(pictures, "transfer", out=out, overrides=ALL)


def notes(events: list[Any]) -> str:
    return "\n".join(event.text for event in events if isinstance(event, Note))


def test_with_few_images_the_last_layer_alone_is_trained(
    frozen: tuple[seewhy.Run, list[Any]],
) -> None:
    run, events = frozen
    assert "training images are few: the last layer alone is trained" in notes(events)
    assert "the best in a cross-validation within train, accuracy 100.0%" in notes(events)
    assert [event.epoch for event in events if isinstance(event, Epoch)] == [0]
    assert [row["epoch"] for row in run.history] == [0]
    assert run.config["recipe"]["train"]["unfreeze"] is None
    network = bundle.load(run.model).network
    weights = read_weights("efficientnet_lite0", "imagenet").tensors
    kept = weights["blocks.6.0.conv_pwl.weight"].half().float()
    assert torch.equal(network.state_dict()["blocks.6.0.conv_pwl.weight"], kept)
    assert run.config["weights"] == read_weights("efficientnet_lite0", "imagenet").sha256


def test_its_bundle_is_an_ordinary_one(
    frozen: tuple[seewhy.Run, list[Any]], pictures: Path
) -> None:
    run, _ = frozen
    answer = seewhy.load(run.path).predict([next((pictures / "ant").iterdir())])
    assert answer.classes[answer.predicted[0]] == "ant"
    assert run.metrics["val"]["accuracy"]["value"] == 1.0
    seewhy.explain(
        run,
        images=[next((pictures / "ant").iterdir())],
        out=pictures.parent / "explained",
        check=False,
    )


def test_images_of_no_group_are_not_kept_together_in_the_cross_validation(
    pictures: Path, tmp_path: Path
) -> None:
    grouped = {**SMALL, "data.group_from": r"ant/00([01])\.png"}
    run = seewhy.train(pictures, "transfer", out=tmp_path / "run", overrides=grouped)
    assert "the best in a cross-validation within train" in notes(run.events or [])


def test_a_second_training_computes_no_features(
    frozen: tuple[seewhy.Run, list[Any]],
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        transfer.FrozenFeatures, "_of_batch", lambda *_: pytest.fail("features were computed again")
    )
    again = seewhy.train(pictures, "transfer", out=tmp_path / "again", overrides=SMALL)
    assert same_weights(frozen[0].model, again.model)


class Scaled(TinyNet):
    """A network whose logits are a tenth of what its last layer gives."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) / 10


class Mapped(torch.nn.Module):
    """A network whose last layer is a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.classes = torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classes(self.conv(x).relu()).mean((2, 3))


class Tempered(TinyNet):
    """A network whose logits are a bounded function of what its last layer gives."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).tanh()


HEAD_ALONE = {**QUICK, "views": ["identity", "flip"], "train.unfreeze": None}


@pytest.mark.parametrize("make", [None, Scaled])
def test_a_last_layer_without_bias_or_with_scaled_logits_is_fitted_as_measured(
    make: Any, pictures: Path, tmp_path: Path
) -> None:
    start: str | Path = "fast"  # whose last layer has no bias, and gives nine times the logits
    if make is not None:
        changes = {**QUICK, "train.epochs": 1}
        start = seewhy.train(pictures, out=tmp_path / "start", overrides=changes, model=make()).path
    changes = HEAD_ALONE if make else {**HEAD_ALONE, "data.size": 32}
    run = seewhy.train(
        pictures,
        "thumbnails",
        init=start,
        out=tmp_path / "run",
        overrides=changes,
        model=make() if make else None,
    )
    (row,) = run.history
    assert row["val_accuracy"] == 1.0
    stored = seewhy.Predictions.from_parquet(run.predictions("val"))
    assert row["val_loss"] == pytest.approx(score("loss", replace(stored, temperature=1)), rel=0.02)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Mapped, "this network has no torch.nn.Linear"),
        (Tempered, "its logits are not the 3 outputs of its last torch.nn.Linear, linear, times"),
    ],
)
def test_a_last_layer_that_cannot_be_fitted_alone_is_refused_in_a_line(
    make: Any, words: str, pictures: Path, tmp_path: Path
) -> None:
    changes = {**QUICK, "train.epochs": 1}
    start = seewhy.train(pictures, out=tmp_path / "start", overrides=changes, model=make())
    with pytest.raises(UsageError, match=words):
        seewhy.train(
            pictures, init=start.path, out=tmp_path / "run", overrides=HEAD_ALONE, model=make()
        )
    assert not (tmp_path / "run").exists()


def test_images_smaller_than_those_of_the_weights_are_enlarged(
    pictures: Path, tmp_path: Path
) -> None:
    events: list[Any] = []
    changes = {"data.size": 96, "train.amp": "fp32"}
    out = tmp_path / "run"
    run = seewhy.train(pictures, "transfer", out=out, overrides=changes, on_event=events.append)
    assert "these have 80, enlarged to 96: try" in notes(events)
    assert run.config["recipe"]["model"]["enlarge"] == 96
    stored = bundle.load(run.model)
    assert (stored.rule.size, stored.network.inner_size) == (80, 96)
    assert run.config["recipe"]["train"]["progressive"] is None


@pytest.mark.parametrize(
    ("side", "changes", "expected"),
    [
        *((80, {}, 224), (223, {}, 224), (224, {}, None), (64, {}, None)),
        *((80, {"data.size": 80}, None), (80, {"data.size": 160}, 160)),
        *((80, {"model.enlarge": 128}, 128), (80, {"model.enlarge": None}, None)),
        (80, {"model.name": "efficientnet_lite1"}, 240),
    ],
)
def test_to_which_side_images_are_enlarged(
    side: int, changes: dict[str, Any], expected: int | None, tmp_path: Path
) -> None:
    recipe = load_recipe("transfer", changes)
    assert transfer.enlarging(recipe, side, None, {}).model.enlarge == expected  # type: ignore[attr-defined]
    begun = seewhy.Run(tmp_path)
    stored = {"data": {}, "train": {}, "model": {"enlarge": None}}
    begun.write_config({"recipe": stored, "data": "photos"})
    own = recipe.model.enlarge  # type: ignore[attr-defined]
    assert transfer.enlarging(recipe, side, begun, {}).model.enlarge == own  # type: ignore[attr-defined]


@pytest.mark.long
def test_features_of_enlarged_images_are_not_those_of_the_images(
    pictures: Path, tmp_path: Path
) -> None:
    changes = {**SMALL, "data.size": 40}
    plain = seewhy.train(pictures, "transfer", out=tmp_path / "plain", overrides=changes)
    enlarged = seewhy.train(
        pictures, "transfer", out=tmp_path / "enlarged", overrides={**changes, "model.enlarge": 48}
    )
    assert not same_weights(plain.model, enlarged.model)


def test_all_layers_go_on_from_the_last_layer_and_resume_bit_for_bit(
    whole: seewhy.Run, pictures: Path, tmp_path: Path
) -> None:
    assert [row["epoch"] for row in whole.history] == [0, 1, 2]
    with seewhy.training_events(
        pictures, "transfer", out=tmp_path / "left", overrides=ALL
    ) as events:
        for event in events:
            if isinstance(event, Epoch) and event.epoch == 1:
                break
    left = seewhy.train(out=tmp_path / "left", resume=True)
    assert [row["epoch"] for row in left.history] == [0, 1, 2]
    assert same_weights(whole.model, left.model)


@pytest.mark.parametrize(
    ("own", "limit", "asked", "epochs"),
    [
        (None, None, 4, 4),
        (None, None, None, 2),  # not the recipe's
        (9.0, 9.0, 4, 2),  # the same command again, where the limit has left 2
        (9.0, 99.0, 4, 4),
    ],
)
def test_a_run_keeps_the_epochs_that_it_decided_unless_others_are_asked_for(
    own: float | None,
    limit: float | None,
    asked: int | None,
    epochs: int,
    pictures: Path,
    tmp_path: Path,
) -> None:
    begun = seewhy.Run(tmp_path)
    train = {"unfreeze": "all", "epochs": 2, "time_limit": own}
    begun.write_config({"recipe": {"data": {}, "train": train}, "data": "photos"})
    overrides = {"train.time_limit": limit} | ({"train.epochs": asked} if asked else {})
    recipe = load_recipe("transfer", overrides)
    splits, network = seewhy.load_data(pictures), torch.nn.Linear(1, 1)
    decided, _ = transfer.decide(recipe, splits, network, begun, overrides)
    assert (decided.train.unfreeze, decided.train.epochs) == ("all", epochs)


def test_batch_norms_keep_their_statistics_and_early_layers_move_less(whole: seewhy.Run) -> None:
    network, before = (
        bundle.load(whole.model).network.state_dict(),
        read_weights("efficientnet_lite0", "imagenet").tensors,
    )
    assert torch.equal(network["bn1.running_mean"], before["bn1.running_mean"])

    def moved(name: str) -> float:
        return float((network[name] - before[name]).norm() / before[name].norm())

    assert 0 < moved("blocks.0.0.conv_pw.weight") < moved("conv_head.weight")


@pytest.mark.long
def test_frozen_blocks_keep_their_weights_and_the_next_one_learns(
    frozen: tuple[seewhy.Run, list[Any]], pictures: Path, tmp_path: Path
) -> None:
    changes = {**ALL, "train.freeze": 0.4}
    run = seewhy.train(pictures, "transfer", out=tmp_path / "run", overrides=changes)
    after, before = (bundle.load(one.model).network.state_dict() for one in (run, frozen[0]))
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    blocks = {name.split(".")[1] for name in changed if name.startswith("blocks.")}
    assert blocks == {"3", "4", "5", "6"} and "conv_stem.weight" not in changed


@pytest.mark.parametrize(
    ("limit", "images", "unfreeze", "epochs", "text"),
    [
        (
            None,
            30,
            "all",
            10,
            r"all layers are trained for 10 epochs, without a --train\.time_limit",
        ),
        (1000.0, 30, "all", 10, r"then all layers for 10 epochs of about 60 s"),
        (
            290.0,
            30,
            "all",
            4,
            r"then all layers for 4 epochs of about 60 s, of --train.time_limit 290 s",
        ),
        (
            150.0,
            30,
            None,
            10,
            r"the last layer alone is trained: an epoch of all layers takes about 60 s",
        ),
    ],
)
def test_the_budget_decides_how_long_all_layers_are_trained(
    limit: float | None,
    images: int,
    unfreeze: str | None,
    epochs: int,
    text: str,
    pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    splits = seewhy.load_data(pictures)
    n = len(splits.train)
    monkeypatch.setattr(transfer, "FEW", 10)
    seconds = (
        40 / (2 * n + len(splits.val)),
        (60 - 40 * len(splits.val) / (2 * n + len(splits.val))) / n,
    )
    monkeypatch.setattr(transfer, "_seconds", lambda *_: seconds)
    recipe = load_recipe("transfer", {"train.time_limit": limit})
    decided, lines = transfer.decide(recipe, splits, torch.nn.Linear(1, 1), None, {})
    assert (decided.train.unfreeze, decided.train.epochs) == (unfreeze, epochs)
    assert re.search(text, lines[0])


def test_no_budget_ends_while_the_rate_still_rises(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    splits = seewhy.load_data(pictures)
    monkeypatch.setattr(transfer, "FEW", 10)
    monkeypatch.setattr(transfer, "_seconds", lambda *_: (0.0, 1 / len(splits.train)))
    for warmup, unfreeze in ((3, None), (2.5, "all")):
        fields = {"train.time_limit": 3.1, "train.schedule": "cosine", "train.warmup": warmup}
        decided, _ = transfer.decide(
            load_recipe("transfer", fields), splits, torch.nn.Linear(1, 1), None, {}
        )
        assert decided.train.unfreeze == unfreeze
        assert TrainConfig.model_validate(decided.train.model_dump()) == decided.train


@pytest.mark.parametrize("most", [8, 1])
def test_the_budget_is_measured_by_a_batch_that_fits_into_memory(
    most: int, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hungry(torch.nn.Conv2d):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sizes.append(len(x))
            if len(x) > most:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return super().forward(x)

    sizes: list[int] = []
    monkeypatch.setattr(transfer, "FEW", 10)
    recipe = load_recipe("transfer", {"train.device": "cpu", "train.amp": "fp32"})
    splits = seewhy.load_data(pictures)
    network, before = Hungry(3, 1, 1), torch.get_rng_state()
    if most == 1:
        with pytest.raises(MemoryLimitError, match="2 images at a time"):
            transfer.decide(recipe, splits, network, None, {})
    else:
        decided, _ = transfer.decide(recipe, splits, network, None, {})
        assert decided.train.epochs == recipe.train.epochs and sizes[:4] == [32, 16, 8, 8]
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "changes"),
    [("unfreeze", {}), ("freeze", {"train.unfreeze": "all", "train.freeze": 0.4})],
)
def test_random_weights_cannot_be_unfrozen_or_frozen(
    name: str, changes: dict[str, Any], pictures: Path, tmp_path: Path
) -> None:
    changes = {**SMALL, "model.weights": None, "train.freeze": None, **changes}
    with pytest.raises(
        UsageError, match=rf"train\.{name} has no effect on random weights: set model\.weights"
    ):
        seewhy.train(pictures, "transfer", out=tmp_path / "run", overrides=changes)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("size", "many", "note"),
    [
        (80, 18, "recipe transfer: photographs, 80 pixels on the shorter side"),
        (32, 20, "recipe thumbnails: 18 images of 32 pixels"),
        (32, 18, ""),
    ],
)
def test_the_recipe_suits_size_and_number_of_the_images(
    size: int, many: int, note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suited, "MANY", many)
    events: list[Any] = []
    data = write_folder(tmp_path / "data", count=6, size=size)
    with seewhy.training_events(
        data, out=tmp_path / "run", overrides={"train.epochs": 1}, on_event=events.append
    ):
        pass
    assert note in notes(events)
    assert ("recipe " in notes(events)) == bool(note)


def test_the_files_are_listed_once_to_choose_a_recipe_and_to_read_them(tmp_path, monkeypatch):
    listed: list[Any] = []
    find = sources.find
    monkeypatch.setattr(sources, "find", lambda *args: listed.append(args[0]) or find(*args))
    data = write_folder(tmp_path / "data", count=6, size=32)
    for resume in (False, True):
        with seewhy.training_events(data, out=tmp_path / "run", resume=resume):
            pass
    assert listed == [data, data]


def test_a_table_in_memory_which_compares_cell_by_cell_is_no_name(tmp_path: Path) -> None:
    paths = sorted(write_folder(tmp_path / "data", count=4, size=80).rglob("*.png"))
    cells = {"path": list(map(str, paths)), "label": [path.parent.name for path in paths]}

    class Table:
        columns = ("path", "label")
        __len__ = cells["path"].__len__
        __getitem__ = cells.__getitem__

        def __eq__(self, other: object) -> Any:
            return np.zeros((12, 2), bool)

    assert suited_recipe(Table(), None, lambda _: None) == "transfer"


@pytest.mark.parametrize(
    ("own", "says", "chosen"),
    [
        ("frozen", "recipe transfer: that of ", "transfer"),
        ("fast", "recipe thumbnails: fast makes too few steps with so few images", "thumbnails"),
        ("best", "recipe thumbnails: best makes too few steps with so few images", "thumbnails"),
        ("mine", "recipe mine: that of ", "mine"),
        ("averaged", "recipe thumbnails: that of ", "thumbnails"),
    ],
)
def test_a_model_is_fine_tuned_by_its_own_recipe(
    own: str, says: str, chosen: str, frozen: Any, pictures: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    start: str | Path = own if own in ("fast", "best") else frozen[0].path
    if own == "averaged":
        facts = {"recipe": {"name": "average", "data": {}}}
        start = tmp_path / "averaged.safetensors"
        bundle.save(replace(bundle.load(find_model("fast")), facts=facts), start)
    if own == "mine":
        start = tmp_path / "own"
        recipe = tmp_path / "mine.yaml"
        recipe.write_text("extends: digits\ntrain: {epochs: 1, lr: 0.0625}\n")
        seewhy.train(pictures, recipe, out=start)
    events: list[Any] = []
    changes = {} if own == "frozen" else {"train.epochs": 1}
    found: list[Any] = []
    monkeypatch.setattr(
        "seewhy.workflows.request.find_model", lambda name: found.append(name) or find_model(name)
    )
    run = seewhy.train(
        pictures,
        init=start,
        out=tmp_path / "run",
        overrides=changes,
        on_event=events.append,
    )
    assert says in notes(events)
    assert found == [start]  # once: the alias of a registry may be moved between two readings
    assert run.config["recipe"]["name"] == chosen
    assert (run.config["recipe"]["train"]["lr"] == 0.0625) == (own == "mine")
    tuned, before = seewhy.load(run.path), seewhy.load(start)
    assert tuned.rule == before.rule
    again = seewhy.train(pictures, init=start, out=run.path, resume=True, overrides=changes)
    assert again.path == run.path


def test_a_network_of_the_users_choice_is_trained_from_nothing() -> None:
    images = np.random.default_rng(0).integers(0, 255, (20, 80, 80, 3), np.uint8)
    data = (images, ["a", "b"] * 10)
    assert suited_recipe(data, {"model.name": "resnet18"}, lambda _: None) == "photos"
    assert suited_recipe(data, {"model.weights": None}, lambda _: None) == "photos"
    # These lack the width that photos sets.
    for lacks_width in ("efficientnet_lite1", "vit_tiny", "timm/convnext_atto"):
        assert suited_recipe(data, {"model.name": lacks_width}) == "transfer"
        assert suited_recipe(data, {"model.name": lacks_width, "model.weights": None}) == "photos"
    assert suited_recipe(data, {"train.epochs": 3}, lambda _: None) == "transfer"


@pytest.mark.parametrize("side", [32, 80])
@pytest.mark.parametrize("name", [{}, {"model.name": "efficientnet_lite1"}])
def test_named_weights_are_those_of_transfer_whatever_the_images(side: int, name: Any) -> None:
    images = np.random.default_rng(0).integers(0, 255, (20, side, side, 3), np.uint8)
    data = (images, ["a", "b"] * 10)
    assert suited_recipe(data, {**name, "model.weights": "imagenet"}) == "transfer"


def test_options_of_the_pretrained_network_keep_it() -> None:
    images = np.random.default_rng(0).integers(0, 255, (20, 80, 80, 3), np.uint8)
    data = (images, ["a", "b"] * 10)
    assert suited_recipe(data, {"model.enlarge": 224, "model.dropout": 0.1}) == "transfer"
    assert suited_recipe(data, {"model.attention": "se"}) == "photos"


def test_images_too_small_for_the_network_of_thumbnails_are_trained_by_digits() -> None:
    labels = ["a", "b"] * 10
    for side, recipe in ((TINY, "digits"), (TINY + 1, "thumbnails")):
        images = np.random.default_rng(0).integers(0, 255, (20, side, side, 3), np.uint8)
        assert suited_recipe((images, labels)) == recipe
    assert NETWORKS["speednet"].minimum_size == TINY + 1


@pytest.mark.parametrize("network", sorted(set(NETWORKS) - {"speednet"}))
def test_another_network_on_thumbnails_gets_a_recipe_that_fits_it(network: str) -> None:
    overrides = {"model.name": network}
    assert (
        load_recipe(suited_recipe("cifar10", overrides, lambda _: None), overrides).model.name
        == network
    )


def test_that_few_images_train_the_last_layer_alone_is_said_once_of_folds(tmp_path: Path) -> None:
    data = write_folder(tmp_path, classes=("ant", "bee"), count=9)

    def notes(**changes: Any) -> tuple[str, ...]:
        recipe = load_recipe("transfer", {"data.size": 16, **changes})
        splits = seewhy.load_data(data, recipe.data)
        return transfer.decide(recipe, splits, torch.nn.Identity(), None, {})[1]

    assert "are few: the last layer alone is trained" in notes()[0]
    assert notes(**{"data.folds": 3, "data.fold": 0}) and not notes(
        **{"data.folds": 3, "data.fold": 1}
    )
