"""What the steps of a training are made of: its batch source and its objective."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from seewhy.config.training import DISTILL_TEMPERATURE, DISTILL_WEIGHT
from seewhy.data import ImageSet
from seewhy.data.bad_files import write_csv
from seewhy.models.network import Network, flops
from seewhy.training.batches import Batches
from seewhy.training.curriculum import Curriculum, difficulty
from seewhy.training.hardest import Hardest
from seewhy.training.objectives import Objective, balanced_weights, cross_entropy, distilled
from seewhy.training.reference import Reference
from seewhy.workflows.prepare import Job

MOST_COUNTED = 1_000  # classes whose images are counted in the model file, whose facts have 256 KiB
DIFFICULTY = "difficulty.csv"
MOST_RESIDENT = 0.25  # share of a GPU's free memory that images may take
MACHINE = ("processor", "cores", "threads", "cuda")  # of the run's environment


def batches_of(job: Job, hardest: Hardest | None = None) -> Batches:
    """The batches of a training, whose state has the hardest images."""
    config = job.recipe.train
    return Batches(
        images=job.splits.train,
        size=job.splits.rule.size,
        batch_size=config.batch_size,
        epochs=config.epochs,
        seed=config.seed,
        augmentation=job.recipe.augment,
        sampling=config.sampling,
        progressive=config.progressive,
        curriculum=_curriculum(job),
        shards=config.shards,
        hardest=hardest,
        resident=_resident(job.splits.train, job.device),
    )


def _resident(images: ImageSet, device: torch.device) -> Tensor | None:
    """All images on a GPU, where they take no more than a quarter of its free memory."""
    if device.type != "cuda":
        return None
    size = len(images) * images.images.shape[1] ** 2 * 3
    if size > MOST_RESIDENT * torch.cuda.mem_get_info(device)[0]:
        return None
    return torch.cat([torch.from_numpy(part).to(device) for part in images.chunks()])


def _curriculum(job: Job) -> Curriculum | None:
    """The curriculum by the run's `difficulty.csv`, written once so that resuming changes nothing."""
    config, judge = job.recipe.train, job.judge
    if judge is None or config.curriculum is None:
        return None
    losses = job.ranks.of_first(lambda: _difficulty(job, judge).tolist())
    return Curriculum(np.array(losses), config.curriculum * config.epochs)


def _difficulty(job: Job, judge: Reference) -> np.ndarray:
    """How difficult each training image is, as the run stores it; measured where it does not yet."""
    train = job.splits.train
    path = job.run.path / DIFFICULTY
    hashes = [digest.decode() for digest in train.hashes.tolist()]
    if path.is_file():
        stored = job.run.rows(DIFFICULTY, "hash", "loss")
        if [row["hash"] for row in stored] != hashes:
            raise job.run.lacks(DIFFICULTY, "has other images, or another order, than the training")
        return np.array([float(row["loss"]) for row in stored])
    losses = difficulty(judge, train, job.splits.rule.size, job.device)
    labels = (train.classes[label] for label in train.labels)
    rows = zip(train.ids, hashes, labels, losses.tolist(), strict=True)
    write_csv(("id", "hash", "label", "loss"), rows, path)
    return losses


def objective_of(job: Job) -> Objective:
    config = job.recipe.train
    weights = None
    if config.class_weights:
        labels = job.splits.train.labels
        weights = balanced_weights(labels, len(job.splits.classes)).to(job.device)
    objective = cross_entropy(config.label_smoothing, weights)
    if job.teacher is None:
        return objective
    job.teacher.place(job.device)
    weight = config.distill_weight or DISTILL_WEIGHT
    temperature = config.distill_temperature or DISTILL_TEMPERATURE
    return distilled(objective, job.teacher, weight, temperature)


def parents_of(job: Job) -> tuple[str, ...]:
    """The digests of what the model was made from: the one that it started from, and its teachers."""
    start = [job.start.digest] if job.start else []
    return (*start, *(job.teacher.digests if job.teacher else ()))


def training_facts(job: Job) -> dict[str, Any]:
    """What the model file tells of its training, beside its metrics: recipe, data, cost and machine."""
    splits, environment = job.splits, job.run.environment
    counts = {"train": splits.train.counts.tolist(), "val": splits.val.counts.tolist()}
    facts: dict[str, Any] = {
        "recipe": job.recipe.model_dump(mode="json"),
        "train_pictures": len(splits.train),
        "data": {
            "images": splits.sizes,
            "counts": counts if len(splits.classes) <= MOST_COUNTED else None,
            "left_out": len(splits.left_out),
            "unusable": len(splits.bad),
        },
        "machine": {name: environment.get(name) for name in MACHINE},
    }
    if isinstance(job.network, Network):
        facts["flops"] = flops(job.network)
    return facts
