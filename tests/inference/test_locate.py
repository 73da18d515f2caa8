import pytest

from seewhy.errors import ModelFileError
from seewhy.inference.locate import find_models, model_name


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("fast", "fast"),
        ("runs/photos.2", "photos.2"),
        ("runs/photos.2/model.safetensors", "photos.2"),
        ("runs/newest", "newest"),
        ("runs/newest/model.safetensors", "newest"),
        (".", "here"),
        ("model.safetensors", "here"),
        ("/model.safetensors", "model"),
        ("small/dogs.onnx", "dogs"),
        ("registry:pets@champion", "pets"),
        ("fast+runs/photos.2", "fast+photos.2"),
        ("registry:pets@champion+small/dogs.onnx", "pets+dogs"),
        ("runs/a+b", "a+b"),
    ],
)
def test_a_model_is_called_by_what_its_user_calls_it(tmp_path, monkeypatch, model, name):
    (tmp_path / "here" / "runs" / "photos.2").mkdir(parents=True)
    (tmp_path / "here" / "runs" / "a+b").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "runs" / "newest").symlink_to("photos.2")
    assert model_name(model) == name


def test_a_path_with_a_plus_in_the_home_directory_is_one_model(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a+b.safetensors").touch()
    assert find_models("~/a+b.safetensors") == [tmp_path / "a+b.safetensors"]


def test_a_folder_without_a_model_is_a_run_that_goes_on_or_none_at_all(tmp_path):
    with pytest.raises(ModelFileError, match=r"is no run directory: .*\(best, fast, "):
        find_models(tmp_path)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(ModelFileError, match=r"not ended: `seewhy train --resume --out /.*` cont"):
        find_models(tmp_path)
