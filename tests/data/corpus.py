"""Reads many bad images in a process of its own and says how it went: one JSON line (R1, R4).

    python tests/data/corpus.py SEED COUNT [FOLDER]
    python tests/data/corpus.py bombs FOLDER

COUNT seeded mutants, of generated images and of the files in FOLDER where given, which are read
as they are as well. Anything but `ImageError` ends it with a traceback and the input in `attacks/`.
"""

import json
import struct
import sys
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from data.pictures import RAMP, blocks, chunk, encoded, noise, png, profile, tiff
from PIL import Image

from seewhy.config.input_rule import InputRule
from seewhy.data.images.decode import UPLOAD, content_hash, decode, store
from seewhy.errors import ImageError

ATTACKS = Path(__file__).parents[1] / "attacks"
EXTREMES = (
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\0\1\0\0",
    b"\xff\xd8",
)


def seeds() -> list[bytes]:
    """Small good files of every format, mode and odd feature."""
    rgb = Image.fromarray(blocks())
    rgba = rgb.copy()
    rgba.putalpha(90)
    tags = Image.Exif()
    tags[0x0112] = 6
    options = {"exif": tags.tobytes(), "icc_profile": profile(2, 1, 0)}
    found = [encoded(rgb, kind, **options) for kind in ("JPEG", "PNG", "WEBP", "TIFF")]
    found += [encoded(rgb, kind) for kind in ("GIF", "BMP")]
    found += [encoded(image, "PNG") for image in (rgba, rgb.convert("1"), Image.fromarray(RAMP))]
    found += [encoded(rgb.quantize(9), kind, transparency=3) for kind in ("PNG", "GIF")]
    found += [encoded(rgb.convert(mode), "JPEG", progressive=True) for mode in ("RGB", "L", "CMYK")]
    for compression in ("tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"):
        found.append(encoded(rgb, "TIFF", compression=compression))
    found.append(encoded(rgb.convert("1"), "TIFF", compression="group4"))
    found.append(encoded(rgba, "WEBP", lossless=False))
    found += [
        encoded(rgb, k, save_all=True, append_images=[rgba]) for k in ("GIF", "PNG", "WEBP", "TIFF")
    ]
    found.append(tiff(noise().astype(np.float32)[..., 0], 32, 1, 3))
    return found


def mutant(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four seeded changes: bits, bytes, extremes, cuts, copies, or what lies after a place."""
    for _ in range(rng.integers(1, 5)):
        at, size = int(rng.integers(len(data) + 1)), int(rng.integers(1, 40))
        match rng.integers(6):
            case 0:
                at = min(at, len(data) - 1)
                data = data[:at] + bytes([data[at] ^ 1 << int(rng.integers(8))]) + data[at + 1 :]
            case 1:
                data = data[:at] + rng.bytes(size) + data[at + size :]
            case 2:
                data = data[:at] + EXTREMES[rng.integers(len(EXTREMES))] + data[at + 4 :]
            case 3:
                data = data[:at] + data[at + size :]
            case 4:
                data = data[:at] + data[at - size : at] * int(rng.integers(1, 50)) + data[at:]
            case 5:
                data = data[: max(at, 16)]
        data = data or b"\0"
    return data


def bombs() -> dict[str, bytes]:
    """Small files that promise, or unpack to, far more than they are."""
    zeros = zlib.compress(bytes(1 << 28))
    found = {
        f"png of {pixels} MP": png(pixels * 1000, 1000, 8, 2, bytes(100))
        for pixels in (26, 50, 89, 179, 400)
    }
    found["png of one bit"] = encoded(Image.new("1", (20_000, 20_000)), "PNG")
    found["text"] = png(8, 8, 8, 0, bytes(72), chunk(b"zTXt", b"a\0\0" + zeros))
    found["profile"] = png(8, 8, 8, 0, bytes(72), chunk(b"iCCP", b"a\0\0" + zeros))
    frames = [Image.new("P", (8, 8), number % 9) for number in range(5000)]
    found["gif of 5,000 frames"] = encoded(
        frames[0], "GIF", save_all=True, append_images=frames[1:]
    )
    found["tiff of 100,000 directories"] = tiff_of(directories=100_000)
    found["tiff of one tile"] = tiff_of(tile=40_000)
    return found


def tiff_of(directories: int = 1, tile: int = 16) -> bytes:
    """A image of 10x10 in a single compressed tile, and more directories behind its own."""
    data = zlib.compress(bytes(tile * tile)) if tile < 100 else zlib.compress(bytes(100))
    tags = [(256, 10), (257, 10), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(322, tile), (323, tile), (324, 8), (325, len(data))]
    found = b"II*\0" + struct.pack("<I", 8 + len(data)) + data
    end = len(found) + 2 + 12 * len(tags) + 4
    found += struct.pack("<H", len(tags))
    found += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    more = [
        struct.pack("<IHHHII", end + 18 * number, 1, 256, 4, 1, 10)
        for number in range(directories - 1)
    ]
    return found + b"".join(more) + bytes(4)


def attempt(data: bytes) -> tuple[str, float]:
    """Reads one file; its outcome and the seconds of processor time it took."""
    start = time.process_time()
    try:
        image = decode(data, UPLOAD)
        store(image, InputRule(size=32, store=32))
        content_hash(image)
        outcome = "ok"
    except ImageError as error:
        outcome = error.code
    except BaseException:
        (ATTACKS / "picture-that-got-through").write_bytes(data)
        raise
    return outcome, time.process_time() - start


def peak_mb() -> float:
    """The highest resident memory of this program; `getrusage` counts what started it too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def explode(folder: Path) -> dict[str, object]:
    """The outcome of each file, and by how many MB it raised the peak of memory."""
    attempt(encoded(blocks(), "TIFF", compression="tiff_lzw"))  # the libraries are in memory now
    found = {}
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        before = peak_mb()
        found[path.name] = attempt(data)[0], peak_mb() - before
    return found


def main() -> None:
    if sys.argv[1] == "bombs":
        print(json.dumps(explode(Path(sys.argv[2]))))
        return
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    rng = np.random.default_rng(seed)
    good = seeds()
    for data in good:
        assert attempt(data)[0] == "ok"
    files = (
        [p.read_bytes() for p in sorted(Path(sys.argv[3]).rglob("*")) if p.is_file()]
        if sys.argv[3:]
        else []
    )
    sources = good + [data for data in files if len(data) < 200_000 and data]
    mutants = (mutant(sources[rng.integers(len(sources))], rng) for _ in range(count))
    results = [attempt(data) for group in (files, mutants) for data in group]
    print(
        json.dumps(
            {
                "files": len(results),
                "outcomes": Counter(outcome for outcome, _ in results),
                "slowest_seconds": max(seconds for _, seconds in results),
                "seconds": sum(seconds for _, seconds in results),
                "peak_mb": peak_mb(),
            }
        )
    )


if __name__ == "__main__":
    main()
