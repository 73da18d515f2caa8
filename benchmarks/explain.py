"""Explanations: how faithful the maps of each method are, and how long Grad-CAM takes.

    python benchmarks/explain.py ../shared/data/cifar10 [--model fast] [--pictures 100] [--out FILE]

Validation images drawn with seed 1 (the limits of the tests were chosen on other images), each explained for
the predicted class. Areas under the deletion curve (lower is better) and the insertion curve (higher is
better), beside those of the same map moved elsewhere; `gain` is insertion less deletion, less the same of
the moved maps, with its 95% confidence interval. `stretched_grad_cam` is Grad-CAM with its cells spread
evenly over the image, the usual way to draw it; `chance` is a smooth random map that does not depend on the
image: the share of these that is called reliable is the false-positive rate of the tests.
What is explained is what answers: the mean of the model's TTA views. Speed: the first call and the median of
five more, over 32 images. Writes `benchmarks/results/explain.json` unless `--out` names another file.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from machine import describe
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional

import seewhy
from seewhy.attribution.faithfulness import area
from seewhy.attribution.method import (
    Method,
    explanation,
    explanation_by_view,
    maps_and_gradients,
)
from seewhy.attribution.methods import METHODS
from seewhy.data.images.decode import centre
from seewhy.errors import UsageError
from seewhy.evaluation.stats.intervals import mean_with_t
from seewhy.inference.forward import to_input
from seewhy.models.registry import build

RESULTS = Path(__file__).parent / "results"
SPEED_IMAGES = 32
PHOTO_NETWORKS = {  # the network of the photos recipe, and two at the usual size of photographs
    "resnet18 at width 0.5, 128 pixels": ("resnet18", 128, {"width": 0.5}),
    "photo_cnn, 224 pixels": ("photo_cnn", 224, {}),
    "resnet18, 224 pixels": ("resnet18", 224, {}),
}


@explanation_by_view
def stretched_grad_cam(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Grad-CAM resized to the image by bilinear interpolation, with its negative part."""
    maps, gradients = maps_and_gradients(model, images, targets)
    stretched = torch.einsum("nc,nchw->nhw", gradients.mean((2, 3)), maps)[:, None]
    return functional.interpolate(
        stretched, images.shape[2:], mode="bilinear", align_corners=False
    )[:, 0]


@explanation
def chance(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    """Four by four random numbers per image, different for each network, enlarged smoothly."""
    weights = next(p for p in model.parameters() if p.dim() > 1)
    place = torch.arange(weights.numel()).view_as(weights)
    drawn = torch.Generator().manual_seed(int((weights * place).sum().abs() * 1000))
    noise = torch.randn(len(images), 1, 4, 4, generator=drawn)
    return functional.interpolate(noise, images.shape[2:], mode="bicubic", align_corners=False)[
        :, 0
    ]


def believed(model: nn.Module, x: Tensor, targets: Tensor, method: Method) -> dict[str, object]:
    """Returns the mean metrics of a method's maps."""
    start = time.perf_counter()
    result = seewhy.faithfulness(model, x, targets, method)
    own = area(result.insertion) - area(result.deletion)
    gains = own - (area(result.random_insertion) - area(result.random_deletion))
    gain = mean_with_t(gains, ())
    return {
        **{name: round(value, 4) for name, value in result.means().items()},
        "gain": {name: round(value, 4) for name, value in gain.json_form().items()},
        "seconds_a_picture_tested": round((time.perf_counter() - start) / len(x), 3),
    }


def speed(model: nn.Module, x: Tensor) -> dict[str, float]:
    targets = torch.zeros(len(x), dtype=torch.int64)
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        seewhy.grad_cam(model, x, targets)
        seconds.append(time.perf_counter() - start)
    return {"first": round(seconds[0], 3), "median_of_5": round(statistics.median(seconds[1:]), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cifar10")
    parser.add_argument("--model", default="fast")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS / "explain.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    classifier = seewhy.load(options.model, device="cpu")
    network, size = classifier.module(views=True), classifier.rule.size
    part = classifier.splits(options.cifar10).val
    count = max(options.pictures, SPEED_IMAGES)
    part = part.take(np.random.default_rng(1).permutation(len(part))[:count])
    x = to_input(centre(part.images[:], size), "cpu")
    targets = torch.from_numpy(classifier.predict_set(part).predicted)
    seconds = {options.model: speed(network, x[:SPEED_IMAGES])}
    for name, (network_name, side, arguments) in PHOTO_NETWORKS.items():
        model = build(network_name, num_classes=10, size=side, **arguments).eval()
        model = model.to(memory_format=torch.channels_last)
        images = torch.rand(SPEED_IMAGES, 3, side, side)
        seconds[name] = speed(model, images.to(memory_format=torch.channels_last))
    results = {}
    methods = {**METHODS, "stretched_grad_cam": stretched_grad_cam, "chance": chance}
    for name, method in track(methods.items(), total=len(methods)):
        try:
            few = options.pictures
            results[name] = believed(network, x[:few], targets[:few], method)
        except UsageError as refused:  # cam, where the head is no pooled linear layer
            results[name] = {"refused": str(refused)}
    record = {
        "command": "python benchmarks/explain.py " + " ".join(sys.argv[1:]),
        "model": options.model,
        "faithfulness": results,
        "grad_cam_of_32_pictures_seconds": seconds,
        "threads": torch.get_num_threads(),
        "machine": describe(),
    }
    text = json.dumps(record, indent=1)
    options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
