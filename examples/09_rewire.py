"""Put a wiring into a network of one's own, at the widths that it has.

One sees a small residual network trained on the digits, then rewired: what was wired, kept, and
why; its test error at once, with the weights of the blocks that exist taken over (plain, and scaled
by 1 / sqrt(density) as another would), and after training on, against a wired start from scratch.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wireloom as wl


class Block(nn.Module):
    """x + convolution(x), normalised."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.conv(x)))


def train(net: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    net.train()
    step = torch.optim.Adam(net.parameters(), lr=2e-3)
    shuffled = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for part in torch.randperm(len(x), generator=shuffled).split(64):
            step.zero_grad()
            F.cross_entropy(net(x[part]), y[part]).backward()
            step.step()


def error(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Per cent of wrong answers."""
    net.eval()
    with torch.no_grad():
        return 100 * (net(x).argmax(1) != y).double().mean().item()


def main() -> None:
    torch.manual_seed(0)
    data = wl.data.load("digits")

    def normal(images: Tensor) -> Tensor:
        return (images.float() - data.mean[:, None, None]) / data.std[:, None, None]

    x, y = normal(data.train_images), data.train_labels
    test = normal(data.test_images), data.test_labels
    ends = nn.Conv2d(x.shape[1], 32, 3, padding=1), nn.Linear(32, data.classes)
    body = [Block(32), nn.MaxPool2d(2), Block(32), Block(32)]
    dense = nn.Sequential(ends[0], nn.ReLU(), *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), ends[1])
    train(dense, x, y, 4)
    print(f"dense: {error(dense, *test):.1f} % wrong")

    wiring = wl.ws_flex(nodes=16, degree=8, rewire=0.3)
    wired = wl.rewire(dense, wiring, distil=True, example=x[:1])
    print(wl.rewired(wired))
    scaled = wl.rewire(dense, wiring, distil=True)
    with torch.no_grad():
        for layer in scaled.modules():
            if isinstance(layer, wl.nn.WiredConv2d):
                layer.weight /= wiring.density**0.5
    drawn = wl.rewire(dense, wiring)
    for name, net in [("distilled", wired), ("scaled", scaled), ("drawn", drawn)]:
        before = error(net, *test)
        train(net, x, y, 1)
        print(f"{name}: {before:.1f} % wrong at once, {error(net, *test):.1f} % after an epoch")


if __name__ == "__main__":
    main()
