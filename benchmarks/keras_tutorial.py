"""The baseline: R0's and R4's networks as their authors wrote them, in Keras; images/s of `fit`.

    KERAS_PYTHON benchmarks/keras_tutorial.py ../shared/data/cifar10 [--steps 300]

Runs in an environment of its own with tensorflow-cpu, pyarrow, pillow and scipy, and shares no code with
SeeWhy. Batch 64; R0 with its ImageDataGenerator and without, R4 without, as it had none. Prints one
JSON object.
"""

import argparse
import io
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pyarrow.parquet as pq
from keras import layers, regularizers
from keras.src.legacy.preprocessing.image import ImageDataGenerator
from PIL import Image

BATCH = 64


def pictures(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    table = pq.read_table(path).slice(0, count)
    images = [np.array(Image.open(io.BytesIO(x["bytes"]))) for x in table["img"].to_pylist()]
    labels = keras.utils.to_categorical(table["label"].to_pylist(), 10)
    return np.stack(images).astype("float32") / 255, labels


def advanced() -> keras.Model:
    model = keras.Sequential([layers.Input((32, 32, 3))])
    for filters, rate in ((64, 0.25), (128, 0.25), (256, 0.3)):
        l2 = regularizers.l2(1e-4)
        model.add(
            layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_regularizer=l2)
        )
        model.add(layers.BatchNormalization())
        model.add(layers.MaxPooling2D())
        model.add(layers.Dropout(rate))
    model.add(layers.GlobalAveragePooling2D())
    for units, rate in ((512, 0.5), (256, 0.4)):
        model.add(layers.Dense(units, activation="relu"))
        model.add(layers.BatchNormalization())
        model.add(layers.Dropout(rate))
    model.add(layers.Dense(10, activation="softmax"))
    return model


def strided() -> keras.Model:
    model = keras.Sequential([layers.Input((32, 32, 3))])
    for filters in (32, 64):
        l2 = regularizers.l2(1e-4)
        model.add(layers.Conv2D(filters, 3, activation="relu", kernel_regularizer=l2))
        model.add(layers.BatchNormalization())
        model.add(layers.MaxPooling2D())
    model.add(layers.Flatten())
    model.add(layers.Dense(10, activation="softmax"))
    return model


def rate(model: keras.Model, data: object, steps: int, **options: int) -> float:
    """Images/s over `steps`, after an epoch of ten steps to trace and warm up."""
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(data, steps_per_epoch=10, verbose=0, **options)
    start = time.perf_counter()
    model.fit(data, steps_per_epoch=steps, verbose=0, **options)
    return BATCH * steps / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    given = parser.parse_args()
    x, y = pictures(given.data / "train.parquet", BATCH * (given.steps + 20))
    augmented = ImageDataGenerator(
        rotation_range=15,
        width_shift_range=0.1,
        height_shift_range=0.1,
        horizontal_flip=True,
        zoom_range=0.1,
        shear_range=0.1,
    )
    plain = ImageDataGenerator()
    found = {
        "advanced_cnn": rate(advanced(), augmented.flow(x, y, BATCH), given.steps),
        "advanced_cnn, not augmented": rate(advanced(), plain.flow(x, y, BATCH), given.steps),
        "strided_cnn": rate(strided(), plain.flow(x, y, BATCH), given.steps),
    }
    print(json.dumps({"images_per_second": found, "keras": keras.__version__}))


if __name__ == "__main__":
    main()
