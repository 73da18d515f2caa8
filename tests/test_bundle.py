import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import safetensors.torch
import torch
from attacks import bundles as attacks
from attacks.bundles import ATTACKS, Attack
from attacks.mutants import mutant
from torch import Tensor, nn

from seewhy import bundle as bundles
from seewhy.bundle import Bundle, Decision, Metadata, container, golden, load, read_header, save
from seewhy.data.decode import InputRule
from seewhy.errors import DiskFullError, ModelFileError, UsageError
from seewhy.models import NETWORKS, build

CLASSES = ("cat", "dög", "$owl$")


def trained(name: str = "simple_cnn", size: int = 4, **options: float) -> nn.Module:
    """A small network that looks trained: its statistics are not those it starts with."""
    torch.manual_seed(1)
    network = build(name, num_classes=3, size=size, **options)
    rng = np.random.default_rng(1)
    network.fit_input(rng.integers(0, 200, (64, size, size, 3), np.uint8))
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.num_batches_tracked.fill_(2**40 + 1)
    return network


def bundle(network: nn.Module | None = None, size: int = 4, **fields: object) -> Bundle:
    network = network or trained()
    return Bundle(network, CLASSES, InputRule(size=size, store=size), **fields)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "model.safetensors"
    save(bundle(facts={"epochs": 3}, fingerprint="a" * 64, parents=("b" * 64,)), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """In memory where there is such a place: thousands of files are written over here."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        yield Path(name)


def refusal(path: Path, **options: nn.Module) -> str:
    """What `load` says of a file that it must refuse: one line that begins with the path."""
    with pytest.raises(ModelFileError) as caught:
        load(path, **options)
    said = str(caught.value)
    assert said.startswith(f"{path}: ") and "\n" not in said and len(said) < 1000
    return said.removeprefix(f"{path}: ")


def refused(data: bytes, folder: Path, **options: nn.Module) -> str:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    return refusal(path, **options)


# What is written is what is read.


@pytest.mark.parametrize(
    ("name", "half"), [*((name, True) for name in NETWORKS), ("regularized_cnn", False)]
)
def test_every_network_comes_back_as_it_was_saved(name: str, half: bool, tmp_path: Path) -> None:
    network = trained(name, size=16)
    path = tmp_path / "model.safetensors"
    given = bundle(
        network,
        16,
        decision=Decision(temperature=1.5),
        views=("identity", "flip"),
        facts={"accuracy": 0.5, "nested": {"list": [1, None, "ü"]}},
        fingerprint="a" * 64,
        parents=("b" * 64, "c" * 64),
    )
    saved = save(given, path, half=half)
    loaded = load(path)
    for name in ("classes", "rule", "decision", "views", "facts", "fingerprint", "parents"):
        assert getattr(loaded, name) == getattr(saved, name) == getattr(given, name)
    assert loaded.digest == saved.digest == read_header(path).digest
    assert type(loaded.network) is type(network) and not loaded.network.training
    for name, tensor in network.state_dict().items():
        found = loaded.network.state_dict()[name]
        exact = not half or tensor.ndim < 2
        assert found.dtype == tensor.dtype
        assert torch.equal(found, tensor if exact else tensor.half().float()), name
    x = torch.rand(4, 3, 16, 16)
    network.eval()
    with torch.no_grad():
        assert torch.equal(loaded.network(x), saved.network(x))
        assert torch.allclose(loaded.network(x), network(x), rtol=2e-2, atol=2e-2)
        assert half or torch.equal(loaded.network(x), network(x))


def test_the_digest_is_the_hash_of_the_file_with_its_own_digits_as_zeros(good: bytes) -> None:
    digits = good[attacks.DIGITS]
    assert good.count(digits) == 1
    assert hashlib.sha256(good.replace(digits, b"0" * 64)).hexdigest() == digits.decode()


def test_the_file_is_plain_safetensors(good: bytes) -> None:
    tensors = safetensors.torch.load(good)
    state = trained().state_dict()
    assert set(tensors) == {"golden.logits", *(f"network.{name}" for name in state)}
    assert torch.equal(tensors["network.conv1.bias"], state["conv1.bias"])
    assert tensors["network.conv1.weight"].dtype == torch.float16


def test_read_header_says_all_but_the_weights(good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(good)
    header = read_header(path)
    assert header.size == len(good)
    assert header.metadata.classes == CLASSES
    assert header.metadata.architecture.model_dump() == {"name": "simple_cnn", "arguments": {}}
    assert header.metadata.facts == {"epochs": 3}
    weights = [entry for entry in header.tensors if entry.name.startswith("network.")]
    assert sum(int(np.prod(entry.shape)) for entry in weights) == sum(
        tensor.numel() for tensor in trained().state_dict().values()
    )


def test_the_same_bundle_gives_the_same_bytes(tmp_path: Path, good: bytes) -> None:
    given = bundle(facts={"epochs": 3}, fingerprint="a" * 64, parents=("b" * 64,))
    save(given, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == good


def test_options_of_the_network_are_kept(tmp_path: Path) -> None:
    save(bundle(trained("speednet", 16, width=0.25), 16), tmp_path / "m")
    assert load(tmp_path / "m").network.arguments["width"] == 0.25


def test_weights_past_the_range_of_float16_stay_float32(tmp_path: Path) -> None:
    network = trained()
    with torch.no_grad():
        network.conv1.weight[0, 0, 0, 0] = 1e5
    loaded = save(bundle(network), tmp_path / "m")
    assert torch.equal(loaded.network.conv1.weight, network.conv1.weight)


def test_a_channels_last_network_is_written_as_any_other(tmp_path: Path, good: bytes) -> None:
    network = trained().to(memory_format=torch.channels_last)
    given = bundle(network, facts={"epochs": 3}, fingerprint="a" * 64, parents=("b" * 64,))
    save(given, tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == good


def test_a_bfloat16_network_is_written_in_float32(tmp_path: Path) -> None:
    network = trained().bfloat16()
    loaded = save(bundle(network), tmp_path / "m").network
    assert torch.equal(loaded.conv1.bias, network.conv1.bias.float())


def test_rounded_is_what_load_will_give(tmp_path: Path) -> None:
    network = trained("regularized_cnn")
    save(bundle(network), tmp_path / "m")
    assert same_state(bundles.rounded(network), load(tmp_path / "m").network)


def same_state(a: nn.Module, b: nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return list(left) == list(right) and all(torch.equal(left[name], right[name]) for name in left)


def test_saving_and_loading_leave_no_trace(tmp_path: Path) -> None:
    network = trained("regularized_cnn").train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    torch.manual_seed(3)
    rng = torch.get_rng_state()
    save(bundle(network), tmp_path / "m")
    load(tmp_path / "m")
    assert torch.equal(torch.get_rng_state(), rng)
    assert network.training and network.head.dropout.training
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert torch.get_float32_matmul_precision() == "highest"


def test_a_loaded_network_can_be_trained_further(tmp_path: Path) -> None:
    save(bundle(), tmp_path / "m")
    network = load(tmp_path / "m").network
    network(torch.rand(2, 3, 4, 4)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


# Writing.


def test_an_existing_file_is_never_written_over_untold(tmp_path: Path) -> None:
    path = tmp_path / "m"
    path.write_text("mine")
    with pytest.raises(UsageError, match="exists and is not written over"):
        save(bundle(), path)
    assert path.read_text() == "mine"
    save(bundle(), path, overwrite=True)
    assert load(path).classes == CLASSES


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "m"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError):
        save(bundle(), path, overwrite=True)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"classes": ("a", "b", "b")}, "two classes have one name"),
        ({"classes": ("a", "b", "c\n")}, "control character"),
        ({"facts": {"x": float("nan")}}, "'facts.x"),
        ({"facts": {"x": "\udcff"}}, "'facts'"),
        ({"facts": {"x": object()}}, "'facts.x'"),
        ({"facts": {"x": "y" * 2**18}}, "bytes of JSON"),
        ({"views": ("up",)}, "'views.0'"),
        ({"fingerprint": "abc"}, "'fingerprint"),
        ({"classes": ("a", "b", "c", "d")}, "its architecture has"),
    ],
)
def test_what_could_not_be_loaded_is_not_written(fields: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=said) as caught:
        save(replace(bundle(), **fields), tmp_path / "m")
    assert str(caught.value).startswith(f"{tmp_path / 'm'}: ")
    assert not list(tmp_path.iterdir())


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    network = trained()
    with torch.no_grad():
        network.conv1.weight[0, 0, 0, 0] = torch.nan
    with pytest.raises(ModelFileError, match=r"network\.conv1\.weight.*NaN or infinite"):
        save(bundle(network), tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_header_past_its_limit_is_not_written(tmp_path: Path) -> None:
    classes = tuple(f"{k:0200}" for k in range(6_000))
    network = build("simple_cnn", num_classes=6_000, size=4)
    with pytest.raises(ModelFileError, match="shorten the class names"):
        save(replace(bundle(network), classes=classes), tmp_path / "m")


# One's own architecture.


class Own(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 1)
        self.register_buffer("small", torch.tensor([1, -2], dtype=torch.int8))
        self.register_buffer("mask", torch.tensor([True, False]))
        self.last = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.conv(x).mean((2, 3)))


def test_own_architecture_fills_the_network_that_is_given(tmp_path: Path) -> None:
    network = Own()
    saved = save(bundle(network), tmp_path / "m")
    given = Own().train()
    loaded = load(tmp_path / "m", model=given)
    assert loaded.network is given and not given.training
    assert same_state(given, saved.network)
    assert read_header(tmp_path / "m").metadata.architecture.name == "custom"


def test_own_architecture_asks_for_its_network(tmp_path: Path) -> None:
    save(bundle(Own()), tmp_path / "m")
    assert "load(path, model=net)" in refusal(tmp_path / "m")
    before = Own(width=5)
    weights = {name: tensor.clone() for name, tensor in before.state_dict().items()}
    assert "its architecture has F32 [5]" in refusal(tmp_path / "m", model=before)
    assert all(torch.equal(weights[name], t) for name, t in before.state_dict().items())


def test_a_known_architecture_takes_no_other_network(tmp_path: Path) -> None:
    save(bundle(), tmp_path / "m")
    assert "leave out `model`" in refusal(tmp_path / "m", model=Own())


def test_a_truth_value_is_0_or_1(tmp_path: Path) -> None:
    save(bundle(Own()), tmp_path / "m")
    header, body = attacks.split((tmp_path / "m").read_bytes())
    body[header["network.mask"]["data_offsets"][0]] = 2
    assert "truth value" in refused(attacks.join(header, body), tmp_path, model=Own())


def test_a_type_that_has_no_name_in_the_format_is_refused(tmp_path: Path) -> None:
    network = Own()
    network.register_buffer("phase", torch.ones(2, dtype=torch.complex64))
    with pytest.raises(ModelFileError, match=r"'network\.phase' is complex64"):
        save(bundle(network), tmp_path / "m")


# Files that are no bundles.


def test_places_without_a_file_are_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == "there is no such file"
    assert refusal(tmp_path) == "this is not a file"
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
    assert refusal(tmp_path / "pipe") == "this is not a file"


def test_a_file_past_2_gib_is_not_read(tmp_path: Path, good: bytes, monkeypatch) -> None:
    path = tmp_path / "m"
    path.write_bytes(good)
    os.truncate(path, container.MAX_BYTES + 1)
    assert "more than a bundle may have" in refusal(path)
    monkeypatch.setattr(container, "MAX_BYTES", len(good))
    path.write_bytes(good)
    load(path)
    path.write_bytes(good + b"\0")
    assert "more than a bundle may have" in refusal(path)


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
from seewhy.bundle import load
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
            model() if model else type(found.network)(**found.network.arguments)
        ).state_dict()
        assert {n: (t.shape, t.dtype) for n, t in state.items()} == {
            n: (t.shape, t.dtype) for n, t in expected.items()
        }, seed
        assert all(torch.isfinite(tensor).all() for tensor in state.values()), seed
        Metadata.model_validate(read_header(path).metadata.model_dump())
    return accepted


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("tiny") / "model.safetensors"
    save(bundle(Own(), facts={"epochs": 3}, fingerprint="a" * 64), path)
    return path.read_bytes()


def test_signed_mutants_are_refused_or_whole(tiny: bytes, good: bytes, folder: Path) -> None:
    assert check_mutants(tiny, folder, range(9_500), Own) < 2_000
    assert check_mutants(good, folder, range(9_500, 10_000), None) < 100


@pytest.mark.long
def test_signed_mutants_are_refused_or_whole_at_full_size(
    tiny: bytes, good: bytes, folder: Path
) -> None:
    check_mutants(tiny, folder, range(10_000, 95_000), Own)
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


# The network proves itself.


def test_changed_code_is_caught_by_the_golden_pictures(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "m"
    save(bundle(trained("speednet", 16), 16), path)
    load(path)
    monkeypatch.setattr("seewhy.models.speednet.LOGIT_SCALE", 1 / 8.9)
    assert "answers the golden pictures otherwise" in refusal(path)


@pytest.mark.parametrize("kernel", ["conv2d", "linear", "max_pool2d"])
def test_a_changed_kernel_is_caught(kernel: str, good: bytes, folder: Path, monkeypatch) -> None:
    right = getattr(torch.nn.functional, kernel)

    def wrong(*args: object, **options: object) -> Tensor:
        return right(*args, **options) * 1.01

    monkeypatch.setattr(torch.nn.functional, kernel, wrong)
    assert "golden pictures" in refused(good, folder)


def test_every_weight_of_some_size_counts(good: bytes, folder: Path) -> None:
    """A tensor set to zero is noticed, whichever it is, though the digest is made right."""
    header, body = attacks.split(good)
    for name, entry in header.items():
        if name != "__metadata__":
            start, stop = entry["data_offsets"]
            zeroed = body[:start] + bytes(stop - start) + body[stop:]
            assert "golden pictures" in refused(attacks.join(header, zeroed), folder), name


def test_a_lowered_precision_of_the_program_does_not_refuse_a_good_file(
    good: bytes, folder: Path
) -> None:
    (folder / "m").write_bytes(good)
    torch.set_float32_matmul_precision("medium")
    try:
        seen: list[str] = []
        network = Own()
        network.register_forward_hook(
            lambda *_: seen.append(torch.backends.mkldnn.matmul.fp32_precision)
        )
        golden.logits(network, 4)
        assert set(seen) == {"ieee"}
        load(folder / "m")
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_autocast_around_a_load_does_not_matter(good: bytes, folder: Path) -> None:
    (folder / "m").write_bytes(good)
    with torch.autocast("cpu", torch.bfloat16):
        load(folder / "m")


def test_patterns_are_the_same_bytes_for_ever() -> None:
    """A change here makes every bundle that exists unreadable."""
    digests = {
        size: hashlib.sha256(golden.patterns(size).tobytes()).hexdigest()[:16]
        for size in (1, 4, 32)
    }
    assert digests == {1: "054230d57f2236c2", 4: "04cb36578b896994", 32: "49b7ff2375e79a8a"}


def test_patterns_are_eight_unlike_pictures_of_full_range() -> None:
    pictures = golden.patterns(32)
    assert pictures.shape == (8, 32, 32, 3) and pictures.dtype == np.uint8
    assert len({picture.tobytes() for picture in pictures}) == 8
    assert all(picture.std() > 20 and np.ptp(picture) > 150 for picture in pictures)


# Pickles.


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)
