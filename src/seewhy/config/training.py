"""How a network is trained: one frozen record of typed fields."""

import math
import os
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from seewhy.config.names import METRICS
from seewhy.config.optimisers import OPTIMISERS, Optimiser
from seewhy.config.schedules import SCHEDULES
from seewhy.config.variants import Variant, chosen, flat

HARDEST_AFTER = 0.3  # by then a network knows what is easy (docs/log.md)
DISTILL_WEIGHT, DISTILL_TEMPERATURE = 0.9, 4.0  # customary (Tian et al. 2020)


@flat(optimizer=OPTIMISERS, schedule=SCHEDULES)
class TrainConfig(BaseModel):
    """The training section of a recipe; `None` means off."""

    # A model file stores these as JSON, which has no infinite numbers.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, allow_inf_nan=False)

    epochs: int = Field(10, ge=1, le=100_000, description="passes over the training images")
    batch_size: int = Field(128, ge=1, le=65_536, description="images per step")
    accumulate: int | None = Field(
        None,
        ge=2,
        le=65_536,
        description="compute each batch in N micro-batches, whose gradients add up to those of the batch: "
        "less memory, the same step; batch-norm statistics are those of a micro-batch",
    )
    shards: int = Field(
        1,
        ge=1,
        le=1024,
        description="cut each batch into N shards, which are computed one by one or by as many processes, to "
        "the same bits; batch-norm statistics are the mean of the shards'",
    )
    progressive: float | None = Field(
        None,
        ge=0.1,
        lt=1,
        description="progressive resizing: share of the image's side (0.1 to 1) in the first epoch; it grows "
        "to the full side by three quarters of the epochs",
    )
    curriculum: float | None = Field(
        None,
        gt=0,
        le=1,
        description="easy images first: share of the epochs (0 to 1) in which the images used grow from the "
        "easiest quarter of each class to all",
    )
    difficulty: str | None = Field(
        None,
        min_length=1,
        description="the model (a run, a file, a shipped name, A+B) whose loss tells `curriculum` how "
        "difficult an image is",
    )
    hardest: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of the images (0 to 1) that an epoch has after `hardest_after`, a batch at least: "
        "those whose loss was highest when they were last trained on",
    )
    hardest_after: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of the epochs (0 to 1), the first ones, that have all images; "
        f"default {HARDEST_AFTER:g}",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="seeds weights, order, augmentation, dropout")

    optimizer: str = Field(
        "sgd",
        description="sgd has Nesterov momentum; adamw decouples weight decay from the step; muon makes the "
        "steps of kernels and matrices orthogonal, at rates like those of adamw",
    )
    lr: float = Field(0.1, gt=0, description="highest learning rate")
    weight_decay: float | None = Field(
        None,
        gt=0,
        le=1,
        description="L2 on kernels and matrices (not on biases and norms), as added to the gradient: "
        "twice Keras's L2 factor",
    )
    weight_decay_on: Literal["kernels"] | None = Field(
        None, description="kernels: `weight_decay` on convolutions only, not on matrices"
    )
    bias_lr: float | None = Field(
        None, gt=0, le=1000, description="learning rate of biases, as a multiple of `lr`"
    )
    clip: float | None = Field(None, gt=0, description="clip the global gradient norm here")

    unfreeze: Literal["auto", "all"] | None = Field(
        "all",
        description="what of a pretrained network is trained: none fits its last layer to frozen features; "
        "all does this first, then trains all layers; auto chooses by the number of images and `time_limit`",
    )
    layer_decay: float | None = Field(
        None, gt=0, lt=1, description="learning rate of each block, as a multiple of the next one's"
    )
    freeze: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of a pretrained network's blocks (0 to 1), the first ones, that are not trained: "
        "they see what all images have in common, and take most of a step's time",
    )
    freeze_batch_norm: bool = Field(
        False, description="batch norms keep the running mean and variance that they have"
    )

    schedule: str = Field(
        "cosine",
        description="learning rate over the run; plateau lowers it when `monitor` stops improving; "
        "range tests rates up to `lr` (see `seewhy find-lr`)",
    )

    label_smoothing: float | None = Field(None, gt=0, lt=1, description="label-smoothing epsilon")
    teacher: str | None = Field(
        None,
        min_length=1,
        description="distillation: learn also from the answers of this model (a run, a file, a shipped name, "
        "A+B) to the same augmented images; classes are matched by name",
    )
    distill_weight: float | None = Field(
        None,
        gt=0,
        le=1,
        description=f"share of the loss that is the teacher's (0 to 1); default {DISTILL_WEIGHT}",
    )
    distill_temperature: float | None = Field(
        None,
        ge=1,
        le=100,
        description="divides the logits of both before they are compared (1 to 100); the higher, the more "
        f"the improbable classes count; default {DISTILL_TEMPERATURE:g}",
    )
    class_weights: Literal["balanced"] | None = Field(
        None, description="weigh each class by the inverse of its frequency"
    )
    sampling: Literal["balanced"] | None = Field(
        None, description="show every class equally often, repeating images of the rare ones"
    )
    dropout_schedule: tuple[Annotated[float, Field(ge=0, le=0.95)], ...] | None = Field(
        None,
        min_length=1,
        description="rates (0 to 0.95) of all dropout layers over the run, each for an equal share of the "
        "epochs",
    )
    ema: float | None = Field(
        None, gt=0, lt=1, description="decay per step of the averaged weights, which are evaluated"
    )
    swa: float | None = Field(
        None,
        gt=0,
        le=1,
        description="stochastic weight averaging: share of the epochs, the last ones, over whose steps the "
        "weights are averaged (0 to 1); the mean is evaluated, with batch-norm statistics of its own",
    )

    monitor: str = Field("accuracy", description="validation metric that picks the best epoch")
    monitor_mode: Literal["max", "min"] | None = Field(
        None, description="which direction is better; default: that of the metric"
    )
    keep: Literal["best", "last"] = Field("best", description="the epoch whose weights are kept")
    patience: int | None = Field(
        None, ge=1, description="stop after N epochs without a better `monitor`"
    )
    time_limit: float | None = Field(None, gt=0, description="stop after N seconds")

    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where to compute")
    amp: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="number format of a step; auto is bf16 where that is faster"
    )
    device_memory: float | None = Field(
        None,
        gt=0,
        le=1,
        description="largest share of the GPU's memory (0 to 1) that the training takes; where it does not "
        "suffice for a step, the batch is computed in micro-batches",
    )
    gradient_norms: int | None = Field(
        None, ge=1, description="record each layer's gradient norm every N steps"
    )
    compile: bool = Field(
        False, description="torch.compile the training steps: slower at first, and on most CPUs"
    )
    checkpoint_seconds: float = Field(
        60, gt=0, description="save at least this often, and at the end of each epoch"
    )

    @field_validator("teacher", "difficulty", mode="before")
    @classmethod
    def _a_path_is_its_text(cls, value: Any) -> Any:
        return os.fspath(value) if isinstance(value, os.PathLike) else value

    @field_validator("unfreeze", mode="before")
    @classmethod
    def _none_is_a_word_here(cls, value: object) -> object:
        return None if value == "none" else value

    @field_validator("monitor")
    @classmethod
    def _is_a_metric(cls, name: str) -> str:
        if name not in METRICS:
            raise ValueError(f"no such metric: choose one of {', '.join(METRICS)}")
        return name

    @model_validator(mode="after")
    def _every_option_has_an_effect(self) -> Self:
        chosen(self, "optimizer", OPTIMISERS)
        chosen(self, "schedule", SCHEDULES)
        if self.weight_decay_on is not None and self.weight_decay is None:
            raise ValueError("weight_decay_on has no effect without weight_decay")
        if self.accumulate is not None and self.accumulate > self.batch_size:
            raise ValueError(f"accumulate must be at most batch_size, {self.batch_size}")
        if self.shards > 1 and 2 * self.shards > self.batch_size:
            raise ValueError(
                f"shards must be at most half of batch_size, {self.batch_size}: a shard has two images"
            )
        if (self.curriculum is None) != (self.difficulty is None):
            raise ValueError("curriculum and difficulty need each other: set both or neither")
        for name in ("curriculum", "sampling"):
            if self.hardest is not None and getattr(self, name) is not None:
                raise ValueError(f"hardest and {name} both choose images: choose one")
        if self.hardest_after is not None and self.hardest is None:
            raise ValueError(
                "hardest_after has no effect without hardest (`hardest_after: none` clears it)"
            )
        if self.hardest is not None and self.shards > 1:
            raise ValueError(
                "hardest needs the losses of whole batches: set shards to 1, or leave it out"
            )
        if self.compile and self.progressive is not None:
            raise ValueError("compile runs again for each side of progressive: choose one")
        for name in ("distill_weight", "distill_temperature"):
            if getattr(self, name) is not None and self.teacher is None:
                raise ValueError(f"{name} has no effect without teacher (`{name}: none` clears it)")
        if self.compile and self.dropout_schedule is not None:
            raise ValueError("compile runs again for each rate of dropout_schedule: choose one")
        if self.ema is not None and self.swa is not None:
            raise ValueError("ema and swa both average the weights: choose one")
        if self.class_weights and self.sampling:
            raise ValueError("class_weights and sampling both balance the classes: choose one")
        return self

    @property
    def optimiser_options(self) -> Optimiser:
        """The options of the named optimiser, with its defaults."""
        return chosen(self, "optimizer", OPTIMISERS)

    @property
    def schedule_options(self) -> Variant:
        """The options of the named schedule, with its defaults."""
        return chosen(self, "schedule", SCHEDULES)

    @property
    def first_hardest(self) -> int:
        """The number of epochs that have all images, before those with the `hardest` alone."""
        if self.hardest is None:
            return self.epochs
        return max(1, round((self.hardest_after or HARDEST_AFTER) * self.epochs))

    def hardest_of(self, images: int) -> int:
        """How many of the images an epoch with the `hardest` has: a batch at least, so that it has a step."""
        return min(images, max(math.ceil((self.hardest or 1) * images), self.batch_size))

    def ends_with_one(self, images: int) -> bool:
        """Whether the last batch of a training on so many images has a single one."""
        first = self.first_hardest
        total = first * images + (self.epochs - first) * self.hardest_of(images)
        return total % self.batch_size == 1 % self.batch_size

    @property
    def validated(self) -> tuple[str, ...]:
        """The validation metrics that are computed in every epoch."""
        return tuple(dict.fromkeys(("loss", "accuracy", "balanced_accuracy", self.monitor)))

    @property
    def better(self) -> Literal["max", "min"]:
        """Which direction of `monitor` is better."""
        return self.monitor_mode or METRICS[self.monitor]
