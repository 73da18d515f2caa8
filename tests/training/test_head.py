"""The last layer on frozen features, against scikit-learn, and how its penalty is chosen."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from seewhy.training.head import PENALTIES, fit_head


def blobs(
    count: int = 40, classes: int = 3, size: int = 5, noise: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % classes
    centres = 2 * torch.randn(classes, size, generator=generator)
    x = centres[labels] + noise * torch.randn(count, size, generator=generator)
    return x[:, None], labels


def test_the_layer_is_that_of_scikit_learn() -> None:
    x, labels = blobs()
    head = fit_head(x, labels, 3)
    scaled = (x[:, 0] - x[:, 0].mean(0)) / x[:, 0].std(0)
    reference = LogisticRegression(C=1 / (head.penalty * len(x)), tol=1e-8, max_iter=1000)
    expected = reference.fit(scaled, labels).predict_proba(scaled)
    ours = (x[:, 0] @ head.weight.T + head.bias).softmax(1)
    np.testing.assert_allclose(ours, expected, atol=2e-3)


def test_more_noise_wants_a_stronger_penalty() -> None:
    clean, noisy = fit_head(*blobs(noise=0.3), 3), fit_head(*blobs(noise=6.0), 3)
    assert clean.penalty < noisy.penalty
    assert clean.accuracy == 1.0 and noisy.accuracy is not None and noisy.accuracy < 0.8
    assert (
        set(clean.losses) == set(PENALTIES)
        and min(clean.losses.values()) == clean.losses[clean.penalty]
    )


def test_all_views_of_an_image_are_left_out_together() -> None:
    generator = torch.Generator().manual_seed(1)
    one = torch.randn(60, 1, 200, generator=generator)  # nothing to learn: only to recognise again
    head = fit_head(one.expand(-1, 2, -1).contiguous(), torch.arange(60) % 2, 2)
    assert head.accuracy is not None and head.accuracy < 0.75


def test_all_images_of_a_group_are_left_out_together() -> None:
    generator = torch.Generator().manual_seed(1)
    people = torch.randn(20, 200, generator=generator).repeat_interleave(5, 0)[:, None]
    labels = torch.arange(20).repeat_interleave(5) % 2
    groups = np.arange(20).repeat(5)
    alone, together = fit_head(people, labels, 2), fit_head(people, labels, 2, groups=groups)
    assert alone.accuracy == 1.0 and together.accuracy is not None and together.accuracy < 0.8


@pytest.mark.parametrize("labels", [[0, 1], [0, 0, 0, 1]])
def test_a_class_of_one_image_leaves_nothing_to_judge_by(labels: list[int]) -> None:
    x = torch.eye(len(labels))[:, None]
    head = fit_head(x, torch.tensor(labels), 2)
    assert head.accuracy is None and head.losses == {}
    assert ((x[:, 0] @ head.weight.T + head.bias).argmax(1).tolist()) == labels


def test_a_class_weight_moves_the_border() -> None:
    x, labels = blobs(noise=4.0, classes=2)
    plain = fit_head(x, labels, 2)
    heavy = fit_head(x, labels, 2, weights=torch.tensor([10.0, 1.0]))
    ours = [(x[:, 0] @ h.weight.T + h.bias).argmax(1) == 0 for h in (plain, heavy)]
    assert ours[1].sum() > ours[0].sum()


def test_without_a_bias_the_layer_is_that_of_scikit_learn() -> None:
    x, labels = blobs()
    head = fit_head(x, labels, 3, bias=False)
    scaled = x[:, 0] / x[:, 0].std(0)
    reference = LogisticRegression(
        C=1 / (head.penalty * len(x)), tol=1e-8, max_iter=1000, fit_intercept=False
    )
    expected = reference.fit(scaled, labels).predict_proba(scaled)
    assert not head.bias.any()
    np.testing.assert_allclose((x[:, 0] @ head.weight.T).softmax(1), expected, atol=2e-3)


def test_a_class_without_images_is_allowed() -> None:
    x, labels = blobs()
    assert fit_head(x, labels, 5).weight.shape == (5, 5)
