"""Trains the recognizer of `benchmarks.peers.digits`: PYTHON -m benchmarks.peers.digits_train DATA.npz OUT.onnx.

Two residual blocks of convolutions with batch norm, then a GRU over the columns. One thread and one seed, so that it can be
repeated; about half a minute. Run under an interpreter that has PyTorch.
"""

import sys
from typing import Any

import numpy as np
import torch
from torch import nn

WIDTH, HIDDEN, CLASSES = 32, 64, 10
EPOCHS, BATCH, RATE, SHIFT = 12, 32, 2e-3, 1


class Block(nn.Module):  # type: ignore[misc]
    """Two 3 × 3 convolutions, each with batch norm, and a way past them."""

    def __init__(self) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for _ in range(2):
            parts += [nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU()]
        self.inner = nn.Sequential(*parts[:-1])

    def forward(self, x: Any) -> Any:
        return torch.relu(x + self.inner(x))


class Recognizer(nn.Module):  # type: ignore[misc]
    """[batch, 1, 16, 16] → scores [batch, 10]."""

    def __init__(self) -> None:
        super().__init__()
        stem = [nn.Conv2d(1, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU()]
        self.features = nn.Sequential(*stem, Block(), Block(), nn.MaxPool2d(2))
        self.columns = nn.GRU(WIDTH * 8, HIDDEN, batch_first=True)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Any) -> Any:
        found = self.features(x).permute(0, 3, 1, 2).flatten(2)
        steps, _ = self.columns(found)
        return self.head(steps[:, -1])


def trained(images: Any, labels: Any) -> Recognizer:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = Recognizer()
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, epochs=EPOCHS, steps_per_epoch=-(-len(images) // BATCH))
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            shift = torch.randint(-SHIFT, SHIFT + 1, (2,)).tolist()
            loss = nn.functional.cross_entropy(model(torch.roll(images[rows], shift, (2, 3))), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    return model


def main(data: str, out: str) -> int:
    with np.load(data) as found:
        images, labels = torch.from_numpy(found["x"]), torch.from_numpy(found["labels"])
    torch.onnx.export(
        trained(images, labels), (images[:1],), out, dynamo=False, opset_version=13, do_constant_folding=False,
        training=torch.onnx.TrainingMode.PRESERVE, input_names=["x"], output_names=["scores"],
        dynamic_axes={"x": {0: "batch"}, "scores": {0: "batch"}},
    )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
