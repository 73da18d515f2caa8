"""How a network is trained: one frozen record of typed fields."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

OPTIMIZER_MOMENTUM = 0.9


class TrainConfig(BaseModel):
    """The training section of a recipe; `None` means off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(10, ge=1, le=100_000, description="passes over the training pictures")
    batch_size: int = Field(128, ge=1, le=65_536, description="pictures a step")
    seed: int = Field(0, ge=0, lt=2**63, description="fixes weights, order, augmentation, dropout")

    optimizer: Literal["sgd", "adam", "adamw"] = Field(
        "sgd", description="sgd has Nesterov momentum; adamw decouples weight decay from the step"
    )
    lr: float = Field(0.1, gt=0, description="highest learning rate")
    momentum: float | None = Field(None, ge=0, lt=1, description="sgd only; 0.9 where not given")
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

    schedule: Literal["constant", "cosine", "one_cycle", "plateau", "range"] = Field(
        "cosine",
        description="learning rate over the run; plateau lowers it when `monitor` stops improving; "
        "range tests rates up to `lr` (see `seewhy find-lr`)",
    )
    warmup: float | None = Field(
        None, gt=0, description="epochs of linear rise to `lr` (one_cycle: 30% of the run)"
    )
    final_lr: float | None = Field(
        None, gt=0, description="learning rate at the end of cosine; 0 where not given"
    )
    plateau_factor: float | None = Field(None, gt=0, lt=1, description="0.5 where not given")
    plateau_patience: int | None = Field(None, ge=1, description="epochs; 5 where not given")

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

    @model_validator(mode="after")
    def _every_option_has_an_effect(self) -> "TrainConfig":
        if self.momentum is not None and self.optimizer != "sgd":
            raise ValueError(f"momentum has no effect with optimizer={self.optimizer}")
        if self.schedule != "plateau" and (self.plateau_factor or self.plateau_patience):
            raise ValueError(f"plateau_* has no effect with schedule={self.schedule}")
        if self.warmup is not None and self.warmup >= self.epochs:
            raise ValueError(f"warmup ({self.warmup} epochs) leaves none of {self.epochs}")
        if self.schedule == "one_cycle" and self.warmup is not None:
            raise ValueError("one_cycle rises for 30% of the run: warmup has no effect")
        if self.schedule == "range" and self.warmup is not None:
            raise ValueError("range rises for the whole run: warmup has no effect")
        if self.final_lr is not None and self.schedule != "cosine":
            raise ValueError(f"final_lr has no effect with schedule={self.schedule}")
        if self.final_lr is not None and self.final_lr >= self.lr:
            raise ValueError(f"final_lr ({self.final_lr:g}) must be below lr ({self.lr:g})")
        if self.weight_decay_on is not None and self.weight_decay is None:
            raise ValueError("weight_decay_on has no effect without weight_decay")
        if self.compile and self.dropout_schedule is not None:
            raise ValueError(
                "compile would start anew for each rate of dropout_schedule: choose one"
            )
        if self.class_weights and self.sampling:
            raise ValueError("class_weights and sampling both balance the classes: choose one")
        return self
