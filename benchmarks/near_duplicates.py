"""Near-duplicates: recall per kind of copy, and precision among images that only look alike.

    python benchmarks/near_duplicates.py ../shared/data/hymenoptera ../shared/data/cifar10

Copies of each kind are made of half of the photographs and of 500 images of CIFAR-10's training
split, saved as JPEG of quality 90, and looked for among these images and their copies. The limits were
chosen on the other halves (`--half tuned`). A pair that was not made counts against precision. Hard
negatives: dark clothes of one cut with folds of their own, on a floor that is different (moved) or the
same (fixed) below each; crops of a texture that do not overlap; digits. All of CIFAR-10 is searched for
the number of pairs, time and memory. Writes `benchmarks/results/near-duplicates.json` and `.md`.
"""

import argparse
import io
import json
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from machine import describe as machine
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
from sklearn.datasets import load_digits

import seewhy

RESULTS = Path(__file__).parent / "results"
Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def jpeg(quality: int) -> Change:
    def change(image: Image.Image, _: np.random.Generator) -> Image.Image:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        return Image.open(file).convert("RGB")

    return change


def half_size(image: Image.Image, _: np.random.Generator) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC)


def other_light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    image = ImageEnhance.Brightness(image).enhance(rng.choice([0.6, 1.3]))
    image = ImageEnhance.Contrast(image).enhance(rng.choice([0.7, 1.3]))
    gamma = rng.choice([0.7, 1.4])
    return image.point([round(255 * (level / 255) ** gamma) for level in range(256)] * 3)


def turned(degrees: float) -> Change:
    return lambda image, rng: image.rotate(degrees * rng.choice([-1, 1]), Image.Resampling.BICUBIC)


def flipped(*ways: Image.Transpose) -> Change:
    return lambda image, rng: image.transpose(ways[rng.integers(len(ways))])


def cropped(share: float) -> Change:
    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = (round(side * (1 - share)) for side in image.size)
        x = rng.integers(image.width - width + 1)
        y = rng.integers(image.height - height + 1)
        return image.crop((x, y, x + width, y + height))

    return change


def with_text(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    image = image.copy()
    place = rng.uniform(0.05, 0.4) * image.width, rng.uniform(0.1, 0.8) * image.height
    colour = [(255, 255, 255), (0, 0, 0)][rng.integers(2)]
    size = max(min(image.size) // 9, 5)
    ImageDraw.Draw(image).text(place, "sample.com", fill=colour, font_size=size)
    return image


def with_border(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    colour = [(0, 0, 0), (255, 255, 255), (180, 60, 40)][rng.integers(3)]
    return ImageOps.expand(image, max(1, round(0.1 * min(image.size))), colour)


NEAR = "near-leak", "near-duplicate", "crowd"  # findings about pairs
T = Image.Transpose
KINDS: dict[str, Change] = {
    "JPEG of quality 70": jpeg(70),
    "JPEG of quality 40": jpeg(40),
    "half the size": half_size,
    "brightness, contrast, gamma": other_light,
    "grey": lambda image, _: image.convert("L").convert("RGB"),
    "mirrored": flipped(T.FLIP_LEFT_RIGHT),
    "quarter turn": flipped(T.ROTATE_90, T.ROTATE_270),
    "upside down": flipped(T.ROTATE_180),
    "turned by 3 degrees": turned(3),
    "turned by 5 degrees": turned(5),
    "turned by 10 degrees": turned(10),
    "cropped by 10%": cropped(0.1),
    "cropped by 20%": cropped(0.2),
    "cropped by 30%": cropped(0.3),
    "text over it": with_text,
    "border of 10%": with_border,
}


def stored(image: Image.Image, side: int) -> np.ndarray:
    """The image as a data set stores it: its centre square at this side."""
    scale = side / min(image.size)
    size = [max(side, round(length * scale)) for length in image.size]
    image = image.resize(size, Image.Resampling.BICUBIC)
    x, y = (image.width - side) // 2, (image.height - side) // 2
    return np.asarray(image.crop((x, y, x + side, y + side)))


def found(images: np.ndarray) -> tuple[np.ndarray, float]:
    """The pairs of rows that `check_data` calls near-duplicates, and the seconds that it takes."""
    start = time.process_time()
    labels = np.arange(len(images)) % 2
    report = seewhy.check_data((images, labels), seewhy.DataConfig(size=images.shape[1]))
    row = [int(name.split("/")[-1]) for name in report.gathered.ids]
    pairs = [
        [row[one] for one in example.rows]
        for finding in report.findings
        if finding.kind in NEAR
        for example in finding.examples
    ]
    return np.array(pairs, int).reshape(-1, 2), time.process_time() - start


def recalls(sources: list[Image.Image], side: int) -> dict[str, dict[str, float]]:
    """For each kind, the share of the made pairs that is found, and of the found pairs that was made."""
    rng = np.random.default_rng(0)
    save, count = jpeg(90), len(sources)
    plain = np.stack([stored(image, side) for image in sources])
    table = {}
    for kind, change in KINDS.items():
        copies = np.stack([stored(save(change(image, rng), rng), side) for image in sources])
        rows, _ = found(np.concatenate([plain, copies]))
        right = int((np.abs(rows[:, 0] - rows[:, 1]) == count).sum())
        table[kind] = {"recall": right / count, "precision": right / max(len(rows), 1)}
        print(side, kind, table[kind], flush=True)
    return table


def texture(rng: np.random.Generator, side: int, fall: float) -> np.ndarray:
    """Noise whose amplitude falls as frequency to this power, (side, side), std 1."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(
        np.fft.rfft2(rng.normal(size=(side, side))) / frequency**fall, s=(side, side)
    )
    return noise / noise.std()


def floor(rng: np.random.Generator, side: int = 600) -> np.ndarray:
    wood = texture(rng, side, 0.8) * 9
    for x in range(0, side, 75):
        wood[:, x : x + 75] += rng.normal() * 6
        wood[:, x : x + 3] -= 25
    return np.stack([170 + wood, 140 + wood, 105 + wood], -1)


def trousers(rng: np.random.Generator, side: int) -> list[tuple[float, float]]:
    middle, width, top, bottom, spread, leg, crotch = (
        side * (share + rng.normal() * vary)
        for share, vary in (
            (0.5, 0.01), (0.17, 0.008), (0.1, 0.008), (0.9, 0.012),
            (0.2, 0.012), (0.085, 0.006), (0.38, 0.012),
        )
    )  # fmt: skip
    right = [
        (0.8 * width, top),
        (width, 0.7 * crotch),
        (spread + leg, bottom),
        (spread - leg, bottom),
    ]
    outline = [*right, (0.0, crotch), *[(-x, y) for x, y in reversed(right)]]
    return [(middle + x, y) for x, y in outline]


def shirt(rng: np.random.Generator, side: int) -> list[tuple[float, float]]:
    middle, width, top, bottom, sleeve, elbow = (
        side * (share + rng.normal() * vary)
        for share, vary in (
            (0.5, 0.01), (0.17, 0.008), (0.1, 0.008), (0.9, 0.012), (0.33, 0.012), (0.4, 0.02),
        )
    )  # fmt: skip
    right = [(0.4 * width, 1.2 * top), (width, top), (1.1 * sleeve, elbow)]
    right += [(0.8 * sleeve, 1.15 * elbow), (1.1 * width, 0.8 * elbow), (1.1 * width, 0.9 * bottom)]
    return [(middle + x, y) for x, y in [*right, *[(-x, y) for x, y in reversed(right)]]]


def clothes(cut: Callable, fixed: bool, count: int, seed: int, side: int = 300) -> np.ndarray:
    """Dark clothes of one cut on a wooden floor, each with folds of its own, as stored at 147 pixels."""
    rng = np.random.default_rng(seed)
    wood, images = floor(rng), []
    for _ in range(count):
        y, x = (100, 100) if fixed else rng.integers(0, 300, 2)
        ground = wood[y : y + side, x : x + side] * (1 + rng.normal() * 0.03)
        ground = ground + rng.normal(size=(side, side, 1)) * 3
        mask, folds = Image.new("L", (side, side), 0), Image.new("L", (side, side), 128)
        ImageDraw.Draw(mask).polygon(cut(rng, side), fill=255)
        mask = mask.rotate(rng.normal() * 2).filter(ImageFilter.GaussianBlur(1))
        for _ in range(14):
            start, angle = rng.uniform(0.2, 0.8, 2) * side, np.pi / 2 + rng.normal() * 0.5
            end = start + rng.uniform(0.05, 0.25) * side * np.array([np.cos(angle), np.sin(angle)])
            level = round(128 + rng.choice([-1, 1]) * rng.uniform(15, 60))
            line = [tuple(start), tuple(end)]
            ImageDraw.Draw(folds).line(line, fill=level, width=int(rng.integers(2, 7)))
        fold = np.asarray(folds.filter(ImageFilter.GaussianBlur(2)))[..., None] / 128.0 - 1
        cloth = np.array([30, 30, 34]) + rng.normal() * 4 + 25 * fold
        cloth = cloth + texture(rng, side, 0.6)[..., None] * 3
        share = np.asarray(mask)[..., None] / 255
        image = np.clip(ground * (1 - share) + cloth * share, 0, 255).astype(np.uint8)
        images.append(stored(jpeg(90)(Image.fromarray(image), rng), 147))
    return np.stack(images)


def texture_crops(seed: int, side: int = 200) -> np.ndarray:
    rng, images = np.random.default_rng(seed), []
    for _ in range(10):
        whole = 128 + texture(rng, 4 * side, rng.uniform(0.5, 1.3)) * rng.uniform(15, 40)
        grey = np.clip(whole, 0, 255).astype(np.uint8)
        for n in range(16):
            y, x = side * (n // 4), side * (n % 4)
            part = Image.fromarray(grey[y : y + side, x : x + side]).convert("RGB")
            images.append(stored(part, 147))
    return np.stack(images)


def hard_negatives(seed: int) -> Iterator[tuple[str, np.ndarray]]:
    for cut in (trousers, shirt):
        for fixed in (False, True):
            name = f"{cut.__name__}, floor {'fixed' if fixed else 'moved'}"
            yield name, clothes(cut, fixed, 150, seed)
    yield "crops of a texture", texture_crops(seed)
    digits = [Image.fromarray((digit * 15.9).astype(np.uint8)) for digit in load_digits().images]
    yield "digits, enlarged to 28", np.stack([stored(d.convert("RGB"), 28) for d in digits])


def false_pairs(seed: int) -> dict[str, dict[str, object]]:
    table: dict[str, dict[str, object]] = {}
    for name, images in hard_negatives(seed):
        rows, seconds = found(images)
        table[name] = {"images": len(images), "pairs": len(rows), "seconds": seconds}
        print(name, table[name], flush=True)
    return table


def whole_cifar(source: Path) -> dict[str, object]:
    """The near-duplicates in all of CIFAR-10, by the splits of their images; time without reading."""
    moments = []

    def note(event: object) -> None:
        if getattr(event, "what", "") in ("searching", "comparing"):
            moments.append((time.process_time(), time.perf_counter()))

    report = seewhy.check_data(source, on_event=note)
    splits = report.gathered.splits
    pairs = [
        " and ".join(sorted({str(splits[row]) for row in example.rows}))
        for finding in report.findings
        if finding.kind in NEAR
        for example in finding.examples
    ]
    cpu, wall = np.subtract(moments[-1], moments[0])
    return {
        "images": len(report.gathered),
        "pairs": len(pairs),
        "by_split": dict(Counter(pairs)),
        "cpu_seconds": float(cpu),
        "seconds": float(wall),
        "peak_mb_of_process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def as_text(record: dict) -> str:
    lines = [
        "# Near-duplicates",
        "",
        f"`python benchmarks/near_duplicates.py ...`, sources of the half: {record['half']}.",
        "",
        "| copy | recall, photographs | precision | recall, CIFAR-10 (JPEG copy) | precision |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS:
        cells = [
            f"{record[source][kind][name]:.1%}"
            for source in ("photographs", "cifar10")
            for name in ("recall", "precision")
        ]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    lines += [
        "",
        "| only look alike | images | false pairs | s |",
        "|---|---|---|---|",
    ]
    for name, row in record["hard_negatives"].items():
        lines.append(f"| {name} | {row['images']:,} | {row['pairs']:,} | {row['seconds']:.1f} |")
    whole = record["whole_cifar10"]
    lines += [
        "",
        f"All {whole['images']:,} images of CIFAR-10 (JPEG copy): {whole['pairs']:,} pairs "
        f"({whole['by_split']}) in {whole['cpu_seconds']:.0f} s of one core; the process took "
        f"{whole['peak_mb_of_process']:.0f} MB at most.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("cifar10", type=Path)
    parser.add_argument("--half", choices=("reported", "tuned"), default="reported")
    given = parser.parse_args()
    part = 1 if given.half == "reported" else 0
    rng = np.random.default_rng(1)
    files = sorted(given.photographs.rglob("*.jpg"))
    chosen = np.array_split(rng.permutation(len(files)), 2)[part]
    photographs = [Image.open(files[n]).convert("RGB") for n in chosen]
    small = seewhy.load_data(given.cifar10).train.images
    rows = np.sort(np.split(rng.permutation(len(small))[:1000], 2)[part])
    record: dict[str, object] = {
        "command": "python benchmarks/near_duplicates.py HYMENOPTERA CIFAR10",
        "half": given.half,
        "machine": machine(),
        "whole_cifar10": whole_cifar(given.cifar10),
        "photographs": recalls(photographs, 147),
        "cifar10": recalls([Image.fromarray(image) for image in small[rows]], 32),
        "hard_negatives": false_pairs(seed=20 + part),
    }
    if given.half == "reported":
        (RESULTS / "near-duplicates.json").write_text(json.dumps(record, indent=1) + "\n")
        (RESULTS / "near-duplicates.md").write_text(as_text(record))
    print(as_text(record))


if __name__ == "__main__":
    main()
