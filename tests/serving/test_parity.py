"""R37: one image gives the same pixels and the same answer by every way in."""

import asyncio
import io

import numpy as np
import pytest
from PIL import Image

import seewhy
from seewhy.data.images.decode import read
from seewhy.serving.decoding import Decoders
from seewhy.serving.settings import ServeSettings

CLASSES = ("ant", "bee", "cow")


def odd_image(number: int) -> tuple[str, bytes]:
    """The suffix and the bytes of an image of one of many modes, formats, shapes and orientations."""
    rng = np.random.default_rng(number)
    height, width = (int(side) for side in rng.integers(5, 70, 2))
    image = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 1 + number % 8
    alpha = image.copy()
    alpha.putalpha(Image.fromarray(rng.integers(0, 256, (height, width), np.uint8)))
    deep = Image.fromarray(rng.integers(0, 65536, (height, width)).astype(np.uint16))
    kinds = [
        (image, "JPEG", {"exif": exif}),
        (image, "JPEG", {"progressive": True, "quality": 40}),
        (image, "PNG", {"exif": exif}),
        (image, "WEBP", {"exif": exif}),
        (image, "TIFF", {"exif": exif}),
        (image, "BMP", {}),
        (image.convert("CMYK"), "JPEG", {}),
        (image.convert("L"), "JPEG", {}),
        (image.convert("1"), "PNG", {}),
        (image.convert("LA"), "PNG", {}),
        (image.quantize(9), "PNG", {"transparency": 3}),
        (image.quantize(30), "GIF", {"save_all": True, "append_images": [alpha]}),
        (alpha, "PNG", {}),
        (alpha, "WEBP", {"lossless": True}),
        (deep, "PNG", {}),
        (deep, "TIFF", {}),
    ]
    made, format, options = kinds[number % len(kinds)]
    sink = io.BytesIO()
    made.save(sink, format, **options)
    return format.lower(), sink.getvalue()


def every_way_in(server, trained, exported, root, count):
    for number in range(count):
        suffix, data = odd_image(number)
        folder = root / CLASSES[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:04}.{suffix}").write_bytes(data)
    paths = sorted(root.glob("*/*"))
    with seewhy.load(trained) as bundle, seewhy.load(exported) as onnx:
        rule, classes = bundle.rule, bundle.classes
        bundle.save(root.parent / "again.safetensors")
        pixels = np.stack([read(path, rule) for path in paths])
        splits = bundle.splits(root)
        sets = [splits.train, splits.val]
        for images in sets:
            rows = [paths.index(root / name) for name in images.ids]
            assert np.array_equal(images.images[:], pixels[rows])
        assert np.array_equal(
            asyncio.run(decoded([path.read_bytes() for path in paths], rule)), pixels
        )

        batch = bundle.predict(paths)
        assert len(batch) == count
        with seewhy.load(root.parent / "again.safetensors") as again:
            logits = {"reloaded": again.predict(paths).logits}
        logits["bytes"] = bundle.predict([path.read_bytes() for path in paths]).logits
        logits["onnx"] = onnx.predict(paths).logits
        for images in sets:
            rows = [paths.index(root / name) for name in images.ids]
            logits[f"evaluated {len(rows)}"] = np.copy(batch.logits)
            logits[f"evaluated {len(rows)}"][rows] = bundle.predict_set(images).logits
    for name, other in logits.items():
        bound = 1e-4 * np.maximum(1, np.abs(batch.logits))
        assert (np.abs(other - batch.logits) <= bound).all(), name
        assert np.array_equal(other.argmax(1), batch.predicted), name

    results = []
    for start in range(0, count, 32):
        sent = [("file", (path.name, path.read_bytes())) for path in paths[start : start + 32]]
        answer = server.client.post("/predict", files=sent, params={"top_k": len(classes)})
        assert answer.status_code == 200
        results += answer.json()["results"]
    probabilities = batch.probabilities()
    for row, result in enumerate(results):
        assert result["label"] == classes[batch.predicted[row]], paths[row]
        for one in result["top"]:
            assert one["confidence"] == pytest.approx(
                probabilities[row, classes.index(one["label"])], abs=1e-4
            )


async def decoded(images, rule):
    decoders = Decoders(ServeSettings(decoders=2, decode_seconds=60), lambda: None)
    try:
        await decoders.start()
        return np.stack([(await decoders.decode(data, rule)).pixels for data in images])
    finally:
        await decoders.close()


def test_r37_every_way_in_gives_the_same(server, trained, exported, tmp_path):
    every_way_in(server, trained, exported, tmp_path / "images", 96)


@pytest.mark.long
def test_r37_a_thousand_images(server, trained, exported, tmp_path):
    every_way_in(server, trained, exported, tmp_path / "images", 1000)
