import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import TinyNet, image_set, tiny_net

import seewhy
from seewhy.data import InputRule
from seewhy.errors import UsageError
from seewhy.inference.bundle import Bundle
from seewhy.inference.classifier import Classifier
from seewhy.inference.forward import predict
from seewhy.inference.pytorch import PyTorchPredictor


def predictor(network=None, **changes):
    made = Bundle(network or tiny_net().eval(), ("a", "b", "c"), InputRule(size=8, store=8))
    return PyTorchPredictor.of(replace(made, **changes), torch.device("cpu"))


@pytest.fixture
def images():
    return image_set(np.arange(30) % 3)


def test_its_network_is_a_copy_that_what_others_do_does_not_change(images):
    network = tiny_net().eval()
    model = predictor(network)
    before = model.outputs(images.images)[0]
    with torch.no_grad():
        network.linear.weight.zero_()
    model.differentiable().linear.weight.data.zero_()
    model.differentiable().train()
    assert np.array_equal(model.outputs(images.images)[0], before)


def test_its_outputs_are_those_of_a_pass_in_training_to_the_bit(images):
    for views in (("identity",), ("identity", "flip")):
        expected = predict(tiny_net().eval(), images, size=8, views=views).logits
        assert np.array_equal(predictor(views=views).outputs(images.images)[0], expected)


def test_outputs_touch_no_state_of_the_process(images):
    model = predictor()
    state = torch.random.get_rng_state()
    seen = []

    def look(module, inputs, output):
        seen.append((torch.is_grad_enabled(), torch.backends.mkldnn.matmul.fp32_precision))

    model.bundle.network.linear.register_forward_hook(look)
    matmul = torch.backends.mkldnn.matmul
    before, matmul.fp32_precision = matmul.fp32_precision, "bf16"
    try:
        model.outputs(images.images)
    finally:
        matmul.fp32_precision = before
    assert seen == [(False, "bf16")]  # the precision is for whoever owns the process to set
    assert torch.equal(torch.random.get_rng_state(), state) and torch.is_grad_enabled()


def test_threads_may_share_it(images):
    model = predictor()
    expected = model.outputs(images.images)[0]
    with ThreadPoolExecutor(4) as pool:
        results = pool.map(lambda _: model.outputs(images.images)[0], range(32))
        assert all(np.array_equal(result, expected) for result in results)


def test_the_plain_network_answers_as_the_model_does(images):
    network = seewhy.load("fast").module()
    assert isinstance(network, torch.nn.Module) and not network.training
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        logits = (network(x) + network(x.flip(-1))) / 2
        answering = seewhy.load("fast").module(views=True)(x)
    assert seewhy.load("fast").predict(pixels).logits == pytest.approx(logits.numpy(), abs=1e-4)
    assert torch.equal(answering, logits)


def test_the_threads_that_read_are_made_once_and_closed(images):
    with Classifier(predictor()) as classifier:
        assert classifier._pool is None
        classifier.predict(images.images[:2])
        pool = classifier._pool
        classifier.predict(images.images[:2])
        assert classifier._pool is pool and pool is not None
    assert classifier._pool is None
    assert len(classifier.predict(images.images[:2])) == 2, "closing is not the end"
    classifier.close()


def _predict_in_child(classifier, images, queue):
    torch.set_num_threads(1)
    queue.put(classifier.predict(list(images)).logits)


def test_a_forked_process_has_threads_of_its_own(images):
    torch.set_num_threads(1)
    classifier = Classifier(predictor())
    expected = classifier.predict(list(images.images[:4])).logits
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_predict_in_child, args=(classifier, images.images[:4], queue))
    child.start()
    assert np.array_equal(queue.get(timeout=60), expected)
    child.join()


def test_what_is_decoded_at_once_is_bounded_by_pixels(monkeypatch, images):
    monkeypatch.setattr("seewhy.inference.classifier.CHUNK_PIXELS", 8 * 8 * 4)
    chunks = list(Classifier(predictor()).predict_chunks(images.images[:10]))
    assert [len(chunk) for chunk in chunks] == [4, 4, 2]


def test_logits_that_are_not_finite_are_refused(images):
    from seewhy.errors import DivergedError

    network = TinyNet().eval()
    with torch.no_grad():
        network.linear.bias.fill_(torch.nan)
    with pytest.raises(DivergedError, match="30 of 30"):
        predictor(network).outputs(images.images)


def test_what_is_not_one_file_is_not_saved(tmp_path):
    from seewhy.inference.ensemble import Ensemble

    both = Classifier(Ensemble.of([predictor(), predictor()]))
    with pytest.raises(UsageError, match="not one file"):
        both.save(tmp_path / "both.safetensors")
