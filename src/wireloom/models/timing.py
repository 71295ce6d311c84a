"""Measured latency: what a network costs on this machine, in seconds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from wireloom.base import InvalidValue, is_whole

ROUNDS, SECONDS = 9, 0.02  # timings of a measurement; least length of one


def latency(
    net: nn.Module, image: Sequence[int] | None = None, *, batch: int = 1, rounds: int = ROUNDS
) -> float:
    """Seconds of a forward pass for inference, by the median of several timings on this machine.

    It depends on the machine, its load and torch's number of threads, so it is shown beside
    multiply-adds and not instead of them. The network is left in the mode that it was in.

    Args:
        net: any torch module that takes a batch of images.
        image: shape of a sample; None for the network's own (``net.image``).
        batch: samples of a pass.
        rounds: timings, each of passes for at least 20 ms.

    Raises:
        InvalidValue: for a batch or rounds below 1, or a network that does not know its image.

    Cost: about rounds times the larger of 20 ms and a pass.
    """
    for name, value in (("batch", batch), ("rounds", rounds)):
        if not is_whole(value) or value < 1:
            raise InvalidValue(
                f"`{name}` of a latency must be a whole number of at least 1; got {value!r}"
            )
    shape = getattr(net, "image", None) if image is None else tuple(image)
    if shape is None:
        raise InvalidValue(
            f"`image` of a latency must be given for a {type(net).__name__}, which does not know it"
        )
    like = next(net.parameters(), torch.empty(0))
    x = torch.zeros(batch, *shape, device=like.device, dtype=like.dtype)
    training = net.training
    net.eval()
    try:
        return _seconds(lambda: net(x), x, rounds)
    finally:
        net.train(training)


@torch.inference_mode()
def _seconds(call: Callable[[], object], x: Tensor, rounds: int) -> float:
    def timed(passes: int) -> float:
        started = time.perf_counter()
        for _ in range(passes):
            call()
        if x.is_cuda:
            torch.cuda.synchronize(x.device)
        return (time.perf_counter() - started) / passes

    timed(1)  # warm-up: plans and pages are made
    passes = max(1, round(SECONDS / timed(1)))
    return statistics.median(timed(passes) for _ in range(rounds))
