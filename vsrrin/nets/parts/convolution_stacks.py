"""Marks for stacks of convolutions, which backends other than PyTorch may run in their own way.

A stack depends on one tensor and its weights alone and knows no coordinates, so that it bears half precision and any
compiler; warps, flow and blending around it stay what they are. To PyTorch the mark means nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .precision import bears_8_bit
from .tracing import tracing


@dataclass(frozen=True, slots=True)
class Stack:
    """Input of a stack: (N, channels, H, W), float32 or of the type of its layers.

    H and W are multiples of ``multiple``, and at least 2.

    Attributes:
        channels: See above.
        multiple: See above.
        ranges: Least and largest value of what each convolution that bears 8 bit is given, in the order in which they
            run; empty if nobody has measured them.
    """

    channels: int
    multiple: int
    ranges: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Levels:
    """Equidistant levels of 8 bit, of which one is zero: level q of [0, 255] means (q - ``zero``) ``step``."""

    step: float
    zero: int

    @classmethod
    def of(cls, low: float, high: float) -> "Levels":
        """Return the levels of a range, widened so that zero, which convolutions pad with, is in it."""
        low, high = min(low, 0.0), max(high, 1e-6)
        step = (high - low) / 255
        return cls(step, round(-low / step))

    @property
    def ends(self) -> tuple[float, float]:
        """Values of the least and of the greatest level."""
        return -self.zero * self.step, (255 - self.zero) * self.step


def take_levels(module: nn.Module, levels: Levels) -> None:
    """Mark a module whose ``forward`` is a stack: it takes uint8 of these levels too, channels innermost in memory."""
    module.levels = levels  # type: ignore[assignment]  # as keep_fp32


def levels_of(module: nn.Module) -> Levels | None:
    """Return the levels that a stack takes, see `take_levels`."""
    return cast(Levels | None, getattr(module, "levels", None))


def mark_stack(module: nn.Module, channels: int, *, multiple: int = 1, method: str = "forward") -> None:
    """Mark a method of a module as a stack.

    Args:
        module: Maps (N, channels, H, W) to (N, C, H', W'), or to several of different C, where H' / H and W' / W are
            the same for every size.
        channels: Of what it is given.
        multiple: What height and width are multiples of.
        method: The method.
    """
    module.stacks = {**stacks_of(module), method: Stack(channels, multiple)}  # type: ignore[assignment]  # as keep_fp32


def stacks_of(module: nn.Module) -> Mapping[str, Stack]:
    """Return the stacks that a module itself is marked to be (not those in it), by method."""
    return cast(Mapping[str, Stack], getattr(module, "stacks", {}))


def named_stacks(net: nn.Module) -> dict[str, tuple[nn.Module, str, Stack]]:
    """Return the stacks of a net by name, of module and method: the module, the method and the mark."""
    return {
        f"{path}.{method}": (module, method, stack)
        for path, module in net.named_modules()
        for method, stack in stacks_of(module).items()
    }


def set_ranges(net: nn.Module, ranges: Mapping[str, Sequence[tuple[float, float]]]) -> None:
    """Mark the stacks of a net with their ranges, by the names of `named_stacks`."""
    for name, (module, method, stack) in named_stacks(net).items():
        module.stacks = {**stacks_of(module), method: replace(stack, ranges=tuple(ranges[name]))}  # type: ignore[assignment]


def has_ranges(net: nn.Module) -> bool:
    """Return whether the stacks of a net have ranges."""
    return any(stack.ranges for _, _, stack in named_stacks(net).values())


class HiddenConvolutions(TorchFunctionMode):
    """Watch over a block of code: what each convolution in it that bears 8 bit is given and returns.

    Args:
        module: Holds the layers.
        note: Called with the input, the weight and the result of each, in the order in which they run.
    """

    def __init__(self, module: nn.Module, note: Callable[[Tensor, Tensor, Tensor], object]) -> None:
        super().__init__()
        self._exact = {id(part.weight) for part in module.modules() if not bears_8_bit(part)}
        self._note = note

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation, and note it if it is such a convolution."""
        result = func(*args, **(kwargs or {}))
        if func is F.conv2d and id(args[1]) not in self._exact:
            self._note(args[0], args[1], result)
        return result


def hidden_convolutions(module: nn.Module, method: str, stack: Stack) -> list[int]:
    """Return the work of each convolution of a stack that bears 8 bit: multiplications per pixel of its input."""
    side = 2 * stack.multiple
    work: list[int] = []

    def note(_: Tensor, weight: Tensor, result: Tensor) -> None:
        work.append(weight.numel() * result.shape[2] * result.shape[3] // side**2)

    with tracing(), torch.no_grad(), HiddenConvolutions(module, note):
        getattr(module, method)(torch.zeros(1, stack.channels, side, side))
    return work
