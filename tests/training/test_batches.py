import gc
import weakref

import numpy as np
import torch
from helpers import image_set

from seewhy.config.augment import AugmentConfig
from seewhy.training.batches import Batches, seed_of


def batches(count=10, **changes):
    labels = np.arange(count) % 3
    given = {"images": image_set(labels), "size": 8, "batch_size": 4, "epochs": 3, "seed": 7}
    return Batches(**{**given, **changes})


def test_epochs_are_permutations_laid_end_to_end_without_loss():
    b = batches()
    rows = np.concatenate([b.rows(step) for step in range(b.total_steps)])
    assert len(rows) == 30 and b.total_steps == 8
    for epoch in range(3):
        assert sorted(rows[epoch * 10 : epoch * 10 + 10]) == list(range(10))
    assert len({tuple(rows[e * 10 : e * 10 + 10]) for e in range(3)}) == 3


def test_an_epoch_is_done_when_its_last_image_was_in_a_step():
    assert [batches().epochs_done(step) for step in range(9)] == [0, 0, 0, 1, 1, 2, 2, 2, 3]


def test_a_batch_is_a_function_of_seed_and_step_alone():
    first, second = batches(), batches()
    for step in (5, 0, 3):
        second(step)
    augmented = AugmentConfig(flip=0.5, crop_padding=2)
    x, y = batches(augmentation=augmented)(2)
    again, _ = batches(augmentation=augmented)(2)
    other, _ = batches(augmentation=augmented, seed=8)(2)
    assert torch.equal(x, again) and not torch.equal(x, other)
    assert np.array_equal(first.rows(2), second.rows(2))
    assert torch.equal(y.sum(1), torch.ones(4))


def test_the_rows_images_come_with_their_labels():
    b = batches()
    x, y = b(1)
    rows = b.rows(1)
    assert torch.equal(y.argmax(1), torch.from_numpy(b.images.labels[rows]))
    assert torch.equal(
        (x * 255).round().byte().permute(0, 2, 3, 1), torch.from_numpy(b.images.images[rows])
    )


def test_balanced_sampling_shows_every_class_equally_often():
    labels = np.array([0] * 80 + [1] * 15 + [2] * 5)
    b = Batches(image_set(labels), 8, 32, epochs=2, seed=0, sampling="balanced")
    rows = np.concatenate([b.rows(step) for step in range(b.total_steps)])
    for epoch in (rows[:100], rows[100:]):
        counts = np.bincount(labels[epoch])
        assert counts.max() - counts.min() <= 2
        assert set(np.flatnonzero(labels == 2)) <= set(epoch)


def test_streams_of_random_numbers_do_not_meet():
    seeds = {seed_of(s, stream, i) for s in range(4) for stream in range(4) for i in range(50)}
    assert len(seeds) == 4 * 4 * 50 and all(0 <= s < 2**63 for s in seeds)


def test_a_training_set_is_not_kept_in_memory():
    kept = batches()
    kept(0)
    images = weakref.ref(kept.images)
    del kept
    gc.collect()
    assert images() is None
