"""Small CIFAR-10 batches in every form in which they are about."""

import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np

from seewhy.data.sources.cifar10 import CLASSES

Batch = tuple[np.ndarray, list[int], list[str]]


def batch(count: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 3072), np.uint8)
    labels = [(seed + n) % 10 for n in range(count)]
    return pixels, labels, [f"{CLASSES[label]}_{n}.png" for n, label in enumerate(labels)]


def of_python_3(values: object) -> bytes:
    """As Python 3 writes it at protocol 2: bytes as latin-1 text, to be encoded."""
    return pickle.dumps(values, 2)


def of_python_2(values: dict[str, object]) -> bytes:
    """As the authors' Python 2 wrote it: plain strings, no bytes."""
    return b"\x80\x02" + _python_2(values) + b"."


def _python_2(value: object) -> bytes:
    if isinstance(value, dict):
        return b"}(" + b"".join(_python_2(k) + _python_2(v) for k, v in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(_python_2(item) for item in value) + b"e"
    if isinstance(value, int):
        return b"K" + bytes([value]) if value < 256 else b"J" + struct.pack("<i", value)
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        if len(value) < 256:
            return b"U" + bytes([len(value)]) + value
        return b"T" + struct.pack("<i", len(value)) + value
    assert isinstance(value, np.ndarray) and value.dtype == np.uint8
    shape = b"".join(b"M" + struct.pack("<H", side) for side in value.shape) + b"\x86"
    unset = b"J\xff\xff\xff\xff"
    dtype = b"cnumpy\ndtype\nq\x20U\x02u1K\x00K\x01\x87R(K\x03U\x01|NNN" + unset * 2 + b"K\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x21cnumpy\nndarray\nq\x22K\x00\x85U\x01b\x87R"
    return array + b"(K\x01" + shape + dtype + b"\x89" + _python_2(value.tobytes()) + b"tb"


def py_files(batches: dict[str, Batch], write=of_python_2) -> dict[str, bytes]:
    files = {
        "batches.meta": write(
            {"num_cases_per_batch": 10000, "label_names": list(CLASSES), "num_vis": 3072}
        ),
        "readme.html": b"<meta>",
    }
    for name, (pixels, labels, paths) in batches.items():
        files[name] = write(
            {"batch_label": f"of {name}", "labels": labels, "data": pixels, "filenames": paths}
        )
    return files


def bin_files(batches: dict[str, Batch]) -> dict[str, bytes]:
    files = {"batches.meta.txt": "\n".join((*CLASSES, "")).encode(), "readme.html": b"<meta>"}
    for name, (pixels, labels, _) in batches.items():
        rows = np.concatenate([np.array(labels, np.uint8)[:, None], pixels], 1)
        files[f"{name}.bin"] = rows.tobytes()
    return files


def to_folder(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def to_archive(files: dict[str, bytes], path: Path, folder: str = "cifar-10-batches-py") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path
