"""How a network is trained: one frozen record of typed fields."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from seewhy.config.names import METRICS
from seewhy.config.optimisers import OPTIMISERS, Optimiser
from seewhy.config.schedules import SCHEDULES
from seewhy.config.variants import Variant, chosen, flat


@flat(optimizer=OPTIMISERS, schedule=SCHEDULES)
class TrainConfig(BaseModel):
    """The training section of a recipe; `None` means off."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    epochs: int = Field(10, ge=1, le=100_000, description="passes over the training pictures")
    batch_size: int = Field(128, ge=1, le=65_536, description="pictures a step")
    seed: int = Field(0, ge=0, lt=2**63, description="fixes weights, order, augmentation, dropout")

    optimizer: str = Field(
        "sgd", description="sgd has Nesterov momentum; adamw decouples weight decay from the step"
    )
    lr: float = Field(0.1, gt=0, description="highest learning rate")
    weight_decay: float | None = Field(
        None,
        gt=0,
        le=1,
        description="L2 on kernels and matrices (not on biases and norms), as added to the gradient: "
        "twice the factor that Keras multiplies the squares by",
    )
    weight_decay_on: Literal["kernels"] | None = Field(
        None, description="kernels: `weight_decay` on convolutions alone, not on matrices"
    )
    bias_lr: float | None = Field(
        None, gt=0, le=1000, description="learning rate of biases, as a multiple of `lr`"
    )
    clip: float | None = Field(None, gt=0, description="largest norm of the whole gradient")

    schedule: str = Field(
        "cosine",
        description="learning rate over the run; plateau lowers it when `monitor` stops improving; "
        "range tests rates up to `lr` (see `seewhy find-lr`)",
    )

    label_smoothing: float | None = Field(None, gt=0, lt=1, description="share spread evenly")
    class_weights: Literal["balanced"] | None = Field(
        None, description="weigh each class by the inverse of its frequency"
    )
    sampling: Literal["balanced"] | None = Field(
        None, description="show every class equally often, repeating pictures of the rare ones"
    )
    dropout_schedule: tuple[Annotated[float, Field(ge=0, le=0.95)], ...] | None = Field(
        None,
        min_length=1,
        description="rates (0 to 0.95) of all dropout layers over the run, each for an equal part of the "
        "epochs; as many as epochs: one each",
    )
    ema: float | None = Field(
        None, gt=0, lt=1, description="decay a step of the averaged weights that are then evaluated"
    )

    monitor: str = Field("accuracy", description="validation metric that picks the best epoch")
    monitor_mode: Literal["max", "min"] | None = Field(
        None, description="which direction is better; the metric's own where not given"
    )
    keep: Literal["best", "last"] = Field("best", description="the epoch whose weights are kept")
    patience: int | None = Field(
        None, ge=1, description="stop after so many epochs without a better `monitor`"
    )
    time_limit: float | None = Field(None, gt=0, description="stop after so many seconds")

    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="where to compute")
    amp: Literal["auto", "bf16", "fp32"] = Field(
        "auto", description="number format of a step; auto is bf16 where the processor gains by it"
    )
    gradient_norms: int | None = Field(
        None, ge=1, description="steps from one record of each layer's gradient norm to the next"
    )
    compile: bool = Field(
        False, description="torch.compile the training steps: slower at first, and on most CPUs"
    )
    checkpoint_seconds: float = Field(
        60, gt=0, description="save at least so often, besides at the end of each epoch"
    )

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
        if self.compile and self.dropout_schedule is not None:
            raise ValueError(
                "compile would start anew for each rate of dropout_schedule: choose one"
            )
        if self.class_weights and self.sampling:
            raise ValueError("class_weights and sampling both balance the classes: choose one")
        return self

    @property
    def optimiser_options(self) -> Optimiser:
        """The options of the named optimiser, its defaults filled in."""
        return chosen(self, "optimizer", OPTIMISERS)

    @property
    def schedule_options(self) -> Variant:
        """The options of the named schedule, its defaults filled in."""
        return chosen(self, "schedule", SCHEDULES)

    @property
    def better(self) -> Literal["max", "min"]:
        """Which direction of `monitor` is better."""
        return self.monitor_mode or METRICS[self.monitor]
