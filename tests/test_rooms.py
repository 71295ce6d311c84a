"""The rooms of the package: imports point to lower rooms only, and some rooms never see torch."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import wireloom

ROOMS = (
    *("base", "native", "wiring", "page", "store", "analysis", "compute"),
    *("nn", "models", "data", "training", "study", "cli"),
)
TORCH_FREE = ("base", "native", "wiring", "page", "store", "analysis")
TORCH = ("torch", "safetensors.torch")
DOORS = ("wireloom.__init__", "wireloom.__main__")  # of the whole house
SOURCE = Path(wireloom.__file__).parent
MODULES = {
    ".".join(("wireloom", *path.relative_to(SOURCE).with_suffix("").parts)): path
    for path in sorted(SOURCE.rglob("*.py"))
}


def imports(source: str, module: str) -> Iterator[str]:
    """Full names that ``source`` imports anywhere; ``from a import b`` gives ``a.b``.

    ``module`` is the full name of the source itself, ``package.__init__`` for a package's own.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            package = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{package}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
            ("import_module", "__import__")
        ):
            name = node.args[0]
            yield name.value if isinstance(name, ast.Constant) else "wireloom.?"


def faults(source: str, module: str) -> list[str]:
    """What is wrong with the imports of a module, in words."""
    _, room, *_ = module.split(".")
    if room not in ROOMS:
        return [f"{module} is in no known room"]
    found = []
    for name in imports(source, module):
        parts = name.split(".")
        if parts[0] == "wireloom":
            if len(parts) == 1 or parts[1] not in ROOMS:
                found.append(f"{module} imports {name}, which is no room")
            elif ROOMS.index(parts[1]) > ROOMS.index(room):
                found.append(f"{module} imports {name}, a higher room")
        if room in TORCH_FREE and any(f"{name}.".startswith(f"{torch}.") for torch in TORCH):
            found.append(f"{module} imports {name}, but {room} is free of torch")
    return found


def namesakes(public: list[str], modules: list[str]) -> list[str]:
    """Modules below the rooms' own that bear a public name."""
    shadowed = set(public) - set(ROOMS)
    return [m for m in modules if shadowed & {*m.split(".")[1:]}]


@pytest.mark.parametrize("module", [m for m in MODULES if m not in DOORS])
def test_imports_point_to_lower_rooms_only(module):
    assert faults(MODULES[module].read_text("utf-8"), module) == []


def test_every_room_is_there_and_holds_something():
    assert {m.split(".")[1] for m in MODULES if m not in DOORS} == set(ROOMS)


def test_no_module_bears_the_name_of_a_public_function():
    assert wireloom.__all__
    assert namesakes(wireloom.__all__, list(MODULES)) == []


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("wireloom.wiring.x", "from wireloom.compute import Pattern", "compute.Pattern, a higher"),
        ("wireloom.wiring.x", "import wireloom.compute.ops", "compute.ops, a higher room"),
        ("wireloom.wiring.x", "import wireloom.compute as c", "compute, a higher room"),
        ("wireloom.wiring.x", "def f():\n    from wireloom.nn import spans", "nn.spans, a higher"),
        (
            "wireloom.data.x",
            "if TYPE_CHECKING:\n    from wireloom.training import Recipe",
            "training.Recipe, a higher",
        ),
        ("wireloom.compute.x", "from ..models import build", "wireloom.models.build, a higher"),
        ("wireloom.compute.__init__", "from ..nn import spans", "wireloom.nn.spans, a higher"),
        ("wireloom.base.x", "from .. import cli", "wireloom.cli, a higher room"),
        ("wireloom.page.x", "importlib.import_module('wireloom.store')", "store, a higher room"),
        ("wireloom.page.x", "import_module(f'wireloom.{room}')", "wireloom.?, which is no room"),
        ("wireloom.cli.x", "import wireloom", "imports wireloom, which is no room"),
        ("wireloom.cli.x", "from wireloom import fit", "wireloom.fit, which is no room"),
        ("wireloom.cli.x", "import wireloom as wl", "imports wireloom, which is no room"),
        ("wireloom.cli.x", "from wireloom.attic import y", "attic.y, which is no room"),
        ("wireloom.attic.x", "", "in no known room"),
        ("wireloom.helpers", "", "in no known room"),
        ("wireloom.page.x", "import torch", "page is free of torch"),
        ("wireloom.page.x", "import torch.nn.functional as F", "page is free of torch"),
        ("wireloom.store.x", "def f():\n    from torch import Tensor", "store is free of torch"),
        ("wireloom.base.x", "from safetensors.torch import save", "base is free of torch"),
        ("wireloom.native.x", "from safetensors import torch", "native is free of torch"),
    ],
)
def test_a_planted_fault_is_found(module, source, fault):
    (found,) = faults(source, module)
    assert fault in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("wireloom.wiring.x", "from wireloom.base import InvalidValue\nimport numpy, torchless"),
        ("wireloom.wiring.x", "from wireloom.wiring.value import Wiring"),
        ("wireloom.wiring.x", "from . import value\nfrom .value import Wiring"),
        ("wireloom.compute.x", "import torch\nfrom wireloom.native import _native"),
        ("wireloom.cli.x", "from wireloom import data, nn\nfrom ..study import Study"),
        ("wireloom.study.__init__", "from .plan import Plan\nfrom ..training import fit"),
    ],
)
def test_a_lawful_import_is_let_through(module, source):
    assert faults(source, module) == []


def test_a_planted_namesake_is_found():
    modules = [
        "wireloom.models.build",
        "wireloom.fit.loop",
        "wireloom.nn.layers",
        "wireloom.data.x",
    ]
    assert namesakes(["build", "fit", "nn", "data"], modules) == modules[:2]


def loaded(code: str) -> set[str]:
    """Top-level modules that a fresh process holds after running ``code``."""
    report = "\nimport json, sys; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_door_loads_neither_torch_nor_numpy():
    assert not {"torch", "numpy", "networkx"} & loaded("import wireloom; dir(wireloom)")


def test_torch_free_rooms_run_without_torch():
    code = "".join(f"import wireloom.{room}\n" for room in TORCH_FREE)
    code += "from wireloom.native import _native\n"
    code += "from wireloom import ws_flex; ws_flex(nodes=16, degree=4, rewire=0.2).path_length"
    modules = loaded(code)
    assert "numpy" in modules
    assert "torch" not in modules
