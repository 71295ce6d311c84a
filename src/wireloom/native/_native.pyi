"""Types of the compiled module. Addresses are those of contiguous CPU arrays; 0 means absent."""

import numpy as np
from numpy.typing import NDArray

def draw(
    family: str, nodes: int, amount: int, rewire: float, seed: int, tries: int
) -> NDArray[np.int32] | None: ...
def draw_and_measure(
    family: str,
    nodes: int,
    amount: NDArray[np.int64],
    rewire: NDArray[np.float64],
    seed: NDArray[np.uint64],
    tries: int,
    threads: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
def measure(
    nodes: NDArray[np.int32],
    start: NDArray[np.int64],
    ends: NDArray[np.int32],
    directed: bool,
    threads: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]: ...
def betweenness(
    nodes: NDArray[np.int32], start: NDArray[np.int64], ends: NDArray[np.int32], threads: int
) -> NDArray[np.float64]: ...
def communities(
    nodes: NDArray[np.int32],
    start: NDArray[np.int64],
    ends: NDArray[np.int32],
    orders: int,
    threads: int,
) -> tuple[NDArray[np.int32], NDArray[np.float64]]: ...
def steer(
    nodes: int,
    ends: NDArray[np.int32],
    kinds: NDArray[np.int32],
    target: NDArray[np.float64],
    swaps: int,
    seed: int,
) -> tuple[NDArray[np.int32], float, int, int]: ...
def body() -> str: ...
def product(*args: int) -> None: ...
def outer(*args: int) -> None: ...
def norm(*args: float) -> None: ...
def norm_backward(*args: float) -> None: ...
def loss(*args: float) -> None: ...
def sgd(*args: float) -> None: ...
def adam(*args: float) -> None: ...
def square_norms(*args: int) -> None: ...
