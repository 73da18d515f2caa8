"""The baseline: R1's two networks trained as a tutorial would write it, on the CIFAR-10 in parquet.

float32, batch 64, Adam 1e-3, 25 epochs, one Pillow image at a time through a DataLoader with two
workers, the last epoch kept. It shares no code with SeeWhy. One JSON line on standard output.

    python benchmarks/tutorial.py regularized-cnn ../shared/data/cifar10 [--epochs 25] [--seed 0]
"""

import argparse
import io
import json
import random
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import DataLoader, Dataset

MEAN = torch.tensor([0.4914, 0.4822, 0.4465])[:, None, None]
STD = torch.tensor([0.2470, 0.2435, 0.2616])[:, None, None]


class Cifar(Dataset):
    def __init__(self, path: Path, augment: bool) -> None:
        table = pq.read_table(path)
        self.images = [
            Image.open(io.BytesIO(row["bytes"])).convert("RGB") for row in table["img"].to_pylist()
        ]
        self.labels = table["label"].to_pylist()
        self.augment = augment

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        image = self.images[index]
        if self.augment:
            image = ImageOps.expand(image, border=4)
            left, top = random.randint(0, 8), random.randint(0, 8)
            image = image.crop((left, top, left + 32, top + 32))
            if random.random() < 0.5:
                image = ImageOps.mirror(image)
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
        return (x - MEAN) / STD, self.labels[index]


def network(regularized: bool) -> nn.Module:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        norm = [nn.BatchNorm2d(outputs)] if regularized else []
        return [nn.Conv2d(inputs, outputs, 3, padding=1), *norm, nn.ReLU(), nn.MaxPool2d(2)]

    dropout = [nn.Dropout(0.5)] if regularized else []
    return nn.Sequential(
        *block(3, 32),
        *block(32, 64),
        nn.Flatten(),
        nn.Linear(4096, 128),
        nn.ReLU(),
        *dropout,
        nn.Linear(128, 10),
    )


def accuracy(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in loader:
            correct += (model(x).argmax(1) == y).sum().item()
    return correct / len(loader.dataset)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("net", choices=["simple-cnn", "regularized-cnn"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    regularized = given.net == "regularized-cnn"
    random.seed(given.seed)
    torch.manual_seed(given.seed)
    train = Cifar(given.data / "train.parquet", augment=regularized)
    test = Cifar(given.data / "test.parquet", augment=False)
    loader = DataLoader(train, batch_size=64, shuffle=True, num_workers=2, persistent_workers=True)
    model = network(regularized)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss()
    seconds = []
    for _ in range(given.epochs):
        model.train()
        start = time.perf_counter()
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    print(
        json.dumps(
            {
                "net": given.net,
                "epochs": given.epochs,
                "seed": given.seed,
                "test_accuracy": accuracy(model, DataLoader(test, batch_size=64)),
                "train_accuracy": accuracy(model, DataLoader(train, batch_size=256)),
                "seconds_per_epoch": float(np.median(seconds)),
            }
        )
    )


if __name__ == "__main__":
    main()
