"""Models that help to train another: classes by name, sizes of their own, several as one."""

import pytest
import torch
from helpers import tiny_net

from seewhy.config.input_rule import InputRule
from seewhy.errors import UsageError
from seewhy.inference.bundle import Bundle
from seewhy.inference.bundle import load as load_bundle
from seewhy.training.objectives import cross_entropy, distilled
from seewhy.training.reference import Reference

CLASSES = ("ant", "bee", "cow")


def model(seed=0, classes=CLASSES, size=8):
    network = tiny_net(seed, num_classes=len(classes)).eval()
    return Bundle(network, classes, InputRule(size=size, store=size), digest=f"{seed:064}")


def images(count=5, size=8):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def test_classes_are_matched_by_name_and_others_left_out():
    other = model(classes=("cow", "dog", "ant", "bee"))
    x = images()
    logits = other.network(x)[:, [2, 3, 0]]
    answers = Reference("m", (other,), CLASSES).probabilities(x, 3.0)
    torch.testing.assert_close(answers, (logits / 3).softmax(1))
    assert not answers.requires_grad


def test_several_models_answer_with_their_mean_each_at_its_own_size():
    x = images(size=12)
    small, large = model(1), model(2, size=12)
    both = Reference("a+b", (small, large), CLASSES)
    resized = torch.nn.functional.interpolate(x, (8, 8), mode="bilinear", antialias=True)
    expected = (small.network(resized).softmax(1) + large.network(x).softmax(1)) / 2
    torch.testing.assert_close(both.probabilities(x), expected)
    rule = InputRule(size=12, store=12)
    assert both.note(rule) == "a+b, which sees the images resized to 8 pixels"
    other = Reference("b", (large,), CLASSES)
    assert other.note(rule) == "b"
    squashed = other.note(InputRule(size=12, store=12, fit="squash"))
    assert squashed == "b, which was trained with data.fit crop and here sees images by squash"
    assert both.digests == [f"{seed:064}" for seed in (1, 2)]


def test_the_teacher_is_mixed_in_as_in_the_paper_and_is_not_changed():
    teacher, student, x = model(1), tiny_net(2), images()
    before = {k: v.clone() for k, v in teacher.network.state_dict().items()}
    student.eval()
    y = torch.eye(3)[torch.arange(5) % 3]
    objective = distilled(cross_entropy(0.1), Reference("m", (teacher,), CLASSES), 0.3, 5.0)
    loss, logits = objective(student, x, y)
    soft = (teacher.network(x) / 5).softmax(1)
    divergence = (soft * (soft.log() - (student(x) / 5).log_softmax(1))).sum(1).mean()
    plain, _ = cross_entropy(0.1)(student, x, y)
    assert loss.item() == pytest.approx((0.7 * plain + 0.3 * 25 * divergence).item(), rel=1e-5)
    assert torch.equal(logits, student(x))
    loss.backward()
    assert all(p.grad is None for p in teacher.network.parameters())
    assert all(torch.equal(v, before[k]) for k, v in teacher.network.state_dict().items())


def test_a_model_without_a_class_is_refused_in_a_line(trained):
    with pytest.raises(UsageError, match=r"train\.teacher=.*2 of the 3 classes \(bat, dog\)"):
        Reference.load(str(trained), ("ant", "bat", "dog"), "train.teacher")
    loaded = Reference.load(f"{trained}+{trained}", ("bee", "ant"), "train.teacher")
    assert loaded.digests == [load_bundle(trained / "model.safetensors").digest] * 2
