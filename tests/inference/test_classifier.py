import io
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import TinyNet, image_set, tiny_net
from PIL import Image

import seewhy
from seewhy.config.input_rule import InputRule
from seewhy.data.images.decode import read_sized
from seewhy.errors import ImageError, UsageError
from seewhy.inference.bundle import Bundle
from seewhy.inference.classifier import Classifier, Pass
from seewhy.inference.forward import predict
from seewhy.inference.pytorch import PyTorchPredictor


def predictor(network=None, **changes):
    made = Bundle(network or tiny_net().eval(), ("a", "b", "c"), InputRule(size=8, store=8))
    return PyTorchPredictor.of(replace(made, **changes), torch.device("cpu"))


def png_of(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


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


def test_the_next_images_are_read_while_the_network_computes(monkeypatch, images):
    sources = list(images.images[:8])
    reading = threading.Event()
    outputs = PyTorchPredictor.outputs

    def read(image, rule):
        if image is sources[4]:
            reading.set()
        return read_sized(image, rule)

    def outputs_then(self, batch, embed=False):
        assert reading.wait(10), "the second chunk is not read before the first is predicted"
        return outputs(self, batch, embed)

    monkeypatch.setattr("seewhy.inference.classifier.CHUNK", 4)
    monkeypatch.setattr("seewhy.inference.classifier.read_sized", read)
    monkeypatch.setattr(PyTorchPredictor, "outputs", outputs_then)
    noticed = Pass()
    with Classifier(predictor()) as classifier:
        chunks = list(classifier.predict_chunks(sources, noticed=noticed))
    assert [len(chunk) for chunk in chunks] == [4, 4]
    assert np.concatenate(noticed.sizes).tolist() == [[8, 8]] * 8 and noticed.network > 0


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


# ------------------------------------------------------------------ images in every form

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
GREY = PIXELS[..., 0]


@pytest.fixture(scope="module")
def classifier():
    with Classifier(predictor()) as made:
        yield made


@pytest.mark.parametrize(
    "images",
    [
        list(PIXELS),
        torch.from_numpy(PIXELS),
        torch.from_numpy(PIXELS).permute(0, 3, 1, 2),
        torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255,
        list(torch.from_numpy(PIXELS).permute(0, 3, 1, 2) / 255),
        PIXELS.transpose(0, 3, 1, 2),
        PIXELS / 255,
        PIXELS.astype(np.float32),
        (Image.fromarray(image) for image in PIXELS),
        np.concatenate([PIXELS, np.full((5, 8, 8, 1), 255, np.uint8)], 3),
        [(image, "a label") for image in PIXELS],
        [{"bytes": png_of(image), "path": None} for image in PIXELS],
    ],
)
def test_images_are_understood_as_in_training(classifier, images):
    expected = classifier.predict(PIXELS).logits
    assert np.array_equal(classifier.predict(images).logits, expected)


@pytest.mark.parametrize("greys", [GREY, GREY[..., None], torch.from_numpy(GREY), list(GREY)])
def test_a_stack_of_grey_images_is_many(classifier, greys):
    expected = classifier.predict([Image.fromarray(image) for image in GREY]).logits
    assert np.array_equal(classifier.predict(greys).logits, expected)


@pytest.mark.parametrize(
    "image",
    [
        PIXELS[0],
        torch.from_numpy(PIXELS[0]).permute(2, 0, 1),
        PIXELS[0] / 255,
        Image.fromarray(PIXELS[0]),
        png_of(PIXELS[0]),
    ],
)
def test_one_image_is_one(classifier, image):
    assert np.array_equal(classifier.predict(image).logits, classifier.predict(PIXELS[:1]).logits)
    assert np.array_equal(classifier.preprocess(image), classifier.preprocess(PIXELS[0]))


def test_an_array_that_may_be_one_or_three_images_is_refused(classifier):
    with pytest.raises(UsageError, match=r"\(3, 8, 8\) is either one image .* x\[None\] for one"):
        classifier.predict(GREY[:3])
    assert len(classifier.predict(GREY[:3, ..., None])) == 3


def test_what_is_no_image_is_refused(classifier):
    for thing in (None, 7, True):
        with pytest.raises(UsageError, match="no image: the value ") as caught:
            classifier.predict(thing)
        assert f"{thing} of type {type(thing).__name__}; expected a path" in str(caught.value)


def test_a_folder_is_refused_with_what_to_pass(classifier, tmp_path):
    for folder in (tmp_path, str(tmp_path)):
        with pytest.raises(UsageError, match=r"is a folder: give its files, such as sorted\("):
            classifier.predict(folder, on_error="row")
    with pytest.raises(ImageError, match="a folder, not a file"):
        classifier.predict([tmp_path])


def test_an_unknown_treatment_of_bad_images_is_refused(classifier):
    with pytest.raises(UsageError, match="on_error='skip': expected 'raise' or 'row'"):
        classifier.predict(PIXELS, on_error="skip")


def test_an_error_names_the_image(classifier, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"bad\.jpg: not a JPEG") as caught:
        classifier.predict([PIXELS[0], tmp_path / "bad.jpg"])
    assert caught.value.code == "unsupported_format"
    for bad, reason in [
        (PIXELS[1] - 0.5, "float64 values from"),
        (PIXELS[1] > 9, "values of type bool"),
        (PIXELS[:1], "an array must be"),
        (None, "the value None of type NoneType; expected a path"),
        (7, "the value 7 of type int"),
        ({"a": 1}, r"the value \{'a': 1\} of type dict"),
    ]:
        with pytest.raises(ImageError, match=f"^image 1: {reason}"):
            classifier.predict([PIXELS[0], bad])
        answers = classifier.predict([PIXELS[0], bad, PIXELS[2]], on_error="row")
        assert list(answers.errors) == [1] and np.isfinite(answers.logits[[0, 2]]).all()
