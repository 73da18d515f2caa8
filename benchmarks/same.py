"""Whether two checkouts do the same: weights and logits to the bit, and what ten commands print and write.

    python benchmarks/same.py OLD_CHECKOUT [--keep DIR]

Both train, evaluate and the rest on generated images, each in its own folder and with its own cache. Numbers
in files and on the terminal must be equal, but for times and the digests that depend on them; differences in
words alone are counted and shown with --words. Exits 1 when a number, a bit or a file differs.
"""

import argparse
import csv
import difflib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import safetensors.numpy
from PIL import Image

RECIPE = """\
extends: photos
data: {size: 32, val: 0.2}
model: {name: speednet, width: 0.25}
augment: {random_resized_crop: null, crop_padding: 2, flip: 0.5, rotate: 5, brightness: 0.2, mixup: 0.2}
train: {epochs: 3, batch_size: 32, optimizer: adam, lr: 0.002, schedule: cosine, warmup: 1, ema: 0.9,
  amp: fp32, label_smoothing: 0.05, weight_decay: 0.0005, gradient_norms: 4}
views: [identity, flip]
"""
COMMANDS = {
    "train": "train --recipe recipe.yaml --data photos --out run",
    "evaluate": "evaluate run --data photos --full --json",
    "evaluate test": "evaluate run --data photos --split test",
    "predict": "predict run photos/ant noise --out predicted.csv",
    "calibrate": "calibrate run --data photos --coverage 0.8 --out-of-scope noise --out sure.safetensors",
    "train seeds": "train --recipe recipe.yaml --data photos --seeds 2 --epochs 2 --out seeds",
    "train sgd": "train --recipe fast --data photos --epochs 4 --train.batch_size 64 --out sgd",
    "compare": "compare run seeds/seed-1 --data photos --out compared",
    "explain": "explain run --data photos --n 4 --method grad_cam,saliency,occlusion --features --out why",
    "report": "report run",
    "robustness": "robustness run --data photos --n 8 --out tried",
    "ablate": "ablate --recipe recipe.yaml --data photos --without augment --seeds 1 --epochs 2 --out rows",
    "data stats": "data stats photos --json",
    "data check": "data check photos --json --out checked",
    "data labels": "data labels photos --recipe recipe.yaml --folds 2 --epochs 2 --out labels",
    "info": "info run --json",
    "recipes": "recipes show fast",
    "models": "models --json",
}
FAILS = {"data check"}  # exits 1 where it finds something
TIMES = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\b[\d,.]+ (?:ms|s|min|images/s|MB)\b|\b[0-9a-f]{64}\b|\d+ h \d+ min"
)
TIMED = {
    "seconds",
    "seconds_mean",
    "elapsed",
    "digest",
    "parents",
    "latency",
    "sha256",
    "target_seconds",
    "megabytes",
}
NUMBER = re.compile(r"-?\d[\d,]*\.?\d*(?:e[-+]?\d+)?%?")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("old", type=Path)
    parser.add_argument("--keep", type=Path, help="where both write [a folder that is removed]")
    parser.add_argument("--words", action="store_true", help="show where words differ")
    parser.add_argument("--only", help="commands by name, with commas")
    given = parser.parse_args()
    checkouts = {"old": given.old.resolve(), "new": Path(__file__).resolve().parents[1]}
    with tempfile.TemporaryDirectory() as temporary:
        home = (given.keep or Path(temporary)).resolve()
        names = given.only.split(",") if given.only else list(COMMANDS)
        printed = {side: run_all(code, home / side, names) for side, code in checkouts.items()}
        wrong, words = [], []
        for name in names:
            old, new = (printed[side][name] for side in checkouts)
            compare_text(f"printed by {name}", old, new, wrong, words)
        compare_folders(home / "old", home / "new", wrong, words)
    for title, diff in words:
        print(f"words: {title}" + (f"\n{diff}" if given.words else ""))
    for line in wrong:
        print(f"DIFFERS: {line}")
    print(f"{len(names)} commands, {len(wrong)} differences, {len(words)} files in words alone")
    sys.exit(bool(wrong))


def run_all(checkout: Path, home: Path, names: list[str]) -> dict[str, str]:
    """Runs every command with a checkout's code in `home`, and gives what each printed."""
    home.mkdir(parents=True)
    make_images(home)
    (home / "recipe.yaml").write_text(RECIPE)
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout / "src"),
        "SEEWHY_CACHE": str(home / ".cache"),
        "COLUMNS": "100",
    }
    printed = {}
    for name in names:
        command = [sys.executable, "-m", "seewhy", *COMMANDS[name].split()]
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
        if done.returncode not in ((0, 1) if name in FAILS else (0,)):
            sys.exit(f"{checkout}: seewhy {COMMANDS[name]} exited {done.returncode}\n{done.stderr}")
        printed[name] = done.stdout
        print(f"{checkout.name}: {name}", file=sys.stderr)
    return printed


def make_images(home: Path) -> None:
    """Photographs of three classes, hard to tell apart, with a copy and a dark one; and noise."""
    rng = np.random.default_rng(7)
    for label, name in enumerate(("ant", "bee", "cow")):
        (home / "photos" / name).mkdir(parents=True)
        for number in range(60):
            y, x = np.mgrid[:40, :40] / 40
            waves = np.sin(2 * np.pi * (x * (2 + label) + y * rng.random() + rng.random()))
            pixels = 120 + 40 * waves[..., None] + rng.normal(0, 45, (40, 40, 3))
            pixels = np.clip(pixels, 0, 255) if number else pixels * 0
            Image.fromarray(pixels.astype(np.uint8)).save(home / f"photos/{name}/{number:03}.png")
    Image.open(home / "photos/ant/001.png").save(home / "photos/bee/100.png")
    (home / "noise").mkdir()
    for number in range(40):
        pixels = rng.integers(0, 255, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(home / f"noise/{number}.png")


def compare_folders(old: Path, new: Path, wrong: list[str], words: list[tuple[str, str]]) -> None:
    """Adds what differs in the files of two folders."""
    files = [{p.relative_to(home) for p in written(home)} for home in (old, new)]
    wrong += [f"{path} is written no more" for path in sorted(files[0] - files[1])]
    added = sorted(map(str, files[1] - files[0]))
    if added:
        words.append((f"new files: {', '.join(added)}", ""))
    for path in sorted(files[0] & files[1]):
        compare_files(path, old / path, new / path, wrong, words)


def written(home: Path) -> Iterator[Path]:
    for path in home.rglob("*"):
        inside = path.relative_to(home).parts
        if path.is_file() and inside[0] not in (".cache", "photos", "noise"):
            yield path


def compare_files(
    path: Path, old: Path, new: Path, wrong: list[str], words: list[tuple[str, str]]
) -> None:
    if path.suffix == ".safetensors":
        first, second = (safetensors.numpy.load(file.read_bytes()) for file in (old, new))
        alike = first.keys() == second.keys() and all(same_bits(first[k], second[k]) for k in first)
        if not alike:
            wrong.append(f"{path}: weights")
    elif path.suffix == ".parquet":
        if not pq.read_table(old).equals(pq.read_table(new)):
            wrong.append(f"{path}: predictions")
    elif path.suffix in (".json", ".jsonl"):
        compare_values(str(path), read_json(old), read_json(new), wrong, words)
    elif path.suffix == ".csv":
        compare_values(str(path), *(read_csv(file) for file in (old, new)), wrong, words)
    elif path.suffix == ".png":
        if not np.array_equal(np.asarray(Image.open(old)), np.asarray(Image.open(new))):
            words.append((f"{path} (an image)", ""))
    elif path.suffix in (".md", ".yaml", ".txt"):
        compare_text(str(path), old.read_text(), new.read_text(), wrong, words)
    elif old.read_bytes() != new.read_bytes() and path.suffix not in (".html", ".lock"):
        words.append((str(path), ""))


def same_bits(first: Any, second: Any) -> bool:
    return bool(first.dtype == second.dtype and first.tobytes() == second.tobytes())


def read_json(path: Path) -> Any:
    text = path.read_text()
    lines = text.splitlines() if path.suffix == ".jsonl" else [text]
    return [json.loads(line) for line in lines]


def read_csv(path: Path) -> list[dict[str, Any]]:
    return list(csv.DictReader(io.StringIO(path.read_text(errors="surrogateescape"))))


def compare_values(
    title: str, old: Any, new: Any, wrong: list[str], words: list[tuple[str, str]]
) -> None:
    """Compares JSON values: numbers and keys must be equal, but for times; texts may differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        if missing := sorted(map(str, old.keys() - new.keys())):
            wrong.append(f"{title}: lacks {', '.join(missing)}")
        for key in old.keys() & new.keys():
            if key not in TIMED and not str(key).startswith("target_seconds"):
                compare_values(f"{title}.{key}", old[key], new[key], wrong, words)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (a, b) in enumerate(zip(old, new, strict=True)):
            compare_values(f"{title}[{number}]", a, b, wrong, words)
    elif isinstance(old, str) and isinstance(new, str):
        compare_text(title, old, new, wrong, words)
    elif old != new and not (old != old and new != new):
        wrong.append(f"{title}: {str(old)[:80]} -> {str(new)[:80]}")


def without_timings(text: str) -> str:
    """A text whose tables lack the columns of seconds (Markdown) and of latency (the last one)."""
    timed: list[int] = []
    lines = []
    for line in text.splitlines():
        cells = line.split("|")
        if len(cells) > 2:
            timed = timed or [n for n, cell in enumerate(cells) if "seconds" in cell]
            line = "|".join(cell for n, cell in enumerate(cells) if n not in timed)
        elif re.search(r"%.*\d,\d{3} +[\d.]+$", line):
            line = line.rpartition(" ")[0].rstrip()
        lines.append(line)
    return "\n".join(lines)


def compare_text(
    title: str, old: str, new: str, wrong: list[str], words: list[tuple[str, str]]
) -> None:
    """Compares texts without their times: the numbers must be equal, the words may differ."""
    first, second = (TIMES.sub("~", without_timings(text)) for text in (old, new))
    if first == second:
        return
    try:
        values = json.loads(old), json.loads(new)
    except ValueError:
        values = None
    if values is not None and isinstance(values[0], dict | list):
        compare_values(title, *values, wrong, words)
        return
    diff = "\n".join(
        difflib.unified_diff(first.splitlines(), second.splitlines(), lineterm="", n=0)
    )
    if sorted(NUMBER.findall(first)) != sorted(NUMBER.findall(second)):
        wrong.append(f"{title}: numbers\n{diff}")
    else:
        words.append((title, diff))


if __name__ == "__main__":
    main()
