"""The command `wireloom export`: a saved network for other programs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wireloom.cli.files import written
from wireloom.cli.networks import one_of
from wireloom.cli.parsing import add_command

if TYPE_CHECKING:
    from torch import Tensor

    from wireloom.models import Net

ABOUT = """Write a network that `wireloom train` or wireloom.save kept for programs that do not know
Wireloom, its normalisations folded, and check that it gives the same logits. OUT's ending decides:

  NAME.onnx          ONNX, any batch size (pip install 'wireloom[export]'); checked by onnxruntime,
                     where that is installed
  NAME.pt2           a program of torch.export: torch.export.load("NAME.pt2").module() runs it
  NAME.safetensors   its tensors alone, dense, by the names of wireloom.to_torch

Layers are dense there: absent blocks are zeros that are multiplied."""

EXAMPLES = """
wireloom export runs/net/net.safetensors --out net.onnx
wireloom export runs/net/net.safetensors --out net.pt2
wireloom export population.safetensors --member 3 --out third.onnx"""


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = add_command(
        commands, "export", export_file, "a saved network for other programs", ABOUT, EXAMPLES
    )
    command.add_argument("file", metavar="FILE", help="a network that Wireloom kept")
    command.add_argument(
        "--out", metavar="OUT", required=True, help="NAME.onnx, NAME.pt2 or NAME.safetensors"
    )
    command.add_argument(
        "--member", type=int, metavar="I", help="which network of a population, from 0"
    )


def export_file(*, file: str, out: str, member: int | None) -> int:
    """Write it, and say how far its logits are from the network's."""
    import torch

    from wireloom.models import export

    net = one_of(file, member)
    net.eval()
    path = Path(out)
    with written(path):
        export(net, path)
    like = next(net.parameters())
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, *net.image, generator=generator).to(like)
    with torch.no_grad():
        want = net(x)
    found = _run(path, net, x)
    if found is None:
        print("not checked: onnxruntime is not installed")
    else:
        off, largest = float((found - want).abs().max()), float(want.abs().max())
        print(f"largest difference of 3 x {want.shape[1]} logits: {off:.2g}, of {largest:.2g}")
    print(f"written: {path} ({path.stat().st_size:,} bytes)")
    return 0


def _run(path: Path, net: Net, x: Tensor) -> Tensor | None:
    """The logits that the file gives; None where nothing here can run it."""
    import torch

    if path.suffix == ".onnx":
        if find_spec("onnxruntime") is None:
            return None
        import onnxruntime

        session = onnxruntime.InferenceSession(path)
        (found,) = session.run(["logits"], {"images": x.numpy()})
        return torch.from_numpy(found)
    if path.suffix == ".pt2":
        module = torch.export.load(path).module()
    else:
        from safetensors.torch import load_file

        from wireloom.models import to_torch

        module = to_torch(net, fold=True)
        with torch.no_grad():
            for value in module.parameters():
                value.zero_()  # so that all comes from the file
        module.load_state_dict(load_file(path))
    with torch.no_grad():
        return module(x)
