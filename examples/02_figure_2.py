"""From a wiring to layers, as in figure 2 of the paper: 4 nodes, 65 dimensions, 4 rounds.

One sees how 65 features are shared out over 4 nodes (three get 16, one gets 17), which blocks of
the 65 x 65 weight exist ("#", self-loops included), how many weights that leaves, and that four
such layers, one round of message exchange each, give what masked dense layers give.
"""

import torch

import wireloom as wl


def main() -> None:
    w = wl.Wiring.from_edges(4, [(0, 1), (0, 2), (0, 3), (2, 3)])
    pattern = wl.Pattern.from_wiring(w, out=65, into=65)
    print(f"{w!r}: density {w.density}, C {w.clustering:.3f}, L {w.path_length:.3f}")
    print(f"features of each node: {pattern.out_sizes}")
    exists = {tuple(block) for block in pattern.edges.tolist()}  # (receiver, sender)
    for receiver in range(w.nodes):
        print("   ", "".join(" #" if (receiver, s) in exists else " ." for s in range(w.nodes)))
    print(f"weights that exist: {pattern.weights} of {65 * 65}")

    layers = [wl.nn.WiredLinear(pattern, seed=round_) for round_ in range(4)]
    net = torch.nn.Sequential(*(m for layer in layers for m in (layer, torch.nn.ReLU())))
    x = torch.randn(8, 65, generator=torch.Generator().manual_seed(0))
    y = net(x)  # [batch, 65]
    print(f"4 rounds: {list(x.shape)} -> {list(y.shape)}")

    mask = torch.from_numpy(pattern.mask())  # the same by masked dense layers
    z = x
    for layer in layers:
        weight = torch.zeros(65, 65)
        weight[mask] = layer.weight.detach()  # row by row: the order in which they are stored
        z = torch.relu(z @ weight.T)
    print(f"masked dense layers agree: {torch.allclose(y, z, rtol=1e-4, atol=1e-12)}")


if __name__ == "__main__":
    main()
