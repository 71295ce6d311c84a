"""Networks for other programs: ONNX, torch alone, tensors alone."""

from __future__ import annotations

import io
import logging
import os
import warnings
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, fx

from wireloom.base import InvalidValue, write_whole
from wireloom.models.members import Population
from wireloom.models.net import Net
from wireloom.models.plain import to_torch

NEEDED = ("onnx", "onnxscript")
ENDINGS = (".onnx", ".pt2", ".safetensors")


def export(net: Net | Population, path: str | os.PathLike[str]) -> None:
    """Write a network for inference by other programs, its normalisations folded.

    | path               | what                                                                    |
    |--------------------|-------------------------------------------------------------------------|
    | `NAME.onnx`        | ONNX: "images" [batch, channels, height, width] to "logits"             |
    | `NAME.pt2`         | an exported program: `torch.export.load(path).module()`, torch alone    |
    | `NAME.safetensors` | the tensors of `to_torch(net, fold=True)`, by its names                 |

    The batch may have any size. As in `to_torch`, layers are dense there: absent blocks are zeros.

    Args:
        net: one network; a population of one counts.
        path: the file, written whole or not at all.

    Raises:
        InvalidValue: for what is no single network, another ending, or where ONNX is asked for and
            onnx or onnxscript is not installed (``pip install wireloom[export]``).

    Cost: seconds, most of them in torch's exporters.
    """
    ending = Path(path).suffix
    if ending not in ENDINGS:
        raise InvalidValue(
            f"`path` of export must end in {', '.join(ENDINGS)}; got {os.fspath(path)}"
        )
    if ending == ".onnx":
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
    write = {".onnx": _onnx, ".pt2": _program, ".safetensors": _tensors}[ending]
    write_whole(path, write(module, x))


def _onnx(module: fx.GraphModule, x: Tensor) -> bytes:
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
    return program.model_proto.SerializeToString()


def _program(module: fx.GraphModule, x: Tensor) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = {"x": {0: torch.export.Dim("batch")}}
        program = torch.export.export(module, (x,), dynamic_shapes=batch)
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
    return buffer.getvalue()


def _tensors(module: fx.GraphModule, _: Tensor) -> bytes:
    from safetensors.torch import save

    state = {name: t.detach().cpu().contiguous() for name, t in module.state_dict().items()}
    return save(state, metadata={"format": "pt"})
