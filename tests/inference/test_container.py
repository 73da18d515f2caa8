import json
import os
import pickle
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from attacks import bundles as attacks
from attacks.bundles import ATTACKS, Attack
from attacks.mutants import mutant
from attacks.pickles import pickle_like
from attacks.targets import CLASSES, Own, refusal, refused
from torch import nn

from seewhy.errors import ModelFileError
from seewhy.inference import container
from seewhy.inference.bundle import load
from seewhy.inference.container import read_header
from seewhy.inference.metadata import Metadata
from seewhy.models.registry import build, name_of

# Files that are no bundles.


def test_places_without_a_file_are_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == "there is no such file"
    assert refusal(tmp_path) == "this is not a file"
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    assert refusal(tmp_path / "pipe") == "this is not a file"


def test_the_name_of_a_file_does_not_break_the_line(tmp_path: Path, good: bytes) -> None:
    path = tmp_path / "a\nb\x1b[2J"
    path.write_bytes(good[:-1])
    with pytest.raises(ModelFileError, match=r"a\\nb\\x1b\[2J: it is damaged") as caught:
        load(path)
    assert "\n" not in str(caught.value)


def test_a_file_past_2_gib_is_not_read(tmp_path: Path, good: bytes, monkeypatch) -> None:
    path = tmp_path / "m"
    path.write_bytes(good)
    os.truncate(path, container.MAX_BYTES + 1)
    assert "more than a model file may have" in refusal(path)
    monkeypatch.setattr(container, "MAX_BYTES", len(good))
    path.write_bytes(good)
    load(path)
    path.write_bytes(good + b"\0")
    assert "more than a model file may have" in refusal(path)


def test_a_file_that_shrinks_while_it_is_read_is_refused(
    good: bytes, tmp_path: Path, monkeypatch
) -> None:
    class Longer:
        st_size = len(good) + 8

    (tmp_path / "m").write_bytes(good)
    monkeypatch.setattr(container.os, "fstat", lambda _: Longer)
    assert "cut short while it was read" in refusal(tmp_path / "m")


def test_another_safetensors_file_is_named_as_such(tmp_path: Path) -> None:
    safetensors.torch.save_file({"w": torch.ones(3)}, tmp_path / "m", metadata={"format": "pt"})
    assert "a safetensors file, but not one of SeeWhy's" in refusal(tmp_path / "m")


def test_a_wrong_digest_is_met_before_anything_is_parsed(
    good: bytes, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(container, "_json", lambda *_: pytest.fail("the header was parsed"))
    header, body = attacks.split(good)
    header["__metadata__"]["digest"] = "0" * 64
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    changed = len(text).to_bytes(8, "little") + text + body
    padded = good[:8] + text.ljust(int.from_bytes(good[:8], "little")) + body
    assert "cut short" in refused(changed, tmp_path) or len(text) % 8 == 0
    assert "its digest does not match" in refused(padded, tmp_path)
    upper = bytearray(good)
    upper[attacks.DIGITS] = good[attacks.DIGITS].upper()
    assert "its digest does not match" in refused(bytes(upper), tmp_path)


def test_the_bytes_that_are_hashed_are_those_that_are_parsed(
    good: bytes, tmp_path: Path, monkeypatch
) -> None:
    """A file that is replaced after it was read changes nothing."""
    path = tmp_path / "m"
    path.write_bytes(good)
    digest = container.digest

    def replacing(data: bytearray) -> str:
        path.write_bytes(b"replaced")
        return digest(data)

    monkeypatch.setattr(container, "digest", replacing)
    assert load(path).classes == CLASSES
    assert path.read_bytes() == b"replaced"


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_signed_attack_is_refused(attack: Attack, good: bytes, folder: Path) -> None:
    data = attack.make(*attacks.split(good))
    assert attack.refusal in refused(data, folder)


def test_attacks_are_unalike() -> None:
    assert len(ATTACKS) >= 18 and len({attack.name for attack in ATTACKS}) == len(ATTACKS)


def test_a_header_is_refused_where_the_whole_file_is(good: bytes, folder: Path) -> None:
    """`info` believes nothing that `load` would not, as far as the header goes."""
    for attack in ATTACKS:
        if not attack.needs_network:
            path = folder / "header.safetensors"
            path.write_bytes(attack.make(*attacks.split(good)))
            with pytest.raises(ModelFileError):
                read_header(path)


def test_limits_hold_to_the_byte(good: bytes, folder: Path) -> None:
    header, body = attacks.split(good)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    path = folder / "limit.safetensors"
    path.write_bytes(attacks.join(text.ljust(container.MAX_HEADER), body))
    load(path)
    assert "more than" in refused(attacks.join(text.ljust(container.MAX_HEADER + 8), body), folder)
    for number in range(container.MAX_TENSORS - (len(header) - 1)):
        header[f"t{number}"] = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    path.write_bytes(attacks.join(header, body))
    assert len(read_header(path).tensors) == container.MAX_TENSORS


MEMORY = """
import resource, sys
from pathlib import Path
from tempfile import TemporaryDirectory
import torch
from seewhy.inference.bundle import load
from seewhy.errors import ModelFileError
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 200 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        load(path)
        print("accepted", path.name)
    except ModelFileError as error:
        if "memory" in str(error):
            print("memory", path.name, error)
print("done")
"""


def test_refusing_takes_less_than_200_mb(good: bytes, tmp_path: Path) -> None:
    for number, attack in enumerate(ATTACKS):
        (tmp_path / str(number)).write_bytes(attack.make(*attacks.split(good)))
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr[-2000:]


# Seeded damage.


def check_mutants(good: bytes, folder: Path, seeds: range, model: type[nn.Module] | None) -> int:
    """Loads mutants: each is refused, or is a whole bundle with the tensors of its architecture."""
    path = folder / "mutant.safetensors"
    accepted = 0
    for seed in seeds:
        path.write_bytes(mutant(good, seed))
        try:
            found = load(path, model=model() if model else None)
        except ModelFileError as error:
            assert "\n" not in str(error), seed
            continue
        accepted += 1
        state = found.network.state_dict()
        expected = (
            model() if model else build(name_of(found.network) or "", **found.network.arguments)
        ).state_dict()
        assert {n: (t.shape, t.dtype) for n, t in state.items()} == {
            n: (t.shape, t.dtype) for n, t in expected.items()
        }, seed
        assert all(torch.isfinite(tensor).all() for tensor in state.values()), seed
        Metadata.model_validate(read_header(path).metadata.model_dump())
    return accepted


def test_signed_mutants_are_refused_or_whole(tiny: bytes, good: bytes, folder: Path) -> None:
    assert check_mutants(tiny, folder, range(950), Own) < 200
    assert check_mutants(good, folder, range(9_500, 9_550), None) < 10


@pytest.mark.long
def test_signed_mutants_are_refused_or_whole_at_full_size(
    tiny: bytes, good: bytes, folder: Path
) -> None:
    check_mutants(tiny, folder, range(2_850, 95_000), Own)
    check_mutants(good, folder, range(95_000, 110_000), None)


def test_each_of_1000_flipped_bits_is_detected(good: bytes, folder: Path) -> None:
    """200 in each region: header length, prefix, digest, rest of the header, data."""
    header_end = 8 + int.from_bytes(good[:8], "little")
    edges = [0, 8, attacks.DIGITS.start, attacks.DIGITS.stop, header_end, len(good)]
    rng = np.random.default_rng(0)
    path = folder / "flipped.safetensors"
    detected = 0
    for start, stop in pairwise(edges):
        for at in rng.integers(start, stop, 200):
            data = bytearray(good)
            data[at] ^= 1 << int(rng.integers(8))
            path.write_bytes(data)
            with pytest.raises(ModelFileError):
                load(path)
            detected += 1
    assert detected == 1_000


# Files that can run code.


def test_each_pickle_like_file_is_refused_before_any_parser(folder: Path, monkeypatch) -> None:
    canary = folder / "canary"
    files = pickle_like(canary)
    assert len(files) >= 40
    pickle.loads(files["protocol-4.pkl"])
    assert canary.is_dir()  # so the files would do it
    canary.rmdir()
    monkeypatch.setattr(container, "_json", lambda *_: pytest.fail("the file was parsed"))
    for name, data in files.items():
        foreign = "a safetensors file, but not one of SeeWhy's"
        expected = foreign if "polyglot" in name else "pickle-based files are not loaded"
        for path in (folder / name, folder / f"{name}.safetensors"):
            path.write_bytes(data)
            said = "an ONNX file has no network" if path.suffix == ".onnx" else expected
            assert said in refusal(path), name
            with pytest.raises(ModelFileError, match=expected):
                read_header(path)
    assert not canary.exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.pt", "a zip archive, as torch.save"),
        ("protocol-2.pkl", "a pickle"),
        ("objects.npy", "a NumPy array file"),
        ("gzip.joblib", "a gzip file"),
        ("model.nemo.tar", "a tar archive"),
        ("model.7z", "a 7z archive"),
    ],
)
def test_the_kind_of_file_is_named(name: str, kind: str, folder: Path) -> None:
    assert f"it is {kind}" in refused(pickle_like(folder)[name], folder)
