"""A graph convolutional network as a special case of a wired net: one weight for all edges.

Zachary's karate club split in two. Each of 34 members is a node; of two of them, the instructor
and the president, we say which side they took. Two graph convolutions on the club's friendships
find the others' sides. One sees how many are found, and that the same network made of dense
matrices agrees.
"""

from __future__ import annotations

import networkx as nx
import torch
from torch.nn import functional as F

import wireloom as wl

club = nx.karate_club_graph()
friends = wl.Wiring.from_networkx(club)
sides = torch.tensor([club.nodes[v]["club"] == "Officer" for v in club]).long()
known = torch.tensor([0, 33])

first = wl.nn.SharedLinear(friends, into=34, out=8, seed=1)
second = wl.nn.SharedLinear(friends, into=8, out=2, seed=2)
optimiser = torch.optim.Adam([*first.parameters(), *second.parameters()], lr=0.02)
x = torch.eye(34)[None]  # [1, nodes, channels]: each member is only known by name
for _ in range(100):
    logits = second(first(x).relu())[0]  # [nodes, sides]
    optimiser.zero_grad()
    F.cross_entropy(logits[known], sides[known]).backward()
    optimiser.step()
right = (logits.argmax(1) == sides).sum()
print(f"{friends}: sides of {right} of 34 members found, two of them given")

joined = torch.from_numpy(friends.adjacency()).float() + torch.eye(34)
root = joined.sum(1).rsqrt()
scaled = root[:, None] * joined * root
with torch.no_grad():
    hidden = (scaled @ x[0] @ first.weight.t() + first.bias).relu()
    dense = scaled @ hidden @ second.weight.t() + second.bias
    wired = second(first(x).relu())[0]
print(f"largest difference to the dense network: {(wired - dense).abs().max():.1e}")
