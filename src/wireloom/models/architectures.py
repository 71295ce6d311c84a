"""The architectures: from stage widths to a tree of parts.

Which layers are wired, how they are joined and what stays dense is as in You et al. 2020 and its
published code; MobileNetV1 follows Howard et al. 2017.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from wireloom.base import InvalidValue, is_whole
from wireloom.compute import Window
from wireloom.models.costs import Cost
from wireloom.models.parts import (
    Added,
    Attention,
    Chain,
    Costed,
    Gate,
    Largest,
    Layer,
    Mean,
    Part,
    Placed,
    Positions,
    Residual,
    Standard,
    cost_of,
    layers_of,
)
from wireloom.wiring import Wiring

SMALL = 64  # pixels of the longer side up to which a stem keeps the image's resolution


@dataclass(frozen=True)
class Shape:
    """What a network of an architecture looks like, apart from its wiring.

    model: name of the architecture.
    image: shape of a sample, (channels, height, width); any shape for the MLP.
    classes: outputs.
    widths: channels of each stage; of the MLP one number, the width of its hidden layers.
    base: the same of the dense baseline; some inner widths do not follow the matched ones.
    stem: width of the dense first layer, which no budget changes.
    hidden: wired hidden layers of the MLP (published code and results: 3; the paper's text counts
        5); 0 for the others.
    wired: whether it is on a wiring other than the complete graph.
    """

    model: str
    image: tuple[int, ...]
    classes: int
    widths: tuple[int, ...]
    base: tuple[int, ...]
    stem: int
    hidden: int = 0
    wired: bool = False

    def __post_init__(self) -> None:
        named = [("classes", self.classes, 2), ("stem", self.stem, 1)]
        named += [("width", width, 1) for width in (*self.widths, *self.base)]
        if self.model == "mlp":
            named.append(("hidden", self.hidden, 1))
        for name, value, least in named:
            if not is_whole(value) or value < least:
                raise InvalidValue(
                    f"`{name}` of a network must be a whole number of at least {least}; "
                    f"got {value!r}"
                )

    @property
    def width(self) -> int:
        """Channels of the first stage."""
        return self.widths[0]

    @property
    def inputs(self) -> int:
        """Features of a sample."""
        return math.prod(self.image)

    def parts(self) -> tuple[Part, ...]:
        """The parts of the network, from stem to head."""
        return _parts(self)

    def placed(self) -> list[Placed]:
        """Every layer and the map that it writes."""
        return [each for each in _traced(self) if isinstance(each, Placed)]

    def cost(self, wiring: Wiring | None) -> Cost:
        """Multiply-adds and parameters, without making the network."""
        return cost_of(_traced(self), wiring)

    def activations(self) -> int:
        """Values that the layers write for one sample."""
        return sum(each.values for each in _traced(self))

    @property
    def form(self) -> tuple[Any, ...]:
        """What members of one population share: everything but the widths."""
        return _form(self)

    def narrowest(self) -> tuple[str, Layer] | None:
        """The narrowest wired layer and its name, of those that no wiring is drawn smaller for."""
        layers = layers_of(self.parts())
        wired = [(n, x) for n, x in layers if x.joins == "wiring" and not x.narrows]
        return min(wired, key=lambda named: min(named[1].into, named[1].out), default=None)


@lru_cache(maxsize=4096)
def _parts(shape: Shape) -> tuple[Part, ...]:
    return ARCHITECTURES[shape.model].parts(shape)


@lru_cache(maxsize=4096)
def _traced(shape: Shape) -> tuple[Costed, ...]:
    size = shape.image[1:] if len(shape.image) == 3 else (1, 1)
    return tuple(Chain("", shape.parts()).trace((size[0], size[1]))[0])


@lru_cache(maxsize=4096)
def _form(shape: Shape) -> tuple[Any, ...]:
    return tuple(part.form for part in shape.parts())


@dataclass(frozen=True)
class Architecture:
    """An architecture and its dense baseline.

    about: one line.
    widths: channels of each stage of the baseline.
    stem: channels of its dense first layer.
    parts: the tree of a shape.
    image: channels, height and width of the published costs.
    classes: outputs of the published costs.
    rounds: scaling rounds of the published width matching.
    """

    about: str
    widths: tuple[int, ...]
    stem: int
    parts: Callable[[Shape], tuple[Part, ...]]
    image: tuple[int, int, int] = (3, 224, 224)
    classes: int = 1000
    rounds: int = 9


# ---- windows, made once ----------------------------------------------------------------------


@lru_cache(maxsize=64)
def _window(size: int, stride: int = 1) -> Window:
    return Window.of(size, stride=stride, padding=size // 2)


def _head(into: int, classes: int) -> Layer:
    return Layer("head", into, classes, norm=False, activation="none", bias=True)


def _small(shape: Shape) -> bool:
    return max(shape.image[1:]) <= SMALL


def _needs_maps(shape: Shape) -> None:
    if len(shape.image) != 3:
        raise InvalidValue(
            f"`image` of {shape.model} must be (channels, height, width); got {shape.image}"
        )


# ---- the MLP ---------------------------------------------------------------------------------


def _mlp(shape: Shape) -> tuple[Part, ...]:
    widths = [shape.stem, *[shape.width] * shape.hidden]
    wired = (
        Layer(str(i), into, out, joins="wiring")
        for i, (into, out) in enumerate(itertools.pairwise(widths))
    )
    return (
        Layer("stem", shape.inputs, shape.stem),
        Chain("hidden", tuple(wired)),
        _head(shape.width, shape.classes),
    )


# ---- plain and residual convolutional networks -----------------------------------------------


def _image_stem(shape: Shape, size: int) -> tuple[Part, ...]:
    """Convolution with stride 2 and max-pooling; small images keep their resolution."""
    _needs_maps(shape)
    if _small(shape):
        return (Layer("stem", shape.image[0], shape.stem, _window(3)),)
    stem = Layer("stem", shape.image[0], shape.stem, _window(size, 2))
    return stem, Largest(_window(3, 2))


def _stages(
    shape: Shape,
    depths: tuple[int, ...],
    block: Callable[[str, int, int, int], Part],
    first_stride: int,
) -> list[Part]:
    """Stages of blocks; the first block of each has the stride."""
    found: list[Part] = []
    into = shape.stem
    for i, (width, depth) in enumerate(zip(shape.widths, depths, strict=True)):
        blocks = []
        for j in range(depth):
            stride = (2 if i else first_stride) if j == 0 else 1
            blocks.append(block(str(j), into, width, stride))
            into = width
        found.append(Chain(f"stage{i + 1}", tuple(blocks)))
    return found


def _cnn6(shape: Shape) -> tuple[Part, ...]:
    def block(name: str, into: int, out: int, stride: int) -> Part:
        return Layer(name, into, out, _window(3, stride), "wiring")

    stages = _stages(shape, (2, 2, 2), block, 2)
    return *_image_stem(shape, 3), *stages, Mean(), _head(shape.widths[-1], shape.classes)


def _skip(into: int, out: int, stride: int, joins: str) -> Layer | None:
    if into == out and stride == 1:
        return None
    return Layer("skip", into, out, Window.of(1, stride=stride), joins, activation="none")


def _basic(name: str, into: int, out: int, stride: int) -> Part:
    """Two 3x3 convolutions."""
    body = (
        Layer("a", into, out, _window(3, stride), "wiring"),
        Layer("b", out, out, _window(3), "wiring", quiet=True),
    )
    return Residual(name, body, _skip(into, out, stride, "wiring"))


def _depthwise(name: str, channels: int, size: int, stride: int, **then: object) -> Layer:
    return Layer(name, channels, channels, _window(size, stride), "self", **then)  # pyright: ignore[reportArgumentType]


def _separable(name: str, into: int, out: int, stride: int) -> Part:
    """Two pairs of a depthwise 3x3 and a 1x1 convolution, nothing between the two of a pair."""
    bare = {"norm": False, "activation": "none"}
    body = (
        _depthwise("a_depth", into, 3, stride, **bare),
        Layer("a", into, out, _window(1), "wiring"),
        _depthwise("b_depth", out, 3, 1, **bare),
        Layer("b", out, out, _window(1), "wiring", quiet=True),
    )
    return Residual(name, body, _skip(into, out, stride, "wiring"))


def _bottleneck(name: str, into: int, out: int, stride: int) -> Part:
    """1x1, 3x3 with the stride, 1x1; a quarter of the channels within; a dense skip."""
    inner = round(out / 4)
    body = (
        Layer("a", into, inner, _window(1), "wiring"),
        Layer("b", inner, inner, _window(3, stride), "wiring"),
        Layer("c", inner, out, _window(1), "wiring", quiet=True),
    )
    return Residual(name, body, _skip(into, out, stride, "all"))


def _resnet(
    depths: tuple[int, ...], block: Callable[[str, int, int, int], Part]
) -> Callable[[Shape], tuple[Part, ...]]:
    def parts(shape: Shape) -> tuple[Part, ...]:
        stages = _stages(shape, depths, block, 1)
        return *_image_stem(shape, 7), *stages, Mean(), _head(shape.widths[-1], shape.classes)

    return parts


# ---- EfficientNet-B0 and MobileNetV1 ---------------------------------------------------------

_B0 = (  # expansion, kernel, stride, depth of each stage
    (1, 3, 1, 1),
    (6, 3, 2, 2),
    (6, 5, 2, 2),
    (6, 3, 2, 3),
    (6, 5, 1, 3),
    (6, 5, 2, 4),
    (6, 3, 1, 1),
)
_B0_HEAD = 1280


def _inverted(name: str, into: int, inner: int, out: int, size: int, stride: int) -> Part:
    """Expand, depthwise, squeeze-and-excite, project; added to the input where shapes agree."""
    body: list[Part] = []
    if inner != into:
        expand = Layer("expand", into, inner, _window(1), "wiring", activation="silu", narrows=True)
        body.append(expand)
    body += [
        _depthwise("depth", inner, size, stride, activation="silu"),
        Gate("gate", inner, int(into / 4)),
        Layer("project", inner, out, _window(1), "wiring", activation="none", narrows=True),
    ]
    if stride == 1 and into == out:
        return Residual(name, tuple(body))
    return Chain(name, tuple(body))


def _efficientnet(shape: Shape) -> tuple[Part, ...]:
    _needs_maps(shape)
    found: list[Part] = [
        Layer("stem", shape.image[0], shape.stem, _window(3, 1 if _small(shape) else 2),
              activation="silu")
    ]  # fmt: skip
    into = base = shape.stem
    for i, (ratio, size, stride, depth) in enumerate(_B0):
        out = shape.widths[i]
        blocks = []
        for j in range(depth):
            # In a wired network the published code expands the stage's unmatched width, also in the
            # first block, where the dense baseline expands the width that comes in.
            own = shape.base[i] if shape.wired and ratio > 1 else base
            inner = ratio * own
            blocks.append(_inverted(str(j), into, inner, out, size, stride if j == 0 else 1))
            into, base = out, shape.base[i]
        found.append(Chain(f"stage{i + 1}", tuple(blocks)))
    top = round(_B0_HEAD * shape.base[0] / EFFICIENTNET_WIDTHS[0])
    return (
        *found,
        Layer("top", into, top, _window(1), activation="silu"),
        Mean(),
        _head(top, shape.classes),
    )


EFFICIENTNET_WIDTHS = (16, 24, 40, 80, 112, 192, 320)
_V1 = (1, 2, 2, 6, 2)  # pairs of each stage


def _mobilenet(shape: Shape) -> tuple[Part, ...]:
    _needs_maps(shape)

    def block(name: str, into: int, out: int, stride: int) -> Part:
        pair = _depthwise("depth", into, 3, stride), Layer("point", into, out, _window(1), "wiring")
        return Chain(name, pair)

    stem = Layer("stem", shape.image[0], shape.stem, _window(3, 1 if _small(shape) else 2))
    stages = _stages(shape, _V1, block, 1)
    return stem, *stages, Mean(), _head(shape.widths[-1], shape.classes)


# ---- a small vision transformer --------------------------------------------------------------

_VIT_DEPTH, _VIT_HEAD = 12, 64  # blocks, channels of a head


def _vit(shape: Shape) -> tuple[Part, ...]:
    _needs_maps(shape)
    width, inner = shape.width, shape.base[0]
    patch = Window.of(4 if _small(shape) else 16, stride=4 if _small(shape) else 16)
    plain = {"norm": False, "activation": "none", "bias": True}
    stem = Layer("stem", shape.image[0], width, patch, **plain)
    _, size = stem.trace((shape.image[1], shape.image[2]))
    wide = Layer("up", width, 4 * width, _window(1), "wiring", False, "quick_gelu", True)
    narrow = Layer("down", 4 * width, width, _window(1), "wiring", **plain)
    heads = next(h for h in range(max(1, inner // _VIT_HEAD), 0, -1) if inner % h == 0)
    mixing = Attention("attention", width, inner, heads)
    block = (
        Added("mix", (Standard("norm", width), mixing)),
        Added("feed", (Standard("norm", width), wide, narrow)),
    )
    return (
        stem,
        Positions("positions", width, size),
        Chain("blocks", tuple(Chain(str(i), block) for i in range(_VIT_DEPTH))),
        Standard("norm", width),
        Mean(),
        _head(width, shape.classes),
    )


ARCHITECTURES: dict[str, Architecture] = {
    "mlp": Architecture(
        "multilayer perceptron, hidden layers of one width",
        (512,),
        512,
        _mlp,
        image=(3, 32, 32),
        classes=10,
        rounds=15,
    ),
    "cnn6": Architecture("six 3x3 convolutions in three stages", (64, 128, 256), 64, _cnn6),
    "resnet34": Architecture(
        "residual blocks of two 3x3 convolutions",
        (64, 128, 256, 512),
        64,
        _resnet((3, 4, 6, 3), _basic),
    ),
    "resnet34_sep": Architecture(
        "residual blocks of two depthwise and 1x1 convolutions",
        (64, 128, 256, 512),
        64,
        _resnet((3, 4, 6, 3), _separable),
    ),
    "resnet50": Architecture(
        "bottleneck blocks of 1x1, 3x3 and 1x1 convolutions",
        (256, 512, 1024, 2048),
        64,
        _resnet((3, 4, 6, 3), _bottleneck),
    ),
    "efficientnet_b0": Architecture(
        "inverted bottlenecks with squeeze-and-excitation",
        EFFICIENTNET_WIDTHS,
        32,
        _efficientnet,
    ),
    "mobilenet_v1": Architecture(
        "pairs of a depthwise 3x3 and a 1x1 convolution",
        (64, 128, 256, 512, 1024),
        32,
        _mobilenet,
    ),
    "vit_tiny": Architecture(
        "vision transformer: patches, attention and feed-forward layers; mean instead of a token",
        (192,),
        192,
        _vit,
    ),
}
