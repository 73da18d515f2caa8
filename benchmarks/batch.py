"""`seewhy predict` over many images: images/s beside the decoder's limit, memory, and kills with resume.

    python benchmarks/batch.py FOLDER [--count 4000] [--photos 120] [--kills 5] [--full] [--model fast]

FOLDER has a folder of PNGs of one size for each class. Rates are of its first `--count` images, and of
`--photos` JPEG photographs of 3 megapixels that are made: by the model, by its ONNX file where ONNX Runtime
is installed, and by a small network that is faster than the decoder (a simple CNN at 16 pixels, trained for
one epoch on 500 images). The decoder's limit is the same way with a network that takes no time. Memory is
anonymous resident memory (RssAnon), looked at five times a second; with `--full` also while the small network
labels all images of FOLDER. Each kill is a kill -9 at a random row of four times as many images; in the end
the table is compared with one that nothing interrupted. Writes `benchmarks/results/batch.json`.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from machine import describe
from PIL import Image

import seewhy

SAMPLE_SECONDS = 0.2


def anonymous(pid: int) -> int:
    """RssAnon in KiB; 0 once the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def command(model: str, listed: Path, out: Path, *flags: str) -> list[str]:
    """The words of one `predict`."""
    start = [sys.executable, "-m", "seewhy", "predict", model, str(listed), "--out", str(out)]
    return [*start, "--json", *flags]


def predict(model: str, listed: Path, out: Path) -> dict[str, Any]:
    """Labels the images of a list in a process of its own, and watches its anonymous memory."""
    log = out.with_suffix(".err")
    with open(log, "wb") as errors:
        child = subprocess.Popen(
            command(model, listed, out), stdout=subprocess.PIPE, stderr=errors, text=True
        )
        memory = []
        start = time.perf_counter()
        while child.poll() is None:
            memory.append((time.perf_counter() - start, anonymous(child.pid) / 1024))
            time.sleep(SAMPLE_SECONDS)
    assert child.returncode == 0 and child.stdout is not None, log.read_text()
    result = json.loads(child.stdout.read())
    kept = ("images", "seconds", "images_per_second", "bottleneck", "digest")
    noted = [line for line in log.read_text().splitlines() if "bottleneck" in line]
    return {name: result[name] for name in kept} | {"note": noted, "memory": about(memory)}


def about(memory: list[tuple[float, float]]) -> dict[str, float]:
    """The highest MB, and how they grow over the second half of the time."""
    peak, end = max(megabytes for _, megabytes in memory), memory[-1][0]
    half = np.array([one for one in memory if end / 2 < one[0] < 0.95 * end])  # before it ends
    slope = float(np.polyfit(half[:, 0], half[:, 1], 1)[0]) if len(half) > 2 else float("nan")
    return {
        "peak_mb": round(peak, 1),
        "mb_a_minute_in_the_second_half": round(60 * slope, 2),
        "range_mb_in_the_second_half": round(float(np.ptp(half[:, 1])), 1) if len(half) else 0.0,
    }


def decoder(model: str, images: list[str]) -> dict[str, float]:
    """Images a second where the network takes no time."""
    real = seewhy.load(model)
    zeros = SimpleNamespace(
        classes=real.classes,
        rule=real.rule,
        decision=real.decision,
        digest=real.digest,
        outputs=lambda batch, embed: (np.zeros((len(batch), len(real.classes)), np.float32), None),
    )
    with seewhy.Classifier(zeros) as classifier:
        start, cpu = time.perf_counter(), time.process_time()
        for _ in classifier.predict_chunks(images):
            pass
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "images_per_second": round(len(images) / seconds, 1),
        "cpu_ms_an_image": round(1000 * cpu / len(images), 3),
    }


def rates(models: dict[str, str], images: list[str], home: Path, name: str) -> dict[str, Any]:
    """Each model over the same images, with the decoder before and after."""
    listed = home / f"{name}.txt"
    listed.write_text("".join(f"{image}\n" for image in images))
    record: dict[str, Any] = {"images": len(images), "decoder": [decoder(models["small"], images)]}
    for kind, model in models.items():
        record[kind] = predict(model, listed, home / f"{name}-{kind}.csv")
        print(name, kind, json.dumps(record[kind]), flush=True)
    record["decoder"].append(decoder(models["small"], images))
    limit = float(np.mean([one["images_per_second"] for one in record["decoder"]]))
    for kind in models:
        record[kind]["of_the_decoders_limit"] = round(record[kind]["images_per_second"] / limit, 3)
    return record


def small(images: list[str], out: Path) -> str:
    """A model that is faster than the decoder."""
    sample = images[:: max(1, len(images) // 500)]
    pixels = [np.asarray(Image.open(image).convert("RGB")) for image in sample]
    data = (np.stack(pixels), [Path(image).parent.name for image in sample])
    overrides = {"data.size": 16, "train.epochs": 1}
    return str(seewhy.train(data, "simple-cnn", out=out, overrides=overrides).path)


def make_photos(folder: Path, count: int) -> list[str]:
    """Smooth random JPEG photographs of 2,000 x 1,500 pixels."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    names = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
        names.append(str(folder / f"{number:05}.jpg"))
        coarse.resize((2000, 1500), Image.Resampling.BICUBIC).save(names[-1], quality=90)
    return names


def kills(model: str, images: list[str], home: Path, count: int) -> dict[str, Any]:
    """Kills a process so often, each time at a random row, and continues until the table is there."""
    listed = home / "kills.txt"
    listed.write_text("".join(f"{image}\n" for image in images))
    whole, out = home / "whole.csv", home / "killed.csv"
    subprocess.run(command(model, listed, whole), check=True, capture_output=True)
    rng, partial = random.Random(0), home / "killed.csv.partial"
    kept = [0]
    for _ in range(count):
        moment = kept[-1] + rng.randrange(1, len(images) // count)
        child = subprocess.Popen(
            command(model, listed, out, "--resume"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while child.poll() is None and rows_of(partial) < moment:
            time.sleep(0.01)
        child.kill()
        child.wait()
        kept.append(rows_of(partial))
    subprocess.run(command(model, listed, out, "--resume"), check=True, capture_output=True)
    return {
        "images": len(images),
        "rows_kept_after_each_kill": kept[1:],
        "same_bytes_in_the_end": out.read_bytes() == whole.read_bytes(),
    }


def rows_of(partial: Path) -> int:
    """The rows that a journal holds."""
    return max(0, partial.read_bytes().count(b"\n") - 1) if partial.exists() else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--photos", type=int, default=120)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--model", default="fast")
    options = parser.parse_args()
    images = sorted(map(str, options.folder.rglob("*.png")))
    record: dict[str, Any] = {"command": "python benchmarks/batch.py " + " ".join(sys.argv[1:])}
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        models = {"small": small(images, home / "run"), "bundle": options.model}
        models["onnx"] = str(home / "model.onnx")
        try:
            seewhy.export(options.model, out=home / "model.onnx")
        except seewhy.SeeWhyError as error:
            print(error, file=sys.stderr)
            del models["onnx"]
        record["thumbnails"] = rates(models, images[: options.count], home, "thumbnails")
        photos = make_photos(home / "photos", options.photos)
        record["photographs"] = rates(models, photos, home, "photographs")
        record["kills"] = kills(models["small"], images[: 4 * options.count], home, options.kills)
        save(record)
        if options.full:
            listed = home / "full.txt"
            listed.write_text("".join(f"{image}\n" for image in images))
            record["full"] = predict(models["small"], listed, home / "full.csv")
    save(record)


def save(record: dict[str, Any]) -> None:
    """Writes what is measured so far."""
    text = json.dumps(record | {"machine": describe()}, indent=1)
    (Path(__file__).parent / "results" / "batch.json").write_text(text + "\n")
    print(text, flush=True)


if __name__ == "__main__":
    main()
