"""Put a wiring into a network of one's own, at its budget or at the widths that it has.

One sees a small residual network trained on the digits, what it becomes at its own budget, and
its test error at its own widths, at once and after an epoch, from dense weights or drawn anew.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wireloom as wl


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.conv(x)))


def train(net: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    net.train()
    step = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(epochs):
        for part in torch.randperm(len(x)).split(64):
            step.zero_grad()
            F.cross_entropy(net(x[part]), y[part]).backward()
            step.step()


def wrong(net: nn.Module, x: Tensor, y: Tensor) -> str:
    with torch.no_grad():
        return f"{(net.eval()(x).argmax(1) != y).double().mean().item():.1%} wrong"


def main() -> None:
    torch.manual_seed(0)
    data = wl.data.load("digits")
    images = ((x.float() - data.mean) / data.std for x in (data.train_images, data.test_images))
    (x, tested), y = images, data.train_labels
    body = [Block(32), nn.MaxPool2d(2), Block(32), Block(32), nn.AdaptiveAvgPool2d(1)]
    ends = nn.Conv2d(1, 32, 3, padding=1), nn.Linear(32, data.classes)
    dense = nn.Sequential(ends[0], nn.ReLU(), *body, nn.Flatten(), ends[1])
    train(dense, x, y, 4)
    print("dense:", wrong(dense, tested, data.test_labels))

    wiring = wl.ws_flex(nodes=16, degree=8, rewire=0.3)
    print(wl.rewired(wl.rewire(dense, wiring, budget="macs", example=x[:1])))
    for name, distil in [("distilled", True), ("drawn", False)]:
        net = wl.rewire(dense, wiring, distil=distil)
        start = wrong(net, tested, data.test_labels)
        train(net, x, y, 1)
        print(f"{name}: {start} at once, {wrong(net, tested, data.test_labels)} after an epoch")


main()
