"""Networks as ONNX, for other runtimes."""

from __future__ import annotations

import logging
import os
import warnings
from importlib.util import find_spec

import torch

from wireloom.base import InvalidValue, write_whole
from wireloom.models.members import Population
from wireloom.models.net import Net
from wireloom.models.plain import to_torch

NEEDED = ("onnx", "onnxscript")


def export(net: Net | Population, path: str | os.PathLike[str]) -> None:
    """Write a network as ONNX for inference, its normalisations folded, any batch size.

    The input is "images" [batch, channels, height, width], the output "logits" [batch, classes].
    As in `to_torch`, layers are dense there: absent blocks are zeros.

    Args:
        net: one network; a population of one counts.
        path: the file, NAME.onnx, written whole or not at all.

    Raises:
        InvalidValue: for what is no single network, another ending, or where onnx or onnxscript
            is not installed (``pip install wireloom[export]``).

    Cost: seconds, most of them in torch's exporter.
    """
    if not os.fspath(path).endswith(".onnx"):
        raise InvalidValue(f"`path` of export must end in .onnx; got {os.fspath(path)}")
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise InvalidValue(
            f"export needs {' and '.join(missing)}, not installed here: "
            "pip install 'wireloom[export]'"
        )
    inner = net.net if isinstance(net, Population) else net
    module = to_torch(net, fold=True)
    like = next(module.parameters())
    x = torch.zeros(2, *inner.image, device=like.device, dtype=like.dtype)
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it misses torchvision, which nothing here needs
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own deprecations
            program = torch.onnx.export(
                module,
                (x,),
                dynamo=True,
                dynamic_shapes={"x": {0: torch.export.Dim("batch")}},
                input_names=["images"],
                output_names=["logits"],
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    assert program is not None
    write_whole(path, program.model_proto.SerializeToString())
