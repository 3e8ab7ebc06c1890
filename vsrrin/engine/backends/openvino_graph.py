"""Stacks of convolutions as graphs of OpenVINO, written by running a stack once and noting its operations.

OpenVINO's own converter is not used: it traces through an interface that PyTorch gives up, takes seconds, and reports
its use over the network.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (the name the field uses)
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vsrrin.errors import BackendError
from vsrrin.nets.parts.convolution_stacks import Levels, Stack
from vsrrin.nets.parts.precision import bears_8_bit
from vsrrin.nets.parts.tracing import tracing

from .openvino_package import op, ov

# In bf16 OpenVINO rounds what a convolution returns, unless an operation follows at the graph's end that takes float32:
# flow of 30 px would be known to 0.125 px only. This one changes nothing else.
_UNBOUNDED = -3.0e38, 3.0e38

# Of a tensor that is followed these do not tell what is in it. "__get__" reads an attribute, such as the shape.
_HARMLESS = frozenset(("__get__", "size", "dim", "stride", "is_floating_point", "is_contiguous", "numel"))

type _Node = Any
"""A node or an output of one; OpenVINO takes either."""


@dataclass(frozen=True)
class StackGraph:
    """Stack as a graph for any batch, height and width.

    Attributes:
        model: The graph; takes and returns float32.
        channels: Of the result, or of each of several.
        scale: Size of the result relative to what the stack is given.
        weight_bytes: Bytes of all constants.
        levels: Levels to which what the stack is given is rounded, before all else; ``None`` if it is not.
    """

    model: ov.Model
    channels: tuple[int, ...]
    scale: Fraction
    weight_bytes: int
    levels: Levels | None

    def of_levels(self) -> ov.Model:
        """Return a copy of the graph that is given numbers of levels in place of values."""
        model = self.model.clone()
        (rounding,) = (end.get_node() for end in model.input().get_target_inputs())
        # OpenVINO computes in 8 bit what it has rounded itself, and leaves out what changes nothing.
        for end, level in ((1, 0), (2, 255)):
            rounding.input(end).replace_source_output(_spread(level).output(0))
        return model


def stack_graph(module: nn.Module, method: str, stack: Stack, *, in_8_bit: bool = False) -> StackGraph:
    """Return the graph of a stack.

    Args:
        module: Holds the layers, float32 and in evaluation mode.
        method: The method to follow.
        stack: What it is given.
        in_8_bit: Run the hidden convolutions in 8 bit, by the stack's ranges.

    Raises:
        BackendError: The stack does something that has no counterpart here.
    """
    last = [part for part in module.modules() if getattr(part, "keep_fp32", False) and _has_weight(part)]
    parameter = op.parameter(ov.PartialShape([-1, stack.channels, -1, -1]), np.float32, name="x")
    side = 2 * stack.multiple
    example = torch.zeros(1, stack.channels, side, side)
    with tracing(), _Notes(example, parameter, last, stack.ranges if in_8_bit else ()) as notes:
        returned = getattr(module, method)(example)
    results: Sequence[Tensor] = returned if isinstance(returned, tuple) else (returned,)
    model = ov.Model([_unrounded(notes.node(result)) for result in results], [parameter], type(module).__name__)
    weights = sum(node.get_byte_size() for node in model.get_ops() if node.get_type_name() == "Constant")
    alone = len(model.input().get_target_inputs()) == 1
    channels = tuple(result.shape[1] for result in results)
    scale = Fraction(results[0].shape[2], side)
    levels = notes.levels if alone else None
    return StackGraph(model, channels, scale, weights, levels)


def _unrounded(node: _Node) -> _Node:
    """Return a result that is float32 at once where a hidden convolution makes it."""
    return op.clamp(node, *_UNBOUNDED) if node.get_type_name() in ("Add", "Convolution") else node


def _has_weight(module: nn.Module) -> bool:
    return isinstance(getattr(module, "weight", None), Tensor)


class _Notes(TorchFunctionMode):
    """Recorder that writes a node for every operation on one tensor and on what comes of it.

    In-place operations return the tensor they were given, whose node is the new one from then on.
    """

    def __init__(
        self, example: Tensor, parameter: _Node, last: Sequence[nn.Module], ranges: Sequence[tuple[float, float]]
    ) -> None:
        super().__init__()
        self._nodes: dict[int, _Node] = {id(example): parameter}
        self.levels: Levels | None = None
        """Those to which a convolution rounds the example."""
        self._alive: list[Tensor] = [example]  # so that no id is given twice
        self._last = {id(part.weight) for part in last}
        self._exact = {id(part.weight) for part in last if not bears_8_bit(part)}
        self._ranges = iter(ranges)

    def node(self, value: Tensor | float) -> _Node:
        """Return the node of a tensor or number; a constant unless it comes of the example."""
        if not isinstance(value, Tensor):
            return op.constant(np.float32(value))
        found = self._nodes.get(id(value))
        return op.constant(np.ascontiguousarray(value.detach().numpy())) if found is None else found

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Write the node of an operation, and run it."""
        given = dict(kwargs or {})
        followed = [value for value in _flat((*args, *given.values())) if id(value) in self._nodes]
        if not followed:
            return func(*args, **given)
        # Before it is run: an operation in place changes what its tensor stands for.
        write = _WRITERS.get(func)
        node = None if write is None else write(self, *args, **given)
        result = func(*args, **given)
        if not isinstance(result, Tensor) and _name(func) in _HARMLESS:
            return result
        if node is None or not isinstance(result, Tensor):
            raise BackendError(f"a stack of convolutions uses {_name(func)}, which vsrrin cannot give to OpenVINO")
        self._nodes[id(result)] = node
        self._alive.append(result)
        return result

    def convolved(self, x: Tensor, weight: Tensor) -> tuple[_Node, _Node]:
        """Return what a convolution is given and its weights, as 8 bit has them where there are ranges."""
        node, weights = self.node(x), self.node(weight)
        if id(weight) in self._exact or (found := next(self._ranges, None)) is None:
            return node, weights
        levels = Levels.of(*found)
        if self._nodes[id(x)] is self._nodes[id(self._alive[0])]:
            self.levels = levels
        largest = weight.detach().abs().amax((1, 2, 3), keepdim=True).clamp_min(1e-9).numpy()
        return _in_levels(node, *levels.ends, 256), _in_levels(weights, -largest, largest, 255)

    def with_bias(self, node: _Node, weight: Tensor, bias: Tensor | None) -> _Node:
        """Return the end of a convolution: its bias, and what keeps it float32."""
        if bias is not None:
            node = op.add(node, self.node(bias.view(1, -1, 1, 1)))
        return op.clamp(node, *_UNBOUNDED) if id(weight) in self._last else node


def _in_levels(node: _Node, low: Any, high: Any, levels: int) -> _Node:
    """Return a node rounded to equidistant levels, which OpenVINO computes with as integers."""
    ends = [_spread(end) for end in (low, high)]
    return op.fake_quantize(node, *ends, *ends, levels)


def _spread(end: Any) -> _Node:
    return op.constant(np.broadcast_to(np.float32(end), (1, 1, 1, 1) if np.ndim(end) == 0 else end.shape))


def _flat(values: Sequence[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        found += [value] if isinstance(value, Tensor) else _flat(value) if isinstance(value, list | tuple) else []
    return found


def _name(func: Callable[..., Any]) -> str:
    return str(getattr(func, "__name__", func))


def _pair(value: int | Sequence[int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _same(notes: _Notes, x: Tensor, *_: object, **__: object) -> _Node:
    return notes.node(x)


def _convolution(
    notes: _Notes,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> _Node:
    if groups != 1:
        raise BackendError("a stack of convolutions has one in groups, which vsrrin cannot give to OpenVINO")
    around = _pair(padding)
    node = op.convolution(*notes.convolved(x, weight), _pair(stride), around, around, _pair(dilation))
    return notes.with_bias(node, weight, bias)


def _transposed(
    notes: _Notes,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: tuple[int, int],
    padding: tuple[int, int],
    output_padding: tuple[int, int],
    groups: int,
    dilation: tuple[int, int],
) -> _Node:
    if groups != 1 or any(output_padding):
        raise BackendError("a stack has a transposed convolution of a kind that vsrrin cannot give to OpenVINO")
    node = op.convolution_backprop_data(
        notes.node(x),
        notes.node(weight),
        strides=list(stride),
        pads_begin=list(padding),
        pads_end=list(padding),
        dilations=list(dilation),
    )
    return notes.with_bias(node, weight, bias)


def _padded(notes: _Notes, x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> _Node:
    left, right, top, bottom = pad
    return op.pad(notes.node(x), [0, 0, top, left], [0, 0, bottom, right], mode, op.constant(np.float32(value or 0)))


def _leaky(notes: _Notes, x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> _Node:
    return op.prelu(notes.node(x), op.constant(np.array([negative_slope], np.float32)))


def _relu(notes: _Notes, x: Tensor, inplace: bool = False) -> _Node:
    return op.relu(notes.node(x))


def _sigmoid(notes: _Notes, x: Tensor) -> _Node:
    return op.sigmoid(notes.node(x))


def _concat(notes: _Notes, parts: Sequence[Tensor], dim: int = 0) -> _Node:
    return op.concat([notes.node(part) for part in parts], dim)


def _sum(notes: _Notes, a: Tensor | float, b: Tensor | float) -> _Node:
    return op.add(notes.node(a), notes.node(b))


def _product(notes: _Notes, a: Tensor | float, b: Tensor | float) -> _Node:
    return op.multiply(notes.node(a), notes.node(b))


def _sum_with_product(notes: _Notes, a: Tensor, b: Tensor, c: Tensor) -> _Node:
    return op.add(notes.node(a), _product(notes, b, c))


def _mean(notes: _Notes, x: Tensor, dim: Sequence[int], keepdim: bool = False) -> _Node:
    return op.reduce_mean(notes.node(x), op.constant(np.array(dim, np.int64)), keepdim)


def _pooled(notes: _Notes, x: Tensor, side: int) -> _Node:
    return op.avg_pool(notes.node(x), [side] * 2, [0, 0], [0, 0], [side] * 2, False)


def _enlarged(
    notes: _Notes,
    x: Tensor,
    size: None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    **_: object,
) -> _Node:
    if size is not None or mode != "bilinear" or scale_factor is None:
        raise BackendError("a stack of convolutions changes sizes in a way that vsrrin cannot give to OpenVINO")
    scales = [scale_factor] * 2 if isinstance(scale_factor, int | float) else list(scale_factor)
    return op.interpolate(
        notes.node(x),
        op.constant(np.array(scales, np.float32)),
        "linear_onnx",
        "scales",
        axes=op.constant(np.array([2, 3], np.int64)),
        coordinate_transformation_mode="align_corners" if align_corners else "half_pixel",
    )


def _shuffled(notes: _Notes, x: Tensor, factor: int) -> _Node:
    return op.depth_to_space(notes.node(x), "depth_first", factor)


def _unshuffled(notes: _Notes, x: Tensor, factor: int) -> _Node:
    return op.space_to_depth(notes.node(x), "depth_first", factor)


def _instance_norm(notes: _Notes, x: Tensor, *_: object, eps: float = 1e-5, **kwargs: object) -> _Node:
    if any(kwargs.get(name) is not None for name in ("weight", "bias", "running_mean", "running_var")):
        raise BackendError("a stack has an instance norm with weights, which vsrrin cannot give to OpenVINO")
    return op.mvn(notes.node(x), op.constant(np.array([2, 3], np.int64)), True, eps, "inside_sqrt")


def _batch_norm(
    notes: _Notes,
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor,
    bias: Tensor,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> _Node:
    # As one product and one sum, which merge with the convolution before.
    scale = weight / (running_var + eps).sqrt()
    shape = (1, -1, 1, 1)
    node = op.multiply(notes.node(x), notes.node(scale.view(shape)))
    return op.add(node, notes.node((bias - running_mean * scale).view(shape)))


_WRITERS = cast(
    Mapping[Callable[..., Any], Callable[..., _Node]],
    {
        F.conv2d: _convolution,
        F.conv_transpose2d: _transposed,
        F.pad: _padded,
        F.leaky_relu: _leaky,
        F.relu: _relu,
        torch.relu: _relu,
        torch.relu_: _relu,
        torch.sigmoid: _sigmoid,
        torch.cat: _concat,
        torch.addcmul: _sum_with_product,
        Tensor.add: _sum,
        Tensor.add_: _sum,
        Tensor.__add__: _sum,
        Tensor.__radd__: _sum,
        Tensor.__mul__: _product,
        Tensor.__rmul__: _product,
        Tensor.mul: _product,
        Tensor.relu_: _relu,
        Tensor.mean: _mean,
        F.avg_pool2d: _pooled,
        F.interpolate: _enlarged,
        F.pixel_shuffle: _shuffled,
        F.pixel_unshuffle: _unshuffled,
        F.instance_norm: _instance_norm,
        F.batch_norm: _batch_norm,
        Tensor.to: _same,
        Tensor.float: _same,
        Tensor.contiguous: _same,
    },
)
