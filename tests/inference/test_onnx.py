import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import call

import seewhy
from seewhy.data.cache_root import cache_root
from seewhy.errors import ModelFileError, UsageError
from seewhy.inference import onnx_file
from seewhy.inference.onnx import remember

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper  # noqa: E402


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch) -> Path:
    """As on another machine, which has exported nothing."""
    monkeypatch.setenv("SEEWHY_CACHE", str(tmp_path / "cache"))
    return tmp_path


def written(path: Path, model: "onnx.ModelProto") -> Path:
    """A changed model with a digest that fits, as its author could write it."""
    for entry in model.metadata_props:
        if entry.key == onnx_file.DIGEST:
            entry.value = "0" * 64
    path.write_bytes(onnx_file.with_digest(model.SerializeToString()))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        seewhy.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_it_is_a_predictor_like_its_bundle(exported: Path, trained: Path, photos: Path) -> None:
    with seewhy.load(exported) as model, seewhy.load(trained) as bundle:
        assert model.classes == bundle.classes and model.rule == bundle.rule
        assert model.decision == bundle.decision
        assert model.predictor.views == bundle.predictor.views
        assert model.predictor.parents == (bundle.digest,)
        assert model.predictor.parameters == bundle.predictor.parameters
        images = sorted(photos.rglob("*.png"))[:5]
        one, other = model.predict(images), bundle.predict(images)
        np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)
        assert (one.predicted == other.predicted).all()


def test_its_probabilities_are_calibrated(exported: Path) -> None:
    with seewhy.load(exported) as model:
        side = model.rule.size
        images = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), np.uint8)
        session = model.predictor.session
        logits, probabilities = session.run(["logits", "probabilities"], {"images": images})
        tempered = np.exp(logits / model.decision.temperature)
        np.testing.assert_allclose(probabilities, tempered / tempered.sum(1, keepdims=True), 1e-5)


@pytest.mark.parametrize("verb", ["predict", "evaluate"])
def test_a_verb_on_it_loads_no_torch(verb: str, exported: Path, photos: Path) -> None:
    image = str(next(photos.rglob("*.png")))
    arguments = [verb, str(exported), *([image] if verb == "predict" else ["--data", str(photos)])]
    code = (
        "import sys; from seewhy.cli import cli\n"
        "cli.main(sys.argv[1:], standalone_mode=False)\n"
        "assert not {'torch', 'onnx', 'onnxscript'} & set(sys.modules)\n"
    )
    if verb == "predict":  # what 0.7 s do not suffice for
        code = code.replace("'torch',", "'torch', 'scipy', 'sklearn', 'pyarrow', 'matplotlib',")
        code = code.replace(
            "cli.main(", "import contextlib\nwith contextlib.suppress(SystemExit): cli.main("
        )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_needs_a_network_names_the_bundle(exported: Path, photos: Path) -> None:
    bundle = seewhy.load(exported).predictor.file.about.bundle
    image = str(next(photos.rglob("*.png")))
    out = exported.with_name("out")
    for arguments in (
        ["explain", exported, image, "--out", out],
        ["calibrate", exported, "--data", photos, "--out", out],
    ):
        assert bundle[:12] in call(*map(str, arguments), code=2).err
    with pytest.raises(UsageError, match=bundle[:12]):
        seewhy.load(exported).module()
    with pytest.raises(UsageError, match="only a bundle can be exported"):
        seewhy.export(exported, exported.with_name("again.onnx"))


def test_it_is_explained_by_perturbation(exported: Path, photos: Path, tmp_path: Path) -> None:
    image = str(next(photos.rglob("*.png")))
    call("explain", str(exported), image, "--method", "occlusion", "--out", str(tmp_path / "out"))
    assert (tmp_path / "out" / "explanations.json").is_file()


def test_a_gpu_is_not_promised(exported: Path) -> None:
    with pytest.raises(UsageError, match="runs on the processor"):
        seewhy.load(exported, device="cuda")


def test_a_file_of_another_machine_needs_trust(
    exported: Path, photos: Path, elsewhere: Path
) -> None:
    assert "--trust-onnx" in refusal(exported)
    image = str(next(photos.rglob("*.png")))
    assert "--trust-onnx" in call("predict", str(exported), image, code=2).err
    call("predict", str(exported), image, "--trust-onnx")
    seewhy.load(exported)  # it is known from now on


def test_a_file_that_answers_otherwise_is_refused(exported: Path, elsewhere: Path) -> None:
    model = onnx.load(exported)
    weights = next(t for t in model.graph.initializer if len(t.dims) == 4)
    weights.raw_data = (np.frombuffer(weights.raw_data, np.float32) * 1.5).tobytes()
    path = written(elsewhere / "m.onnx", model)
    with pytest.raises(ModelFileError, match="reference images differ"):
        seewhy.trust_onnx(path)
    remember(onnx_file.read(path).digest)
    assert "reference images differ" in refusal(path)


def test_what_uses_up_memory_ends_in_a_process_of_its_own(exported: Path, elsewhere: Path) -> None:
    model = onnx.load(exported)
    model.graph.initializer.append(
        helper.make_tensor("wide", TensorProto.INT64, [2], [1 << 20, 1 << 14])
    )
    model.graph.initializer.append(helper.make_tensor("one", TensorProto.FLOAT, [1, 1], [0.0]))
    model.graph.node.insert(0, helper.make_node("Expand", ["one", "wide"], ["room"]))
    model.graph.node.insert(1, helper.make_node("ReduceMax", ["room"], ["zero"], keepdims=0))
    last = next(node for node in model.graph.node if "logits" in node.output)
    last.output[0] = "logits before"
    for node in model.graph.node:
        node.input[:] = ["logits before" if name == "logits" else name for name in node.input]
    model.graph.node.append(helper.make_node("Add", ["logits before", "zero"], ["logits"]))
    with pytest.raises(ModelFileError):
        seewhy.trust_onnx(written(elsewhere / "m.onnx", model))


# What no export has, though its digest fits.


def external(model: "onnx.ModelProto", location: str) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def hidden_external(model: "onnx.ModelProto", _: str) -> None:
    """In a constant of a node, and without the mark that it is external."""
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[4])
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["secret"], value=tensor))


def operator(model: "onnx.ModelProto", name: str) -> None:
    model.graph.node.append(helper.make_node(name, ["logits"], ["more"]))


def branch(model: "onnx.ModelProto", _: str) -> None:
    inside = helper.make_graph([], "inside", [], [])
    model.graph.node.append(helper.make_node("Identity", ["logits"], ["more"], body=inside))


def own_domain(model: "onnx.ModelProto", _: str) -> None:
    model.graph.node.append(helper.make_node("Add", ["logits", "logits"], ["more"], domain="evil"))


def own_opset(model: "onnx.ModelProto", _: str) -> None:
    model.opset_import.add(domain="evil", version=1)


def function(model: "onnx.ModelProto", _: str) -> None:
    model.functions.add(name="f", domain="evil")


def sparse(model: "onnx.ModelProto", _: str) -> None:
    model.graph.sparse_initializer.add()


def oversized(model: "onnx.ModelProto", _: str) -> None:
    model.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]


def more_metadata(model: "onnx.ModelProto", _: str) -> None:
    model.metadata_props.add(key="ep.threads", value="1000")


@pytest.mark.parametrize(
    ("change", "argument", "message"),
    [
        (external, "/etc/passwd", "other files"),
        (external, "../secret.bin", "other files"),
        (external, "hard-link.bin", "other files"),
        (external, "", "other files"),
        (hidden_external, "", "other files"),
        (operator, "ConstantOfShape", "operator 'ConstantOfShape'"),
        (operator, "Loop", "operator 'Loop'"),
        (operator, "StringNormalizer", "operator"),
        (branch, "", "holds a graph"),
        (own_domain, "", "domain of its own"),
        (own_opset, "", "set of operators"),
        (function, "", "functions"),
        (sparse, "", "sparse"),
        (oversized, "", "larger than its values"),
        (more_metadata, "", "other metadata"),
    ],
)
def test_what_no_export_has_is_refused_before_it_is_opened(
    change: Callable[["onnx.ModelProto", str], None],
    argument: str,
    message: str,
    exported: Path,
    tmp_path: Path,
) -> None:
    model = onnx.load(exported)
    change(model, argument)
    assert message in refusal(written(tmp_path / "m.onnx", model))


def test_another_onnx_file_is_named_as_such(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    del model.metadata_props[:]
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert "not an ONNX file of SeeWhy's" in refusal(tmp_path / "m.onnx")
    (tmp_path / "p.onnx").write_bytes(b"\x80\x04.")
    assert "it is a pickle" in refusal(tmp_path / "p.onnx")


def test_a_newer_file_is_refused_with_words(exported: Path, tmp_path: Path) -> None:
    model = onnx.load(exported)
    for entry in model.metadata_props:
        if entry.key == onnx_file.ABOUT:
            entry.value = entry.value.replace('"format_version":1', '"format_version":9', 1)
    assert "install a newer SeeWhy" in refusal(written(tmp_path / "m.onnx", model))


def test_a_flipped_bit_is_detected(exported: Path, tmp_path: Path) -> None:
    data = exported.read_bytes()
    for place in np.random.default_rng(0).integers(0, len(data) * 8, 100).tolist():
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(ModelFileError):
            onnx_file.parse(bytes(changed))


def mutants(data: bytes, count: int) -> int:
    """How many mutants pass the walk; those that do are opened in a process of their own."""
    rng, passed = np.random.default_rng(0), 0
    for _ in range(count):
        changed = bytearray(data)
        for place in rng.integers(0, len(data), rng.integers(1, 8)).tolist():
            changed[place] = rng.integers(256)
        try:
            onnx_file.parse(onnx_file.with_digest(bytes(changed)))
            passed += 1
        except ModelFileError:
            continue
    return passed


def test_mutants_with_a_digest_that_fits_raise_nothing_else(exported: Path) -> None:
    assert mutants(exported.read_bytes(), 200) < 200


@pytest.mark.long
def test_2_000_mutants_end_no_process(exported: Path, elsewhere: Path) -> None:
    """Those that pass the walk differ in weights or names, and are opened in a process of their own."""
    rng, data = np.random.default_rng(1), exported.read_bytes()
    graph = slice(len(data) - 20_000, len(data))  # names and shapes come last
    path = elsewhere / "m.onnx"
    for number in range(2_000):
        changed = bytearray(data)
        where = (graph.start, graph.stop) if number % 2 else (0, len(data))
        for place in rng.integers(*where, 3).tolist():
            changed[place] = rng.integers(256)
        try:
            path.write_bytes(onnx_file.with_digest(bytes(changed)))
            seewhy.trust_onnx(path)
            seewhy.load(path)
        except ModelFileError:
            continue


def test_a_copy_is_the_file(exported: Path, tmp_path: Path) -> None:
    with seewhy.load(exported) as model:
        model.save(tmp_path / "copy.onnx")
        with pytest.raises(UsageError, match=r"expected a name that ends in \.onnx"):
            model.save(tmp_path / "copy.safetensors")  # as which it could not be read
    assert (tmp_path / "copy.onnx").read_bytes() == exported.read_bytes()
    shutil.copy(exported, tmp_path / "M.ONNX")
    seewhy.load(tmp_path / "M.ONNX")


def test_nothing_is_reported_to_the_makers_of_the_runtime(exported: Path, tmp_path: Path) -> None:
    """ONNX Runtime, asked to, keeps an id of the machine in its home; by default it is asked to."""
    code = f"import seewhy; seewhy.load({str(exported)!r})"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORT_")}
    env = {"SEEWHY_CACHE": str(cache_root()), **kept, "HOME": str(tmp_path), "XDG_CACHE_HOME": ""}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert not list(tmp_path.rglob("*"))
