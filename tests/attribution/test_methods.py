"""What holds for every method, on toy networks and on every net of the registry."""

import sys

import numpy as np
import pytest
import torch
from attribution.toys import LinearNet, SmallNet, classes, pictures, traces
from helpers import EACH_FAMILY, small, tiny_net
from PIL import Image
from torch import nn

import seewhy
from seewhy.attribution import method as method_module
from seewhy.attribution.baseline import blurred, mean_colour
from seewhy.attribution.gradient_shap import gradient_shap
from seewhy.attribution.integrated_gradients import integrated_gradients
from seewhy.attribution.method import Method, explaining
from seewhy.attribution.methods import METHODS, find_method
from seewhy.attribution.saliency import saliency
from seewhy.attribution.shap import shap
from seewhy.attribution.smooth_grad import smooth_grad
from seewhy.config.networks import NETWORKS
from seewhy.errors import UsageError
from seewhy.inference.forward import AveragedViews, to_input
from seewhy.models.registry import build

EVERY_METHOD = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
shap_module = sys.modules["seewhy.attribution.shap"]  # whose name is that of the method, too
NEED_NO_HALVES = ("saliency", "smooth_grad", "integrated_gradients", "occlusion", "shap")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer samples and steps: what is tested does not depend on their number."""
    for function, name, count in (
        (smooth_grad, "SAMPLES", 3),
        (gradient_shap, "SAMPLES", 3),
        (integrated_gradients, "STEPS", 4),
        (shap, "ROUNDS", 2),
    ):
        monkeypatch.setitem(function.__wrapped__.__globals__, name, count)


@EVERY_METHOD
def test_a_map_an_image_float32_signed_and_not_scaled(method: Method) -> None:
    model, x, targets = SmallNet(), pictures(), classes()
    maps = method(model, x, targets)
    assert maps.shape == (3, 8, 8) and maps.dtype == torch.float32 and not maps.requires_grad
    assert all(found.std() > 0 for found in maps)
    with torch.no_grad():
        for weights in model.head[-1].parameters():
            weights *= 8
    grown = 64 if method is METHODS["guided_grad_cam"] else 8
    if method is not METHODS["grad_cam_plus_plus"]:  # its weights are not linear in the logit
        torch.testing.assert_close(method(model, x, targets), grown * maps, rtol=1e-3, atol=1e-5)


@EVERY_METHOD
def test_the_logit_is_explained_and_not_what_softmax_makes_of_it(method: Method) -> None:
    model, x = SmallNet(), pictures()
    targets = torch.zeros(3, dtype=torch.int64)
    maps = method(model, x, targets)
    with torch.no_grad():
        model.head[-1].weight[1:] *= -50  # the other classes
    assert torch.equal(method(model, x, targets), maps)


@EVERY_METHOD
def test_the_batch_changes_no_map(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, targets = SmallNet(), pictures(5), classes(5)
    whole = method(model, x, targets)
    for row in range(5):
        alone = method(model, x[row : row + 1], targets[row : row + 1])[0]
        torch.testing.assert_close(alone, whole[row], rtol=1e-3, atol=1e-5)
    monkeypatch.setattr(method_module, "BATCH", 2)
    torch.testing.assert_close(method(model, x, targets), whole, rtol=1e-3, atol=1e-5)


@EVERY_METHOD
def test_no_batch_holds_more_pixels_than_fit(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x, targets, seen = SmallNet(), pictures(5), classes(5), []
    whole = method(model, x, targets)
    monkeypatch.setattr(method_module, "BATCH_PIXELS", 2 * 64)
    monkeypatch.setattr(shap_module, "MOST_PIXELS", 2 * 64)
    model.conv.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    torch.testing.assert_close(method(model, x, targets), whole, rtol=1e-3, atol=1e-5)
    assert max(seen) == 2


@EVERY_METHOD
def test_no_images_give_no_maps(method: Method) -> None:
    assert method(SmallNet(), pictures(0), classes(0)).shape == (0, 8, 8)


@EVERY_METHOD
@pytest.mark.parametrize("fails", [False, True])
def test_no_trace_is_left(method: Method, fails: bool) -> None:
    model, x = SmallNet().train(), pictures()
    model.norm.eval()  # each module's own mode comes back
    x.requires_grad_()
    before, read = x.detach().clone(), traces(model)
    left = read()
    if fails:
        model.fails_at = 1
        with pytest.raises(RuntimeError, match="as asked for"):
            method(model, x, classes())
    else:
        with torch.no_grad():
            method(model, x, classes())
    assert read() == left
    assert torch.equal(x, before) and x.requires_grad and x.grad is None


@EVERY_METHOD
def test_the_second_call_gives_the_same_map(method: Method) -> None:
    model = SmallNet()
    first = method(model, pictures(), classes())
    torch.manual_seed(7)
    assert torch.equal(method(model, pictures(), classes()), first)


@EVERY_METHOD
@pytest.mark.parametrize(
    ("x", "targets", "message"),
    [
        (pictures(2) * 255, classes(2), "divide 8-bit pixels by 255"),
        (pictures(2) - 1, classes(2), "outside"),
        (pictures(2) * float("nan"), classes(2), "outside"),
        (pictures(2)[:, :1], classes(2), r"shape \(2, 1, 8, 8\)"),
        ((pictures(2) * 255).byte(), classes(2), "uint8"),
        (pictures(2), classes(3), r"shape \(3,\)"),
        (pictures(2), classes(2) - 1, "from 0 on"),
        (pictures(2), classes(2).float(), "float32"),
    ],
)
def test_what_does_not_fit_is_refused(method: Method, x, targets, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        method(SmallNet(), x, targets)


@pytest.mark.parametrize("name", METHODS)
def test_a_network_without_halves_is_explained_by_its_pixels_or_told_what_to_do(name: str) -> None:
    if name in (*NEED_NO_HALVES, "gradient_shap"):
        assert METHODS[name](tiny_net(), pictures(), classes()).shape == (3, 8, 8)
    else:
        with pytest.raises(UsageError, match=r"TinyNet has no `features\(images\)`.*saliency"):
            METHODS[name](tiny_net(), pictures(), classes())


@pytest.mark.parametrize("network", EACH_FAMILY)
def test_every_family_of_networks_is_explained_by_every_method(network: str, quick: None) -> None:
    torch.manual_seed(0)
    size = max(16, NETWORKS[network].minimum_size)
    model = build(network, num_classes=4, size=size, **small(network)).train()
    x, targets = pictures(2, size), torch.tensor([1, 3])
    model.fit_input((x.permute(0, 2, 3, 1) * 255).byte().numpy())
    read = traces(model)
    left = read()
    for name, method in METHODS.items():
        try:
            maps = method(model, x, targets)
        except UsageError as refusal:
            assert name == "cam" and "grad_cam" in str(refusal)
            continue
        assert maps.shape == (2, size, size) and maps.isfinite().all(), name
        if name != "guided_grad_cam":  # which is 0 where Grad-CAM is nowhere positive
            assert (maps.flatten(1).std(1) > 0).all(), name
    assert read() == left


def test_an_unknown_method_is_answered_with_the_known_and_the_nearest() -> None:
    assert find_method("grad_cam") is METHODS["grad_cam"]
    with pytest.raises(UsageError, match=r"did you mean grad_cam\? .*cam, grad_cam, "):
        find_method("gradcam")


def test_weights_of_ones_own_are_no_matter() -> None:
    """A network without parameters is explained too."""

    class Sum(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x.sum((1, 2, 3)), -x.sum((1, 2, 3))], 1)

    assert torch.equal(
        METHODS["saliency"](Sum(), pictures(2), classes(2, 2)),
        torch.tensor([3.0, -3.0])[:, None, None].expand(2, 8, 8),
    )
    assert LinearNet()(pictures()).shape == (3, 3)


BY_VIEW = ("cam", "grad_cam", "grad_cam_plus_plus")


@EVERY_METHOD
def test_one_view_changes_no_bit(method: Method, quick: None) -> None:
    x, targets = pictures(), classes()
    answering = AveragedViews(SmallNet(), ["identity"])
    assert torch.equal(method(answering, x, targets), method(SmallNet(), x, targets))


@pytest.mark.parametrize("name", BY_VIEW)
def test_the_maps_of_the_views_are_carried_back_signed_and_averaged(name: str) -> None:
    model, x, targets = SmallNet(), pictures(), classes()
    method = METHODS[name]
    seen, mirrored = method(model, x, targets), method(model, x.flip(-1), targets).flip(-1)
    assert (seen < 0).any() or name == "grad_cam_plus_plus"
    averaged = method(AveragedViews(model, ["identity", "flip"]), x, targets)
    torch.testing.assert_close(averaged, (seen + mirrored) / 2)
    assert torch.equal(method(AveragedViews(model, ["flip"]), x, targets), mirrored)


@pytest.mark.parametrize("name", ["integrated_gradients", "shap", "gradient_shap", "saliency"])
def test_other_methods_explain_the_mean_of_the_views_as_one_function(name: str) -> None:
    network, x, targets = SmallNet(), pictures(), classes()
    network.mean, network.std = torch.tensor([0.2, 0.5, 0.6]), torch.full((3,), 0.1)
    model = AveragedViews(network, ["identity", "flip"])
    maps = METHODS[name](model, x, targets)
    if name == "saliency":
        mirrored = saliency(network, x.flip(-1), targets).flip(-1)
        torch.testing.assert_close(maps, (saliency(network, x, targets) + mirrored) / 2)
        return
    start = blurred(x) if name == "shap" else mean_colour(model, x)
    assert torch.equal(mean_colour(model, x)[0, :, 0, 0], network.mean)
    with explaining(model), torch.no_grad():
        gain = (model(x) - model(start))[range(3), targets]
        one_view = (network(x) - network(start))[range(3), targets]
    loose = 0.25 if name == "gradient_shap" else 0.02  # it is an expectation over 64 draws
    torch.testing.assert_close(maps.sum((1, 2)), gain, rtol=loose, atol=loose)
    assert (gain - one_view).abs().max() > loose


def test_guided_grad_cam_cuts_the_negative_part_off_after_the_views_are_averaged() -> None:
    network, x, targets = SmallNet(), pictures(), classes()
    model = AveragedViews(network, ["identity", "flip"])
    guided = [
        METHODS["guided_grad_cam"](network, image, targets) / _positive(network, image, targets)
        for image in (x, x.flip(-1))
    ]
    mean = (guided[0] + guided[1].flip(-1)) / 2
    marked = _positive(network, x, targets).isfinite() & mean.isfinite()
    expected = METHODS["grad_cam"](model, x, targets).clamp(min=0) * mean
    found = METHODS["guided_grad_cam"](model, x, targets)
    assert marked.sum() > 20
    torch.testing.assert_close(found[marked], expected[marked], rtol=1e-3, atol=1e-5)


def _positive(network: nn.Module, x: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return METHODS["grad_cam"](network, x, targets).clamp(min=0)


def test_integrated_gradients_add_up_to_the_logits_that_predict_answers_by() -> None:
    classifier = seewhy.load("fast", device="cpu")
    model = classifier.module(views=True)
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 256, (5, 5, 3), np.uint8)) for _ in range(2)]
    pixels = np.stack([np.asarray(image.resize((32, 32))) for image in images])
    predictions, x = classifier.predict(pixels), to_input(pixels, "cpu")
    targets = torch.from_numpy(predictions.predicted)
    with explaining(model), torch.no_grad():
        start = model(mean_colour(model, x[:1]))[0, targets].numpy()
    gain = predictions.logits[range(2), predictions.predicted] - start
    total = integrated_gradients(model, x, targets).sum((1, 2)).numpy()
    assert total == pytest.approx(gain, rel=0.03, abs=0.03)
