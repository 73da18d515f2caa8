import pytest

from seewhy.inference.locate import model_name


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
    ],
)
def test_a_model_is_called_by_what_its_user_calls_it(tmp_path, monkeypatch, model, name):
    (tmp_path / "here" / "runs" / "photos.2").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "runs" / "newest").symlink_to("photos.2")
    assert model_name(model) == name
