"""Variants: one record each, spelled flat; what is foreign to the chosen one is refused by name."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from seewhy.config.networks import NETWORKS, ModelConfig
from seewhy.config.optimisers import OPTIMISERS, AdamW, Sgd
from seewhy.config.recipe import load_recipe
from seewhy.config.schedules import SCHEDULES, Cosine, Plateau
from seewhy.config.training import TrainConfig
from seewhy.config.variants import Variant, flat
from seewhy.errors import UsageError

SECTIONS = [(TrainConfig, OPTIMISERS), (TrainConfig, SCHEDULES), (ModelConfig, NETWORKS)]


def test_the_chosen_variant_is_a_record_with_its_defaults() -> None:
    config = TrainConfig(optimizer="sgd", schedule="plateau", plateau_patience=3)
    assert config.optimiser_options == Sgd(momentum=0.9)
    assert config.schedule_options == Plateau(plateau_factor=0.5, plateau_patience=3)
    config = TrainConfig(optimizer="adamw", lr=0.1, final_lr=0.01, warmup=2)
    assert config.optimiser_options == AdamW()
    assert config.schedule_options == Cosine(warmup=2, final_lr=0.01)
    model = ModelConfig(name="photo_cnn", dropout=0.1)
    assert model.options.model_dump() == {
        "dropout": 0.1,
        "batch_norm": True,
        "batch_norm_momentum": None,
    }


@pytest.mark.parametrize(("section", "registry"), SECTIONS)
def test_a_flat_name_has_one_meaning_and_range_in_all_variants(section: Any, registry: Any) -> None:
    for record in registry.values():
        for name, field in record.model_fields.items():
            flat = section.model_fields[name]
            assert flat.annotation in (field.annotation, field.annotation | None)
            assert flat.metadata == field.metadata and flat.default is None
            assert field.description and flat.description.startswith(field.description)


def test_every_number_of_a_variant_has_bounds() -> None:
    for _, registry in SECTIONS:
        for record in registry.values():
            for field in record.model_fields.values():
                number = any(kind in str(field.annotation) for kind in ("int", "float"))
                assert field.metadata or not number


def test_the_description_says_whose_an_option_is() -> None:
    for section, option, registry in (
        (ModelConfig, "width", NETWORKS),
        (TrainConfig, "momentum", OPTIMISERS),
    ):
        owners = [name for name, record in registry.items() if option in record.model_fields]
        assert owners and str(section.model_fields[option].description).endswith(
            f"({', '.join(owners)})"
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.name": "simple_cnn", "model.width": 2}, "model: width, .* name=simple_cnn, which"),
        (
            {"model.name": "resnet18", "model.stride": 2},
            "stride, channels have no effect .* options are .*width",
        ),
        ({"train.optimizer": "adam"}, "train: momentum, .* have no effect with optimizer=adam"),
        (
            {"train.schedule": "one_cycle", "train.final_lr": 0.1},
            "final_lr has no effect with schedule=one_cycle",
        ),
        (
            {"model.name": "deep_cnn", "model.channels": None, "model.batch_norm_momentum": 0.1},
            "without batch_norm=true",
        ),
        ({"model.name": "resnet8"}, r"model\.name: .*did you mean resnet18\? \(got 'resnet8'\)"),
        ({"train.optimizer": "adamv"}, r"train\.optimizer: .*did you mean adamw?\?"),
        (
            {"train.monitor": "acuracy"},  # codespell:ignore
            r"train\.monitor: .*choose one of accuracy, balanced",
        ),
    ],
)
def test_what_is_foreign_to_the_variant_is_refused_at_parsing(changes: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe("fast", changes)


def test_an_inherited_option_is_cleared_by_none_as_the_message_says() -> None:
    changes = {"train.optimizer": "sgd"}
    message = (
        r"fixed_norm, adamw_lr have no effect .* \(`adamw_lr: none` clears an inherited one\)$"
    )
    with pytest.raises(UsageError, match=message):
        load_recipe("fast", changes)
    cleared = {"train.fixed_norm": None, "train.adamw_lr": None}
    recipe = load_recipe("fast", {**changes, **cleared})
    assert recipe.train.optimiser_options == Sgd(momentum=0.6)


@pytest.mark.parametrize(("section", "registry"), SECTIONS)
def test_sections_and_records_are_closed_and_frozen(section: Any, registry: Any) -> None:
    for kind in (section, *registry.values()):
        with pytest.raises(ValidationError):
            kind(depth=3)
        for name, field in kind.model_fields.items():
            assert field.description
            with pytest.raises(ValidationError):
                setattr(kind(), name, field.default)


def test_infinity_is_out_of_range() -> None:
    with pytest.raises(ValidationError):
        ModelConfig(width=float("inf"))  # type: ignore[call-arg]


def test_a_new_variant_brings_its_fields_to_the_section() -> None:
    class Lion(Variant):
        memory: float = Field(0.5, gt=0, description="share kept")

    @flat(kind={"plain": Variant, "lion": Lion})
    class Toy(BaseModel):
        model_config = ConfigDict(defer_build=True)

        kind: str = "plain"
        last: int = 0

    assert list(Toy.model_fields) == ["kind", "memory", "last"]
    assert Toy(kind="lion", memory=0.1).memory == 0.1  # type: ignore[call-arg,attr-defined]
    for wrong in ({"kind": "tiger"}, {"memory": 0}, {"memory": "much"}):
        with pytest.raises(ValidationError):
            Toy(**wrong)  # type: ignore[arg-type]
