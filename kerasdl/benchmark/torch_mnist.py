"""The network in PyTorch: from tensors in memory, or from a per-sample Dataset and a DataLoader as tutorials write it.

PyTorch is no dependency of kerasdl; the benchmark leaves this out where it isn't installed.
"""

import argparse
import time

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from kerasdl.benchmark.measurement import Measurement, mnist, peak_memory


class Samples(torch.utils.data.Dataset):
    """One image at a time, converted and normalised as torchvision's MNIST with ToTensor and Normalize does."""

    def __init__(self, images: np.ndarray, labels: np.ndarray):
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        pixels = np.array(Image.fromarray(self.images[index], mode="L"), np.uint8, copy=True)
        image = torch.from_numpy(pixels).view(28, 28, 1).permute(2, 0, 1).contiguous()
        return (image.to(torch.float32).div(255) - 0.1307) / 0.3081, int(self.labels[index])


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 10, 5), nn.Conv2d(10, 20, 5)
        self.channel_dropout = nn.Dropout2d()
        self.dense, self.logits = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(functional.max_pool2d(self.conv1(x), 2))
        x = functional.relu(functional.max_pool2d(self.channel_dropout(self.conv2(x)), 2))
        x = functional.dropout(functional.relu(self.dense(x.flatten(1))), training=self.training)
        return functional.log_softmax(self.logits(x), dim=1)


def in_memory(examples: tuple[np.ndarray, np.ndarray], size: int, shuffle: bool):
    """Returns a function that gives an epoch's batches of normalised tensors."""
    images, labels = examples
    x = ((torch.from_numpy(images.copy()).float() / 255 - 0.1307) / 0.3081).unsqueeze(1)
    y = torch.from_numpy(labels)

    def batches():
        order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
        for index in order.split(size):
            yield x[index], y[index]

    return batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", choices=["memory", "loader"], required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    train, test = mnist("train"), in_memory(mnist("t10k"), 1000, False)
    if arguments.mode == "loader":
        loader = torch.utils.data.DataLoader(Samples(*train), batch_size=64, shuffle=True)
        batches = lambda: loader  # noqa: E731
    else:
        batches = in_memory(train, 64, True)
    network = Network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.5)
    first, seconds = 0.0, []
    for _ in range(arguments.epochs):
        network.train()
        start = time.perf_counter()
        for step, (x, y) in enumerate(batches()):
            optimizer.zero_grad()
            loss = functional.nll_loss(network(x), y)
            loss.backward()
            optimizer.step()
            first = first or time.time()
            if step % 10 == 0:
                loss.item()
        seconds.append(time.perf_counter() - start)
    network.eval()
    with torch.no_grad():
        hits = sum((network(x).argmax(1) == y).sum().item() for x, y in test())
    Measurement(first, seconds, hits / 10_000, peak_memory()).report()


if __name__ == "__main__":
    main()
