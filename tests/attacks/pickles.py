"""Files in formats that can run code, each made so that loading it would make a directory."""

import bz2
import gzip
import io
import lzma
import os
import pickle
import tarfile
import zipfile
import zlib
from pathlib import Path

import joblib
import numpy as np
import torch


class Canary:
    """Unpickling it makes the directory `path`."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


def pickle_like(canary: Path) -> dict[str, bytes]:
    """Some forty files by name; unpickling what is in any of them makes `canary`."""
    bomb = Canary(canary)
    files = {f"protocol-{n}.pkl": pickle.dumps(bomb, n) for n in range(6)}
    plain = files["protocol-4.pkl"]
    files |= {f"dict-{n}.bin": pickle.dumps({"state_dict": bomb}, n) for n in range(6)}
    files |= {f"list-{n}.ckpt": pickle.dumps([bomb], n) for n in range(3)}
    files |= _of_torch(bomb) | _of_numpy(bomb) | _of_joblib(bomb)
    files |= {
        "model.pkl.gz": gzip.compress(plain),
        "model.pkl.bz2": bz2.compress(plain),
        "model.pkl.xz": lzma.compress(plain),
        "model.pkl.lzma": lzma.compress(plain, lzma.FORMAT_ALONE),
        "model.pkl.lz4": b"\x04\x22\x4d\x18" + plain,
        "model.7z": b"7z\xbc\xaf\x27\x1c\x00\x04" + plain,
        "model.nemo.tar": _tar(plain),
        "model.keras": _zip(
            {"config.json": b"{}", "model.weights.h5": b"\x89HDF\r\n\x1a\n" + plain}
        ),
        "model.mar": _zip({"MAR-INF/MANIFEST.json": b"{}", "model.pkl": plain}),
        "empty.zip": _zip({}),
        "weights.h5": b"\x89HDF\r\n\x1a\n" + plain,
        "model.onnx": b"\x08\x07\x12\x07pytorch" + plain,
        "polyglot.safetensors": (len(plain) // 8 * 8).to_bytes(8, "little") + b"{}" + plain,
        "behind-a-line.bin": b"\n\n" + plain,
    }
    return files


def _of_torch(bomb: Canary) -> dict[str, bytes]:
    new, old = io.BytesIO(), io.BytesIO()
    torch.save({"w": torch.ones(2), "x": bomb}, new)
    torch.save({"w": torch.ones(2), "x": bomb}, old, _use_new_zipfile_serialization=False)
    scripted = _zip({"model/data.pkl": pickle.dumps(bomb, 2), "model/code/__torch__.py": b""})
    exported = _zip({"archive_format": b"pt2", "data/weights.pt": new.getvalue()})
    return {
        "model.pt": new.getvalue(),
        "model.pth": old.getvalue(),
        "model.safetensors": new.getvalue(),
        "legacy.safetensors": old.getvalue(),
        "torchscript.pt": scripted,
        "model.pt2": exported,
    }


def _of_numpy(bomb: Canary) -> dict[str, bytes]:
    one, many, packed = io.BytesIO(), io.BytesIO(), io.BytesIO()
    objects = np.array([bomb], dtype=object)
    np.save(one, objects)
    np.savez(many, objects=objects)
    np.savez_compressed(packed, objects=objects)
    return {
        "objects.npy": one.getvalue(),
        "objects.npz": many.getvalue(),
        "packed.npz": packed.getvalue(),
    }


def _of_joblib(bomb: Canary) -> dict[str, bytes]:
    files = {}
    for compress in (0, "zlib", "gzip", "bz2", "xz", "lzma"):
        sink = io.BytesIO()
        joblib.dump({"x": bomb}, sink, compress=compress)
        files[f"{compress or 'plain'}.joblib"] = sink.getvalue()
    files["level-1.joblib"] = zlib.compress(files["plain.joblib"], 1)
    return files


def _zip(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


def _tar(data: bytes) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        member = tarfile.TarInfo("pickle")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()
