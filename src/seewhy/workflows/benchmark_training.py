"""How fast recipes train on this machine: images per second, and what the time of a step goes into."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from seewhy.config.input_rule import InputRule
from seewhy.config.recipe import Recipe, load_recipe
from seewhy.config.training import TrainConfig
from seewhy.data import ImageSet
from seewhy.errors import UsageError
from seewhy.events import Note, OnEvent, Progress, Step, ignore
from seewhy.files import make_directory, named_path, optional_folder, require_new, write_json
from seewhy.inference.device import pick_amp, pick_device, place
from seewhy.models.network import Network, flops
from seewhy.models.registry import build
from seewhy.plots.benchmark import draw_training_speeds
from seewhy.training.batches import Batches
from seewhy.training.guards import take_peak_memory
from seewhy.training.loop import TrainState
from seewhy.training.loop import train as training_loop
from seewhy.training.objectives import Objective, cross_entropy

FEWEST, WARM_UP = 10, 4  # steps; those that are not counted
PROFILED = 3  # steps in a trace
CLASSES = tuple(f"class {number}" for number in range(10))
THUMBNAIL = 64  # side in pixels up to which images are stored as large as they are shown
PARTS = ("batch", "forward", "backward", "optimiser", "rest")
PEAK = (64, 256, 16)  # images, channels and side of the convolution whose speed is the peak
PEAK_ROUNDS = 10


@dataclass(frozen=True)
class TrainingSpeed:
    """How fast a recipe trains on random images of its size.

    `images_per_second` is the mean over `steps` steps after the first few; `parts` are the seconds of an
    image in each of `PARTS`: "batch" is reading and augmentation, "rest" averaging weights and reading the
    loss. `flops` are the network's for one image, and three times as many those of a training step.
    `conv_share` is how many of them a second are computed, as a share of `conv_gflops`, which a well-shaped
    convolution reaches in the same format, forward, right after. `memory_mb` (10^6 bytes) is the most memory
    of the process (RSS), or of a GPU's tensors; None where the system does not tell.
    """

    recipe: str
    network: str
    size: int
    batch: int
    format: str
    device: str
    parameters: int
    flops: int
    steps: int
    images_per_second: float
    parts: dict[str, float]
    conv_gflops: float
    conv_share: float
    memory_mb: float | None


@dataclass(frozen=True)
class TrainingBenchmark:
    """The speeds of recipes, on `threads` threads where they train on a processor."""

    threads: int
    speeds: tuple[TrainingSpeed, ...]


def benchmark_training(
    recipes: Sequence[str | Path] = ("fast",),
    *,
    steps: int = 60,
    device: str = "auto",
    profile: str | Path | None = None,
    out: str | Path | None = None,
    on_event: OnEvent = ignore,
) -> TrainingBenchmark:
    """Measures how fast recipes train, on random images of their size in ten classes.

    Each recipe's own training loop goes through its whole schedule in about `steps` steps, at least one an
    epoch. All layers are trained, from random weights, without a teacher, whatever the recipe says.
    `profile` is a new file for a trace of the first recipe's last three steps, for ui.perfetto.dev. `out` is
    a new folder for benchmark.json and a figure. Raises `UsageError` for an unknown recipe, for fewer than
    ten steps, and for a `profile` or `out` that exists.
    """
    if steps < FEWEST:
        raise UsageError(f"{steps} steps are too few to measure: give {FEWEST} or more")
    if profile is not None:
        profile = named_path(profile)
        require_new(profile)
    where = pick_device(device)
    loaded = [load_recipe(recipe) for recipe in recipes]
    with optional_folder(out) as folder:
        traces = [profile, *[None] * len(loaded)]
        speeds = [
            _speed(recipe, steps, where, trace, on_event)
            for recipe, trace in zip(loaded, traces, strict=False)
        ]
        result = TrainingBenchmark(torch.get_num_threads(), tuple(speeds))
        if folder is not None:
            write_json(result, folder / "benchmark.json")
            draw_training_speeds(result.speeds, result.threads, folder)
            on_event(Note(f"metrics and figure: {folder}"))
    return result


class _Clock:
    """Adds up the seconds of the parts of a step; each mark ends one."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._last = time.perf_counter()

    def mark(self, part: str) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        now = time.perf_counter()
        self.spent[part] += now - self._last
        self._last = now


@dataclass(frozen=True, eq=False, kw_only=True)
class _TimedBatches(Batches):
    clock: _Clock

    def at(self, step: int, shard: int) -> tuple[Tensor, Tensor]:
        self.clock.mark("backward" if shard else "rest")
        batch = super().at(step, shard)
        self.clock.mark("batch")
        return batch


def _timed(objective: Objective, clock: _Clock) -> Objective:
    """The objective; what comes before it is the backward pass of the micro-batch before, if any."""

    def timed(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        clock.mark("backward")
        loss, logits = objective(model, x, y)
        clock.mark("forward")
        return loss, logits

    return timed


def _speed(
    recipe: Recipe, steps: int, device: torch.device, trace: Path | None, on_event: OnEvent
) -> TrainingSpeed:
    config, size = _of_so_many_steps(recipe.train, steps), recipe.data.size
    images = _random_images(size, config.batch_size * max(1, steps // config.epochs))
    network, clock = _network(recipe, size, images), _Clock(device)
    arithmetic, of_epochs = flops(network), (config.batch_size, config.epochs, config.seed)
    place(network, device)
    batches = _TimedBatches(
        images,
        size,
        *of_epochs,
        recipe.augment,
        progressive=config.progressive,
        shards=config.shards,
        clock=clock,
    )
    _forget_peak_memory(device)
    events = _events(network, batches, config, device)
    last = batches.total_steps - (PROFILED if trace else 0)
    full_size_steps = 0.0
    for event in events:
        if not isinstance(event, Step):
            continue
        clock.mark("rest")
        on_event(Progress(f"training {recipe.name}", event.step, batches.total_steps))
        if event.step == WARM_UP:
            clock.spent.clear()
        elif event.step > WARM_UP:
            full_size_steps += (batches.side(event.step - 1) / size) ** 2
        if event.step == last:
            break
    seen, seconds = (last - WARM_UP) * config.batch_size, sum(clock.spent.values())
    parts = {part: clock.spent[part] / seen for part in PARTS}
    memory = _peak_memory(device)
    if trace is not None:
        _write_trace(events, trace, device)
    number_format = "fp32" if pick_amp(config.amp, device) is None else "bf16"
    peak = _conv_gflops(number_format, device)
    reached = 3 * arithmetic * config.batch_size * full_size_steps / seconds / 1e9
    return TrainingSpeed(
        recipe=recipe.name,
        network=recipe.model.name,
        size=size,
        batch=config.batch_size,
        format=number_format,
        device=device.type,
        parameters=sum(weights.numel() for weights in network.parameters()),
        flops=arithmetic,
        steps=last - WARM_UP,
        images_per_second=seen / seconds,
        parts=parts,
        conv_gflops=peak,
        conv_share=reached / peak,
        memory_mb=None if memory is None else memory / 1e6,
    )


def _events(
    network: Network, batches: _TimedBatches, config: TrainConfig, device: torch.device
) -> Iterator[object]:
    """The events of the training loop, whose parts the clock of the batches times."""
    state, clock = TrainState.start(network, config), batches.clock
    state.optimizer.register_step_pre_hook(lambda *_: clock.mark("backward"))
    state.optimizer.register_step_post_hook(lambda *_: clock.mark("optimiser"))
    return training_loop(
        state,
        batches,
        _timed(cross_entropy(config.label_smoothing), clock),
        config,
        validate=lambda _: {"loss": 0.0, config.monitor: 0.0},
        mode=config.better,
        device=device,
        amp=pick_amp(config.amp, device),
    )


def _of_so_many_steps(config: TrainConfig, steps: int) -> TrainConfig:
    """The training of all layers from nothing, in fewer epochs where there are more than steps."""
    off = ("freeze", "patience", "time_limit", "teacher", "difficulty", "curriculum")
    changes = dict.fromkeys(off) | {"unfreeze": "all", "epochs": min(config.epochs, steps)}
    return config.model_copy(update=changes)


def _random_images(size: int, count: int) -> ImageSet:
    """Random images at the stored size of photographs, or of thumbnails up to 64 pixels."""
    store = InputRule.resolve(size, size if size <= THUMBNAIL else 2 * size).store
    rng = np.random.default_rng(0)
    names = np.array([f"{row:032x}" for row in range(count)])
    return ImageSet(
        rng.integers(0, 256, (count, store, store, 3), np.uint8),
        rng.integers(0, len(CLASSES), count),
        CLASSES,
        names,
        names.astype("S32"),
    )


def _network(recipe: Recipe, size: int, images: ImageSet) -> Network:
    options = recipe.model.options.model_dump()
    network = build(recipe.model.name, num_classes=len(CLASSES), size=size, **options)
    network.fit_input(images.images)
    return network


def _conv_gflops(number_format: str, device: torch.device) -> float:
    """GFLOP/s of a 3x3 convolution of the shape `PEAK`, forward; the median of some."""
    dtype = torch.bfloat16 if number_format == "bf16" else torch.float32
    count, channels, side = PEAK
    conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    place(conv, device).to(dtype)
    x = torch.rand(count, channels, side, side, dtype=dtype, device=device)
    x = x.to(memory_format=torch.channels_last)
    clock, rounds = _Clock(device), []
    with torch.no_grad():
        for _ in range(PEAK_ROUNDS):
            clock.mark("before")
            conv(x)
            clock.spent.clear()
            clock.mark("conv")
            rounds.append(clock.spent["conv"])
    return 2 * 9 * channels**2 * side**2 * count / median(rounds) / 1e9


def _write_trace(events: Iterator[object], path: Path, device: torch.device) -> None:
    """Runs the steps that are left, and writes their trace."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else it prints its stages
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds, record_shapes=True) as profiler:
        for _ in events:
            pass
    make_directory(path.parent)  # else only a line on standard error says that there is no trace
    profiler.export_chrome_trace(str(path))


def _forget_peak_memory(device: torch.device) -> None:
    """Begins to measure the most memory anew, where the system can."""
    if device.type == "cuda":
        take_peak_memory(device)
    else:
        with suppress(OSError):  # not Linux
            Path("/proc/self/clear_refs").write_text("5")


def _peak_memory(device: torch.device) -> int | None:
    """The most bytes since then: of the GPU's tensors, or of the process; None where it is not told."""
    if device.type == "cuda":
        return take_peak_memory(device)
    try:
        status = Path("/proc/self/status").read_text().split()
    except OSError:  # not Linux
        return None
    return 1024 * int(status[status.index("VmHWM:") + 1])
