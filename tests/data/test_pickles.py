"""No way in for data runs a pickle: some forty files, by every way, and no canary (R23)."""

from pathlib import Path

import pytest
from attacks.pickles import pickle_like
from data.cifar_files import batch, py_files, to_archive, to_folder
from data.pictures import class_folders

from seewhy.config.data import DataConfig
from seewhy.config.input_rule import InputRule
from seewhy.data import load_data
from seewhy.data.images.decode import decode, read
from seewhy.errors import DataError, ImageError

NAMES = sorted(pickle_like(Path("canary")))


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    canary = tmp_path_factory.mktemp("home") / "canary"
    return canary, pickle_like(canary)


@pytest.mark.parametrize("name", NAMES)
def test_no_way_in_runs_a_pickle(tmp_path, attacks, name):
    canary, files = attacks
    data = files[name]
    alone = tmp_path / name
    alone.write_bytes(data)
    (tmp_path / "x.png").write_bytes(data)
    for path in (alone, tmp_path / "x.png"):
        with pytest.raises(ImageError):
            read(path, InputRule(size=8, store=8))
        with pytest.raises(DataError):
            load_data(path)
    with pytest.raises(ImageError):
        decode(data)
    named = tmp_path / "x.parquet", tmp_path / "x.tar.gz", tmp_path / "x.tar"
    for path in named:
        path.write_bytes(data)
        with pytest.raises(DataError):
            load_data(path)
    root = class_folders(tmp_path / "folders", {"a": 3, "b": 3})
    (root / "a/bad.png").write_bytes(data)
    found = load_data(root, DataConfig(on_bad="skip", max_bad=0.5))
    assert [file.path for file in found.bad] == ["a/bad.png"]
    for member in ("test_batch", "batches.meta"):
        batches = {**py_files({"data_batch_1": batch(20), "test_batch": batch(2)}), member: data}
        for path in (
            to_folder(batches, tmp_path / member),
            to_archive(batches, tmp_path / f"{member}.tar.gz"),
        ):
            with pytest.raises(DataError):
                load_data(path)
    assert not canary.exists()
