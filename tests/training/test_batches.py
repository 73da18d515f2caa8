import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import image_set

from seewhy.config.augment import AugmentConfig
from seewhy.training.batches import Batches, progressive_side, seed_of
from seewhy.training.curriculum import Curriculum


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


def test_images_grow_to_their_full_side_by_three_quarters_of_the_epochs():
    b = batches(epochs=8, progressive=0.5, size=16, images=image_set(np.arange(12) % 3, size=20))
    first = [
        step for step in range(1, b.total_steps) if b.epochs_done(step) != b.epochs_done(step - 1)
    ]
    sides = [b.side(step) for step in [0, *first]]
    assert sides == [8, 8, 12, 12, 12, 16, 16, 16]
    assert progressive_side(224, 0.5, 0) == 112 and progressive_side(224, 0.5, 0.5) == 188
    for step in (0, b.total_steps - 1):
        whole = batches(epochs=8, size=16, images=b.images)(step)
        x, y = b(step)
        assert x.shape[2:] == (b.side(step),) * 2 and torch.equal(y, whole[1])
        assert x.min() >= 0 and x.max() <= 1
        # On average the same image: it is resized, not cropped.
        torch.testing.assert_close(x.mean((2, 3)), whole[0].mean((2, 3)), atol=0.03, rtol=0)


@pytest.mark.parametrize("sampling", [None, "balanced"])
def test_a_curriculum_goes_from_the_easiest_of_each_class_to_all(sampling):
    labels = np.array([0] * 60 + [1] * 30 + [2] * 10)
    difficulty = np.random.default_rng(0).random(100)
    curriculum = Curriculum(difficulty, epochs=3)
    b = Batches(
        image_set(labels), 8, 20, epochs=5, seed=0, sampling=sampling, curriculum=curriculum
    )
    rows = np.concatenate([b.rows(step) for step in range(b.total_steps)]).reshape(5, 100)
    for epoch, share in enumerate((0.25, 0.5, 0.75, 1, 1)):
        used = set(rows[epoch])
        for label, count in enumerate((60, 30, 10)):
            own = np.flatnonzero(labels == label)
            easiest = own[np.argsort(difficulty[own])[: int(np.ceil(share * count))]]
            assert used & set(own) <= set(easiest)
            assert sampling == "balanced" or used & set(own) == set(easiest)
    plain = Batches(image_set(labels), 8, 20, epochs=5, seed=0, sampling=sampling)
    assert np.array_equal(b.rows(19), plain.rows(19)), "all images: the order of any training"


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


def test_images_on_the_device_give_the_same_batches():
    images = image_set(np.arange(40) % 3, size=20)
    options = {"epochs": 2, "size": 16, "progressive": 0.5, "images": images}
    read = batches(**options)
    resident = batches(**options, resident=torch.from_numpy(np.asarray(images.images)))
    for step in range(read.total_steps):
        for one, other in zip(read.at(step, 0), resident.at(step, 0), strict=True):
            assert torch.equal(one, other)


def test_images_are_mirrored_by_turns():
    pixels = np.zeros((10, 8, 8, 3), np.uint8)
    pixels[:, :, 0] = 255  # white on the left
    images = replace(image_set(np.arange(10) % 3), images=pixels)
    turns = AugmentConfig(flip=0.5, alternate_flip=True)
    b = batches(images=images, augmentation=turns, epochs=4, batch_size=4)
    left = np.zeros((4, 10), bool)
    for step in range(b.total_steps):
        for place, (row, x) in enumerate(zip(b.rows(step), b(step)[0], strict=True)):
            left[(step * 4 + place) // 10, row] = bool(x[0, 0, 0])
    assert 0 < left[0].sum() < 10
    assert (left[1] == ~left[0]).all() and (left[2] == left[0]).all()
    cut = batches(images=images, augmentation=turns, epochs=4, batch_size=4, shards=2)
    both = torch.cat([cut.at(1, 0)[0], cut.at(1, 1)[0]])
    assert torch.equal(both, b(1)[0])


def test_turns_are_for_half_of_the_images():
    with pytest.raises(ValueError, match=r"set flip to 0\.5"):
        AugmentConfig(flip=0.4, alternate_flip=True)
